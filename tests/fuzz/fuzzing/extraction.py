"""What a directory must look like after a ramdisk was unpacked into it, and what is around it.

`expected` says it from the entries alone, on dictionaries, for ramdisks in which no name leads
through a symbolic link. `Room` is a directory with things in it that nobody may touch, around a
place to unpack to.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fuzzing import newc

if TYPE_CHECKING:
    from types import TracebackType

LONGEST_PART = 255
"""Bytes of a name in a directory, in most file systems."""

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where files cost nothing, if there is such a place."""
_LEFT_OUT = {newc.CHARACTER, newc.BLOCK, newc.SOCKET}


class NoOpinionError(Exception):
    """A name leads through a symbolic link, or is longer than a file system takes."""


class LeadsUpError(Exception):
    """A name has `..` in it, which ends the unpacking."""


class TooMuchError(Exception):
    """The files have more bytes than may be."""


@dataclass(slots=True, eq=False)
class Inode:
    """A file, directory, link or pipe; several names may have the same."""

    kind: int
    mode: int
    mtime: int
    data: bytes = b""

    def facts(self, links: int) -> tuple[object, ...]:
        """Return what can be seen from outside; `links` is the number of names."""
        if self.kind == newc.SYMLINK:
            return self.kind, self.data, self.mtime
        if self.kind == newc.DIRECTORY:
            return self.kind, self.mode & 0o1777 | 0o700, self.mtime
        return self.kind, self.mode & 0o777, self.mtime, links, self.data


def expected(archives: list[list[newc.Item]], limit: int) -> dict[bytes, tuple[object, ...]]:
    """Return the paths in a directory after unpacking, each with what is there.

    Raises `LeadsUpError`, `TooMuchError` where unpacking must end so, and `NoOpinionError`.
    """
    tree: dict[tuple[bytes, ...], Inode] = {}
    written = 0
    for archive in archives:
        groups: dict[tuple[int, ...], tuple[bytes, ...]] = {}
        for item in archive:
            parts = _parts(item.name)
            if not parts or item.kind in _LEFT_OUT or not _has_parent(tree, parts):
                continue
            if not _is_free(tree, parts, item.kind):
                continue
            written += len(item.data) if item.kind == newc.FILE else 0
            if written > limit:
                raise TooMuchError
            _put(tree, parts, item, groups)
    names = list(tree.values())
    return {b"/".join(parts): inode.facts(names.count(inode)) for parts, inode in tree.items()}


def _parts(name: bytes) -> tuple[bytes, ...]:
    parts = tuple(part for part in name.split(b"/") if part not in {b"", b"."})
    if b".." in parts:
        raise LeadsUpError
    if any(len(part) > LONGEST_PART for part in parts):
        raise NoOpinionError
    return parts


def _has_parent(tree: dict[tuple[bytes, ...], Inode], parts: tuple[bytes, ...]) -> bool:
    for end in range(1, len(parts)):
        inode = tree.get(parts[:end])
        if inode is not None and inode.kind == newc.SYMLINK:
            raise NoOpinionError
        if inode is None or inode.kind != newc.DIRECTORY:
            return False
    return True


def _is_free(tree: dict[tuple[bytes, ...], Inode], parts: tuple[bytes, ...], kind: int) -> bool:
    """Clear the place for an entry, unless a directory with something in it is there."""
    there = tree.get(parts)
    if there is None or there.kind == kind == newc.DIRECTORY:
        return True
    if there.kind == newc.DIRECTORY and any(p[: len(parts)] == parts != p for p in tree):
        return False
    del tree[parts]
    return True


def _put(
    tree: dict[tuple[bytes, ...], Inode],
    parts: tuple[bytes, ...],
    item: newc.Item,
    groups: dict[tuple[int, ...], tuple[bytes, ...]],
) -> None:
    data = item.data if item.kind in {newc.FILE, newc.SYMLINK} else b""
    made = Inode(item.kind, item.numbers["mode"], item.numbers["mtime"], data)
    if item.kind == newc.FILE and item.numbers["links"] > 1:
        key = tuple(item.numbers[name] for name in ("inode", "major", "minor"))
        first = groups.setdefault(key, parts)
        shared = tree.get(first)
        if first != parts and _has_parent(tree, first) and shared and shared.kind == newc.FILE:
            if item.data:
                shared.mode, shared.mtime, shared.data = made.mode, made.mtime, made.data
            made = shared
    tree[parts] = made


def found(target: Path) -> dict[bytes, tuple[object, ...]]:
    """Return the paths in a directory, each with what is there."""
    tree: dict[bytes, tuple[object, ...]] = {}
    for path in sorted(target.rglob("*")):
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        kind = stat.S_IFMT(status.st_mode) >> 12
        data = b""
        if kind == newc.SYMLINK:
            data = os.fsencode(path.readlink())
        elif kind == newc.FILE:
            # Whoever unpacks is often not root, and files may forbid reading.
            path.chmod(0o600)
            data = path.read_bytes()
            path.chmod(mode)
        inode = Inode(kind, mode, status.st_mtime_ns // 10**9, data)
        tree[os.fsencode(path.relative_to(target))] = inode.facts(status.st_nlink)
    return tree


def size(target: Path) -> int:
    """Return the bytes of all files below a directory, each counted once."""
    states = (path.lstat() for path in target.rglob("*"))
    files = {state.st_ino: state.st_size for state in states if stat.S_ISREG(state.st_mode)}
    return sum(files.values())


class Room:
    """A directory with a file and a folder in it, and `target`, a path to unpack to."""

    def __enter__(self) -> Self:
        self.path = Path(tempfile.mkdtemp(prefix="nitrosim-fuzz-", dir=MEMORY))
        self.target = self.path / "target"
        folder = self.path / "folder"
        folder.mkdir()
        for file in (self.path / "kept", folder / "kept"):
            file.write_bytes(b"kept")
            file.chmod(0o640)
        self.target.mkdir()
        self._before = self._around()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.path)

    def is_untouched(self) -> bool:
        """Tell whether all around the target is as it was."""
        return self._before == self._around() and not self.target.is_symlink()

    def _around(self) -> list[object]:
        folder = self.path / "folder"
        paths = [self.path, self.path / "kept", folder, folder / "kept", self.target]
        states = [path.lstat() for path in paths]
        facts: list[object] = [
            (state.st_ino, state.st_mode, state.st_nlink, state.st_size, state.st_mtime_ns)
            # What is in the target may change, and with it the target.
            for state in states[:-1]
        ]
        return [*facts, states[-1].st_ino, sorted(self.path.iterdir()), sorted(folder.iterdir())]
