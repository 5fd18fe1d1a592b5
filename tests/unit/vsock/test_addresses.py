"""vsock addresses in memory and in the names of sockets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrosim.vsock.addresses import Address, address_in_name, unpack_sockaddr

u32 = st.integers(0, 2**32 - 1)


def test_an_address_is_a_sockaddr_vm():
    # family 40, reserved, port, cid, flags, zero: Linux include/uapi/linux/vm_sockets.h.
    expected = bytes.fromhex("2800 0000 88130000 03000000 00 000000")

    assert expected == Address(cid=3, port=5000).pack()


def test_family_and_flags_are_told():
    data = bytes.fromhex("0100 0000 88130000 03000000 01 000000")

    assert (1, Address(3, 5000), 1) == unpack_sockaddr(data)


@given(cid=u32, port=u32)
def test_an_address_survives_packing(cid, port):
    packed = Address(cid, port).pack()

    assert 16 == len(packed)
    assert (40, Address(cid, port), 0) == unpack_sockaddr(packed)


@pytest.mark.parametrize(
    "name", ["/run/user/1000/nitrosim/e-abc.d/v/16.5000.7", b"\0nitrosim-1-aa/16.5000.7"]
)
def test_the_name_of_a_socket_says_its_address(name):
    assert Address(16, 5000) == address_in_name(name)


@given(cid=u32, port=u32, serial=st.integers(0))
def test_any_address_can_be_in_a_name(cid, port, serial):
    assert Address(cid, port) == address_in_name(f"/a/b.c/{cid}.{port}.{serial}")
