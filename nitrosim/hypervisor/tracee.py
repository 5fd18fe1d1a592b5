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
import struct
from functools import cache
from pathlib import Path

_NR_PIDFD_GETFD = 438
_PIDFD_THREAD = os.O_EXCL
_MOST = 1 << 20
_MOST_KEPT = 64
_ADDRESS_LIMIT = 1 << 64

_libc = ctypes.CDLL(None, use_errno=True)


def _transfer_function(name: str) -> ctypes._NamedFuncPointer:
    function: ctypes._NamedFuncPointer = getattr(_libc, name)
    # The two vectors are given as addresses: converting pointers would take as long as the call.
    function.argtypes = (
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_ulong,
        ctypes.c_void_p,
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
#: One ``struct iovec`` of ours and one of theirs; or one of ours and two of theirs.
_ONE_TO_ONE = struct.Struct("=QQQQ")
_ONE_TO_TWO = struct.Struct("=QQQQQQ")
_vectors = ctypes.create_string_buffer(_ONE_TO_TWO.size)
_ours = ctypes.addressof(_vectors)
_theirs = _ours + 16


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
    if size == 0:
        return b""
    _check_range(address, size)
    _ONE_TO_ONE.pack_into(_vectors, 0, _base, size, address, size)
    done = _readv(thread, _ours, 1, _theirs, 1, 0)
    if done != size:
        raise _failure(thread, done)
    return _view[:size].tobytes()


def read_both(
    thread: int, address: int, size: int, then_address: int, then_size: int
) -> tuple[bytes, bytes | None]:
    """Return what :func:`read_memory` does, and the second part if it could be read as well.

    One call costs little more than half of two.
    """
    if then_size == 0:
        return read_memory(thread, address, size), b""
    _check_range(address, size)
    _check_range(then_address, then_size)
    whole = size + then_size
    _ONE_TO_TWO.pack_into(_vectors, 0, _base, whole, address, size, then_address, then_size)
    done = _readv(thread, _ours, 1, _theirs, 2, 0)
    if done == whole:
        return _view[:size].tobytes(), _view[size:whole].tobytes()
    if done < size:
        raise _failure(thread, done)
    return _view[:size].tobytes(), None


def write_memory(thread: int, address: int, data: bytes) -> None:
    """Write `data` (at most 1 MiB) at `address`; errors as :func:`read_memory`."""
    size = len(data)
    if size == 0:
        return
    _check_range(address, size)
    _view[:size] = data
    _ONE_TO_ONE.pack_into(_vectors, 0, _base, size, address, size)
    done = _writev(thread, _ours, 1, _theirs, 1, 0)
    if done != size:
        raise _failure(thread, done)


def write_both(thread: int, address: int, data: bytes, then_address: int, then: bytes) -> None:
    """Write `data`, and if all of it could be written, `then`; errors as :func:`read_memory`."""
    size, then_size = len(data), len(then)
    if size == 0 or then_size == 0:
        write_memory(thread, address, data)
        write_memory(thread, then_address, then)
        return
    _check_range(address, size)
    _check_range(then_address, then_size)
    whole = size + then_size
    _view[:whole] = data + then
    _ONE_TO_TWO.pack_into(_vectors, 0, _base, whole, address, size, then_address, then_size)
    done = _writev(thread, _ours, 1, _theirs, 2, 0)
    if done != whole:
        raise _failure(thread, done)


def _check_range(address: int, size: int) -> None:
    if not 0 < size <= _MOST or address + size > _ADDRESS_LIMIT:
        raise BadAddressError


def _failure(thread: int, done: int) -> Exception:
    """Return the reason for a transfer that moved `done` bytes, less than all."""
    if done < 0:
        error = ctypes.get_errno()
        if error == errno.ESRCH:
            return GoneError()
        if error not in (errno.EFAULT, errno.EINVAL):
            return OSError(error, os.strerror(error), f"memory of thread {thread}")
    return BadAddressError()


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


class Pidfds:
    """Duplicates descriptors of threads, with a pidfd that is kept for the thread's next call.

    A pidfd belongs to its thread, not to the number: when the number is another thread's,
    the old pidfd finds nothing. Where it can only be of a process, it goes by the leader.
    """

    def __init__(self) -> None:
        self._kept: dict[int, int] = {}

    def duplicate(self, thread: int, fd: int) -> tuple[int, int]:
        """Return what :func:`duplicate` does, and the pidfd, which stays ours.

        Raises:
            OSError: EBADF when the process has no such descriptor.
            GoneError: the thread has ended.

        """
        number = thread if _pidfds_are_of_threads() else _leader(thread)
        pidfd = self._kept.get(number)
        if pidfd is not None:
            try:
                return duplicate(pidfd, fd), pidfd
            except GoneError:
                os.close(self._kept.pop(number))
        pidfd = open_process(number)
        if len(self._kept) >= _MOST_KEPT:
            os.close(self._kept.pop(next(iter(self._kept))))
        self._kept[number] = pidfd
        return duplicate(pidfd, fd), pidfd


@cache
def _pidfds_are_of_threads() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid(), _PIDFD_THREAD))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    return True


class DescriptorPaths:
    """Says under which paths descriptors of threads were opened.

    It keeps ``/proc/TID/fd`` open for the threads that it was asked about, which halves the
    time of the next answer. Such a directory belongs to its thread, not to the number: when
    the number is another thread's, nothing is found in it.
    """

    def __init__(self) -> None:
        self._directories: dict[int, int] = {}

    def path(self, thread: int, fd: int) -> str:
        """Return the path that descriptor `fd` of `thread` was opened under, as it sees it.

        Raises:
            OSError: EBADF when there is no such descriptor.

        """
        name = str(fd & 0xFFFFFFFF)
        directory = self._directories.get(thread)
        if directory is not None:
            try:
                return os.readlink(name, dir_fd=directory)
            except (FileNotFoundError, ProcessLookupError):
                os.close(self._directories.pop(thread))
        try:
            directory = os.open(f"/proc/{thread}/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            if len(self._directories) >= _MOST_KEPT:
                os.close(self._directories.pop(next(iter(self._directories))))
            self._directories[thread] = directory
            return os.readlink(name, dir_fd=directory)
        except (FileNotFoundError, ProcessLookupError) as error:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from error
