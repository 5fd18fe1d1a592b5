"""Directories as the process sees them that made a call. Linux only.

Some facts:

- ``/proc/TID/root`` and ``/proc/TID/cwd`` lead into the mount namespace of a thread. What is looked
  up from there crosses its mounts, not ours.
- ``openat2(2)`` (Linux 5.6) with RESOLVE_IN_ROOT takes absolute paths, ``..`` and symbolic links as
  a process does whose root directory that is. With RESOLVE_BENEATH whatever leaves the directory is
  an error; that serves for paths that begin in a working directory, which is not the root.
- A descriptor with O_PATH opens nothing: no device, no automatic mount, no permission to read.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

from nitrosim.hypervisor.tracee import GoneError, read_memory, read_status

_NR_OPENAT2: Final = 437
_NO_MAGIC_LINKS: Final = 0x02
_BENEATH: Final = 0x08
_IN_ROOT: Final = 0x10
_OPEN_HOW: Final = struct.Struct("=QQQ")
_PAGE: Final = 4096
_CAP_SYS_ADMIN: Final = 21
_STATFS_ROOM: Final = 256

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def read_text(thread: int, address: int) -> bytes | None:
    """Return the text up to the NUL that is at `address` of a thread; None for 4096 or more bytes.

    Raises:
        BadAddressError: it is not readable there.
        GoneError: the process has ended.

    """
    text = b""
    while len(text) < _PAGE:
        # The next page may not be there, and need not.
        at = address + len(text)
        piece, nul, _rest = read_memory(thread, at, _PAGE - at % _PAGE).partition(b"\0")
        text += piece
        if nul:
            return text if len(text) < _PAGE else None
    return None


def open_directory(thread: int, path: bytes) -> int | None:
    """Return a descriptor (O_PATH) of the directory that a thread calls `path`; None for none.

    None too for a relative path that leads out of the working directory. The caller closes it.

    Raises:
        GoneError: the thread has ended.

    """
    absolute = path.startswith(b"/")
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        start = os.open(f"/proc/{thread}/{'root' if absolute else 'cwd'}", flags)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise GoneError from error
    try:
        resolve = _NO_MAGIC_LINKS | (_IN_ROOT if absolute else _BENEATH)
        how = _OPEN_HOW.pack(flags, 0, resolve)
        found: int = _libc.syscall(
            _NR_OPENAT2, start, ctypes.c_char_p(path), how, ctypes.c_size_t(len(how))
        )
    finally:
        os.close(start)
    return found if found >= 0 else None


def magic_of(fd: int) -> int:
    """Return the number that says of what type the file system of a descriptor is, statfs(2)."""
    buffer = ctypes.create_string_buffer(_STATFS_ROOM)
    if _libc.fstatfs(fd, buffer) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    magic: int = struct.unpack_from("=Q", buffer)[0]
    return magic


def may_mount(thread: int) -> bool:
    """Say whether a thread has CAP_SYS_ADMIN, in whichever user namespace it is.

    Raises:
        GoneError: the thread has ended.

    """
    return bool(int(read_status(thread)["CapEff"], 16) & 1 << _CAP_SYS_ADMIN)
