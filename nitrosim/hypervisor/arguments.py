"""Arguments of socket calls: names and options in the caller's memory, checked as Linux does.

The order of checks and their errors follow Linux net/socket.c (copying names in
and out) and net/vmw_vsock/af_vsock.c (what a vsock name must look like).
"""

from __future__ import annotations

import errno
import struct

from nitrosim.hypervisor.tracee import read_memory, write_memory
from nitrosim.vsock.addresses import (
    AF_VSOCK,
    FLAG_TO_HOST,
    SOCKADDR_SIZE,
    Address,
    unpack_sockaddr,
)

_INT = struct.Struct("=i")
_SOCKADDR_STORAGE = 128


class CallError(Exception):
    """The call fails with `error`, a positive errno."""

    def __init__(self, error: int) -> None:
        super().__init__(error)
        self.error = error


def as_int(argument: int) -> int:
    """Return an argument register as the C ``int`` that the kernel takes from it."""
    low = argument & 0xFFFFFFFF
    return low - (1 << 32) if low & 0x80000000 else low


def read_int(thread: int, address: int) -> int:
    """Return the ``int`` at `address`; BadAddressError if it cannot be read."""
    value: int = _INT.unpack(read_memory(thread, address, _INT.size))[0]
    return value


def read_name(thread: int, address: int, length: int) -> Address:
    """Return the vsock address in the caller's memory.

    Raises:
        BadAddressError: the memory cannot be read.
        CallError: EINVAL, for a name of another kind.

    """
    length = as_int(length)
    if not 0 <= length <= _SOCKADDR_STORAGE:
        raise CallError(errno.EINVAL)
    data = read_memory(thread, address, length)
    if length < SOCKADDR_SIZE:
        raise CallError(errno.EINVAL)
    family, name, flags = unpack_sockaddr(data[:SOCKADDR_SIZE])
    if family != AF_VSOCK or flags & ~FLAG_TO_HOST:
        raise CallError(errno.EINVAL)
    return name


def read_room(thread: int, length_address: int) -> int:
    """Return how many bytes the caller has for a name or an option.

    Raises:
        BadAddressError: the memory cannot be read.
        CallError: EINVAL for a negative number.

    """
    room = read_int(thread, length_address)
    if room < 0:
        raise CallError(errno.EINVAL)
    return room


def write_name(thread: int, address: int, length_address: int, name: Address) -> None:
    """Give the caller a name: as much as fits, and how long it is.

    Raises:
        BadAddressError: the memory cannot be read or written.
        CallError: EINVAL for a negative length.

    """
    room = read_room(thread, length_address)
    write_memory(thread, address, name.pack()[:room])
    write_memory(thread, length_address, _INT.pack(SOCKADDR_SIZE))


def write_option(thread: int, address: int, length_address: int, value: bytes) -> None:
    """Give the caller the value of an option, cut to its room, and its length."""
    value = value[: read_room(thread, length_address)]
    write_memory(thread, address, value)
    write_memory(thread, length_address, _INT.pack(len(value)))
