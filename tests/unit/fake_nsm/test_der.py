import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_nsm import der


@pytest.mark.parametrize(
    ("length", "head"), [(0, "0400"), (127, "047f"), (128, "048180"), (65536, "0483010000")]
)
def test_lengths_take_the_shortest_form(length, head):
    assert bytes.fromhex(head) + bytes(length) == der.octet_string(bytes(length))


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "020100"),
        (127, "02017f"),
        (128, "02020080"),
        (256, "02020100"),
        ((1 << 160) - 1, "021500" + "ff" * 20),
        (1 << 158, "021440" + "00" * 19),
    ],
)
def test_integers_are_positive_and_minimal(value, encoded):
    assert encoded == der.integer(value).hex()


@given(st.integers(min_value=0, max_value=1 << 200))
def test_integers_read_back(value):
    encoded = der.integer(value)
    assert value == int.from_bytes(encoded[2:], "big", signed=True)
    assert encoded[2] or len(encoded) == 3 or encoded[3] & 0x80


@pytest.mark.parametrize(
    ("dotted", "encoded"),
    [
        ("1.2.840.10045.4.3.3", "06082a8648ce3d040303"),
        ("1.3.132.0.34", "06052b81040022"),
        ("2.5.29.19", "0603551d13"),
        ("2.999.3", "0603883703"),
    ],
)
def test_object_identifiers(dotted, encoded):
    assert encoded == der.object_identifier(dotted).hex()


@pytest.mark.parametrize(
    ("seconds", "encoded"),
    [
        (0, b"\x17\x0d700101000000Z"),
        (1572269285, b"\x17\x0d191028132805Z"),
        (2524607999, b"\x17\x0d491231235959Z"),
        (2524608000, b"\x18\x0f20500101000000Z"),
    ],
)
def test_times_change_their_form_in_2050(seconds, encoded):
    assert encoded == der.time(seconds)


def test_strings_and_wrappers():
    assert "1302 5858".replace(" ", "") == der.printable_string("XX").hex()
    assert der.utf8_string("üx").hex() == "0c03c3bc78"
    assert der.bit_string(b"\x86", unused_bits=1).hex() == "03020186"
    assert der.set_of(der.sequence(der.integer(2))).hex() == "31053003020102"
    assert der.context_constructed(0, der.integer(2)).hex() == "a003020102"
    assert der.context_primitive(6, b"a").hex() == "860161"
    assert der.boolean_true().hex() == "0101ff"
