"""Directories below a target, opened one from the other, as if the target were the root.

``openat2(2)`` with RESOLVE_IN_ROOT would do this in one call; Python has no binding for it and
other systems have nothing like it, so paths are walked by hand.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_OPEN: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_MOST_LINKS: Final = 40
"""Symbolic links that a path may lead through, as in Linux."""


class Folders:
    """Opens directories below `root`; the last one stays open, because the next name is near."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        self._last: tuple[tuple[bytes, ...], int] | None = None
        self._stale = False

    def open(self, parts: tuple[bytes, ...]) -> int | None:
        """Return a descriptor of a directory, valid until the next call; None if there is none."""
        if self._last is not None and self._last[0] == parts and not self._stale:
            return self._last[1]
        self._close_last()
        found = self.open_again(parts)
        if found is not None:
            self._last = parts, found
        return found

    def open_again(self, parts: tuple[bytes, ...]) -> int | None:
        """Return a descriptor of a directory that the caller closes; None if there is none.

        `parts` have no ``..``; the targets of symbolic links may.
        """
        path = [os.dup(self._root)]
        try:
            if not self._walk(path, parts):
                return None
            return path.pop()
        finally:
            for descriptor in path:
                os.close(descriptor)

    def forget(self) -> None:
        """Look every path up anew: something was removed, names may lead elsewhere."""
        self._stale = True

    def close(self) -> None:
        """Close all that is open."""
        self._close_last()
        os.close(self._root)

    def _close_last(self) -> None:
        if self._last is not None:
            os.close(self._last[1])
        self._last, self._stale = None, False

    def _walk(self, path: list[int], parts: tuple[bytes, ...]) -> bool:
        """Open one directory after the other onto `path`; False if one is not there."""
        left = list(reversed(parts))
        links = 0
        while left:
            part = left.pop()
            if part == b"..":
                if len(path) > 1:
                    os.close(path.pop())
                continue
            try:
                path.append(os.open(part, _OPEN, dir_fd=path[-1]))
            except FileNotFoundError:
                return False
            except OSError as exc:
                # Neither a directory nor absent: a symbolic link (ENOTDIR, elsewhere ELOOP), or
                # something that nothing can be put into.
                links += 1
                target = _link_target(part, path[-1])
                if target is None and not isinstance(exc, NotADirectoryError):
                    raise
                if target is None or links > _MOST_LINKS:
                    return False
                if target.startswith(b"/"):
                    while len(path) > 1:
                        os.close(path.pop())
                left += reversed([p for p in target.split(b"/") if p not in (b"", b".")])
        return True


def _link_target(name: bytes, folder: int) -> bytes | None:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None
