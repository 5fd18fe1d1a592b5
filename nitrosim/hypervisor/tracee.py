"""Looking into the process that made a call: its memory and its file descriptors. Linux only.

Some facts:

- ``process_vm_readv`` and ``process_vm_writev`` (see process_vm_readv(2)) obey
  page protection: an address that the kernel could not write for the program
  cannot be written by us, so EFAULT comes out right. ``/proc/PID/mem`` does not:
  it writes through read-only pages.
- ``pidfd_getfd(2)`` (Linux 5.6) duplicates a descriptor of another process: both
  name the same open file, so bind, connect and accept on ours act on the
  program's socket. A duplicate that is kept open keeps the connection open.
- A pidfd of a thread that does not lead its process needs PIDFD_THREAD (6.9);
  before, the leader's number is found in ``/proc/TID/status``.
- All of this needs ptrace rights. The hypervisor owns the user namespace of its
  enclaves, so it has them whatever the host's Yama setting.
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_NR_PIDFD_GETFD = 438
_PIDFD_THREAD = os.O_EXCL
_MOST = 1 << 20
_ADDRESS_LIMIT = 1 << 64

_libc = ctypes.CDLL(None, use_errno=True)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_uint64), ("length", ctypes.c_size_t))


def _transfer_function(name: str) -> ctypes._NamedFuncPointer:
    function: ctypes._NamedFuncPointer = getattr(_libc, name)
    vectors = ctypes.POINTER(_Vector)
    function.argtypes = (
        ctypes.c_int,
        vectors,
        ctypes.c_ulong,
        vectors,
        ctypes.c_ulong,
        ctypes.c_ulong,
    )
    function.restype = ctypes.c_ssize_t
    return function


_readv = _transfer_function("process_vm_readv")
_writev = _transfer_function("process_vm_writev")
_libc.syscall.restype = ctypes.c_long

# Reused for every transfer: the hypervisor has one thread, and building these
# anew would cost more than the system call.
_buffer = ctypes.create_string_buffer(_MOST)
_view = memoryview(_buffer).cast("B")
_base = ctypes.addressof(_buffer)
_local = (_Vector * 1)(_Vector(_base, 0))
_remote = (_Vector * 1)()


class BadAddressError(Exception):
    """Memory of the program that it could not have read or written itself: EFAULT."""


class GoneError(Exception):
    """The calling process has ended."""


def read_memory(thread: int, address: int, size: int) -> bytes:
    """Return `size` bytes (at most 1 MiB) at `address` of the process of `thread`.

    Raises:
        BadAddressError: not all of it is readable there.
        GoneError: the process has ended.

    """
    return _transfer(_readv, thread, address, size)


def write_memory(thread: int, address: int, data: bytes) -> None:
    """Write `data` (at most 1 MiB) at `address`; errors as :func:`read_memory`."""
    _view[: len(data)] = data
    _transfer(_writev, thread, address, len(data))


def _transfer(function: ctypes._NamedFuncPointer, thread: int, address: int, size: int) -> bytes:
    if not 0 <= size <= _MOST or address + size > _ADDRESS_LIMIT:
        raise BadAddressError
    if size == 0:
        return b""
    _local[0].length = size
    _remote[0].base = address
    _remote[0].length = size
    done = function(thread, _local, 1, _remote, 1, 0)
    if done == size:
        return _view[:size].tobytes() if function is _readv else b""
    if done < 0:
        error = ctypes.get_errno()
        if error == errno.ESRCH:
            raise GoneError
        if error not in (errno.EFAULT, errno.EINVAL):
            raise OSError(error, os.strerror(error), f"memory of thread {thread}")
    raise BadAddressError


def open_process(thread: int) -> int:
    """Return a pidfd for `thread`, or for its process on kernels before 6.9.

    Raises:
        GoneError: the thread has ended.

    """
    try:
        try:
            return os.pidfd_open(thread, _PIDFD_THREAD)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        return os.pidfd_open(_leader(thread))
    except ProcessLookupError as error:
        raise GoneError from error


def _leader(thread: int) -> int:
    return int(read_status(thread)["Tgid"])


def read_status(thread: int) -> dict[str, str]:
    """Return the lines of ``/proc/TID/status``.

    Raises:
        GoneError: the thread has ended.

    """
    try:
        text = Path(f"/proc/{thread}/status").read_text("utf-8", "surrogateescape")
    except (FileNotFoundError, ProcessLookupError) as error:
        raise GoneError from error
    return {
        name: value.strip()
        for name, _colon, value in (line.partition(":") for line in text.splitlines())
    }


def duplicate(pidfd: int, fd: int) -> int:
    """Return our own descriptor of the open file behind descriptor `fd` of the process.

    Raises:
        OSError: EBADF when the process has no such descriptor.
        GoneError: the process has ended.

    """
    # `fd` is an int in the caller's registers: the kernel looks at the low 32 bits.
    got = _libc.syscall(_NR_PIDFD_GETFD, pidfd, ctypes.c_int(fd & 0xFFFFFFFF), 0)
    if got >= 0:
        return int(got)
    error = ctypes.get_errno()
    if error == errno.ESRCH:
        raise GoneError
    raise OSError(error, os.strerror(error))


def path_of(thread: int, fd: int) -> str:
    """Return the path that descriptor `fd` of `thread` was opened under, as it sees it.

    Raises:
        OSError: EBADF when there is no such descriptor.

    """
    try:
        return os.readlink(f"/proc/{thread}/fd/{fd & 0xFFFFFFFF}")  # noqa: PTH115 - a hot path
    except FileNotFoundError as error:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from error
