"""Requests to /dev/nsm from changing buffers: each is read from where it is, when it is made."""

import sys

import pytest

from nitrosim.instance import Instance

pytestmark = pytest.mark.needs("userns")

#: Extends PCR16 from one buffer and PCR17 from another in turn, then moves a third request into
#: the first buffer, and one into memory that is unmapped afterwards.
PROGRAM = """
import ctypes, fcntl, mmap, os, struct

NSM = 0xC0200A00
nsm = os.open("/dev/nsm", os.O_RDWR)
answer = ctypes.create_string_buffer(0x3000)

def ask(address, size):
    raw = bytearray(struct.pack("=QQQQ", address, size, ctypes.addressof(answer), len(answer)))
    fcntl.ioctl(nsm, NSM, raw)
    return answer.raw[: struct.unpack("=QQQQ", raw)[3]]

def extend(index):
    return b"\\xa1\\x69ExtendPCR\\xa2\\x65index" + bytes([index]) + b"\\x64data\\x41x"

def describe(index):
    return b"\\xa1\\x6bDescribePCR\\xa1\\x65index" + bytes([index])

first = ctypes.create_string_buffer(extend(16), 64)
second = ctypes.create_string_buffer(extend(17), 64)
size = len(extend(16))
one = [ask(ctypes.addressof(first), size) for _ in range(2)]
two = [ask(ctypes.addressof(second), size) for _ in range(2)]
print("same" if one == two else "different", len(set(one)))
first.raw = describe(0).ljust(64, b"\\0")
print("locked" if b"lock\\xf5" in ask(ctypes.addressof(first), len(describe(0))) else "unlocked")

page = mmap.mmap(-1, mmap.PAGESIZE)
page[: len(b"\\x69GetRandom")] = b"\\x69GetRandom"
view = ctypes.c_char.from_buffer(page)
address = ctypes.addressof(view)
print("random", len(ask(address, 10)) > 256)
del view
page.close()
try:
    ask(address, 10)
except OSError as error:
    print(os.strerror(error.errno))
print("after", b"lock\\xf5" in ask(ctypes.addressof(first), len(describe(0))))
"""


def test_each_request_is_read_from_where_it_is():
    with Instance() as instance:
        enclave = instance.run_enclave([sys.executable, "-c", PROGRAM])
        console = enclave.console.read_all(timeout=20).decode().splitlines()

        assert ["same 2", "locked", "random True", "Bad address", "after True"] == console
        assert 0 == enclave.wait(timeout=20)
