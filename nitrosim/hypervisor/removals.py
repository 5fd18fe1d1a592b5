"""Notice when files are removed from directories (inotify(7)). Linux only.

The standard library has no inotify, so three functions of the C library are called through
ctypes. An event is 16 bytes (watch, mask, cookie, length of the name, all 32 bits) and the name,
padded with NULs to its length. IN_DELETE is the end of a name, IN_MOVED_FROM its change,
IN_MOVED_TO that another file has it now; the watch itself ends, with IN_IGNORED, when its
directory is gone. IN_Q_OVERFLOW takes the place of events of which there were too many at once. A
directory that is watched twice, under whatever path, has one watch with one number: so files are
known here by that number and their name.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nitrosim.hypervisor.loop import Loop

_MOVED_FROM: Final = 0x40
_MOVED_TO: Final = 0x80
_DELETE: Final = 0x200
_OVERFLOW: Final = 0x4000
_IGNORED: Final = 0x8000
_ONLY_DIRECTORY: Final = 0x0100_0000
_EVENT: Final = struct.Struct("=iIII")
_READ_SIZE: Final = 64 * 1024


class Removals:
    """Calls back when one of some files loses its name.

    Making one raises OSError when the system has no inotify instance left.
    """

    def __init__(self, loop: Loop) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(
            self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1"
        )
        self._watches: dict[Path, int] = {}
        self._callbacks: dict[int, dict[bytes, Callable[[], None]]] = {}
        loop.watch(self._fd, lambda _events: self._read())

    def watch(self, file: Path, callback: Callable[[], None]) -> None:
        """Call `callback` once when `file` is removed, replaced or gets another name.

        Raises:
            OSError: its directory cannot be watched.

        """
        mask = _DELETE | _MOVED_FROM | _MOVED_TO | _ONLY_DIRECTORY
        watch = self._checked(
            self._libc.inotify_add_watch(self._fd, os.fsencode(file.parent), mask),
            "inotify_add_watch",
        )
        self._watches[file] = watch
        self._callbacks.setdefault(watch, {})[os.fsencode(file.name)] = callback

    def forget(self, file: Path) -> None:
        """Take back :meth:`watch`; unknown files are ignored."""
        watch = self._watches.pop(file, None)
        if watch is None or watch not in self._callbacks:
            return
        self._callbacks[watch].pop(os.fsencode(file.name), None)
        if watch not in self._watches.values():
            del self._callbacks[watch]
            # Fails when the directory itself is gone, and the watch with it.
            self._libc.inotify_rm_watch(self._fd, watch)

    def _read(self) -> None:
        data = os.read(self._fd, _READ_SIZE)
        at = 0
        while at < len(data):
            watch, mask, _cookie, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = data[at : at + length].rstrip(b"\0")
            at += length
            if mask & _OVERFLOW:
                self._look()
            elif mask & _IGNORED:
                self._callbacks.pop(watch, None)
            else:
                self._call(watch, name)

    def _look(self) -> None:
        """Find out which files are gone, because nobody says so any more."""
        for file, watch in list(self._watches.items()):
            if not os.path.lexists(file):
                self._call(watch, os.fsencode(file.name))

    def _call(self, watch: int, name: bytes) -> None:
        callback = self._callbacks.get(watch, {}).pop(name, None)
        if callback is not None:
            callback()

    @staticmethod
    def _checked(result: int, call: str) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{call}: {os.strerror(number)}")
        return result
