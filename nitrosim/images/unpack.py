"""Write a tree of entries below a directory, as an ordinary user, and nowhere else.

The entries come from a ramdisk or an image, so from somebody else. Known ways out of a directory
are names with ``..``, absolute names, a symbolic link followed by a name that leads through it,
hard links to what lies outside, and names that change their kind half-way. All of them rely on a
path being resolved by the system. Here none is: every directory is opened from the one
above it (``openat(2)`` with O_NOFOLLOW), beginning with the target, and symbolic links on the way
are resolved by hand as if the target were the root of the file system. A link to ``/etc`` leads to
``etc`` in the target; ``..`` above the target stays there.

What the Linux kernel does with a ramdisk decides what entries mean (``init/initramfs.c``): a later
entry replaces an earlier one, but a directory with something in it stays; what has no parent
directory is left out; hard links are found by inode, and any of them may bring the data.

Owners are recorded and not applied, which needs privileges; devices are left out for the same
reason, and reported. Set-user-ID bits are never set: the files belong to whoever unpacks. A
directory is always accessible to its owner, so that it can be removed again.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nitrosim.eif.cpio import CHUNK, Entry, Kind
from nitrosim.images.errors import ImageCode, shown
from nitrosim.images.folders import Folders

# DEVIATION: files that are unpacked belong to whoever unpacks them and have no set-user-ID or
# set-group-ID bits, because anything else needs privileges; in an enclave of hardware files have
# the owners and bits of the image.
_NOT_APPLIED: Final = 0o6000
"""Set-user-ID and set-group-ID."""
_ZEROS: Final = bytes(CHUNK)
_LATEST: Final = (1 << 33) - 1
"""Seconds since 1970 that every file system can store, more or less."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was written, and what was not.

    Attributes:
        size: the bytes of all files.
        owners: name -> (uid, gid) of what does not belong to 0:0 in the archive.
        privileged: names that have lost their set-user-ID or set-group-ID bit.
        devices: the device nodes and sockets that were left out.
        skipped: (name, reason) of what was left out as the kernel would leave it out.

    """

    size: int = 0
    owners: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    privileged: tuple[bytes, ...] = ()
    devices: tuple[Entry, ...] = ()
    skipped: tuple[tuple[bytes, str], ...] = ()


def unpack(
    entries: Iterable[Entry], target: Path, *, below: bytes = b"", limit: int | None = None
) -> Unpacked:
    """Write entries into `target`, which is made if need be and should be empty.

    Of the entries only those in the directory `below` are written, relative to it. `limit` is
    the number of bytes that all files together may have. Raises UNPACK_PATH for a name with
    ``..``, UNPACK_LIMIT, and UNPACK_WRITE when the system refuses; and what the entries raise.
    """
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    writer = _Writer(Folders(target), limit)
    try:
        for entry in entries:
            parts = _relative(split_path(entry.name), below)
            if parts is None:
                continue
            with _reported(entry.name):
                writer.write(entry, parts, below)
        with _reported(b"."):
            writer.finish()
    finally:
        writer.folders.close()
    return Unpacked(
        size=writer.size,
        owners=writer.owners,
        privileged=tuple(writer.privileged),
        devices=tuple(writer.devices),
        skipped=tuple(writer.skipped),
    )


def split_path(name: bytes) -> tuple[bytes, ...]:
    """Return the parts of a name; UNPACK_PATH if one of them is ``..``."""
    parts = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if b".." in parts or b"\0" in name:
        raise ImageCode.UNPACK_PATH("the name of an entry", got=name, expected="no .. in it")
    return parts


def _relative(parts: tuple[bytes, ...], below: bytes) -> tuple[bytes, ...] | None:
    base = split_path(below)
    return parts[len(base) :] if parts[: len(base)] == base else None


@contextmanager
def _reported(name: bytes) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ImageCode.UNPACK_WRITE(
            f"writing {shown(name)}", got=exc.strerror or type(exc).__name__
        ) from exc


class _Writer:
    """The state of one unpacking."""

    def __init__(self, folders: Folders, limit: int | None) -> None:
        self.folders = folders
        self.size = 0
        self.owners: dict[bytes, tuple[int, int]] = {}
        self.privileged: dict[bytes, None] = {}
        self.devices: list[Entry] = []
        self.skipped: list[tuple[bytes, str]] = []
        self._limit = limit
        self._modes: dict[tuple[bytes, ...], Entry] = {}
        self._groups: dict[tuple[int, ...], tuple[bytes, ...]] = {}

    def write(self, entry: Entry, parts: tuple[bytes, ...], below: bytes) -> None:
        """Write one entry at a path relative to the target."""
        if not parts:
            if entry.kind is Kind.DIRECTORY:
                self._modes[parts] = entry
                self._record(entry)
            return
        if entry.kind in (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE, Kind.SOCKET):
            # DEVIATION: device nodes and sockets of an image are left out when it is unpacked.
            self.devices.append(entry)
            return
        folder = self.folders.open(parts[:-1])
        if folder is None:
            self.skipped.append((entry.name, "there is no directory to put it into"))
            return
        if self._make_way(entry, folder, parts) and self._make(entry, folder, parts, below):
            self._record(entry)

    def _make(self, entry: Entry, folder: int, parts: tuple[bytes, ...], below: bytes) -> bool:
        """Make what nothing is in the way of any more; False if that is impossible."""
        name = parts[-1]
        if entry.kind is Kind.DIRECTORY:
            if _kind(folder, name) is None:
                os.mkdir(name, 0o700, dir_fd=folder)
            self._modes[parts] = entry
        elif entry.kind is Kind.SYMLINK:
            os.symlink(entry.target, name, dir_fd=folder)
            os.utime(name, ns=_times(entry), dir_fd=folder, follow_symlinks=False)
        elif entry.kind is Kind.FIFO:
            os.mkfifo(name, 0o600, dir_fd=folder)
            os.chmod(name, entry.mode & 0o777, dir_fd=folder)
            os.utime(name, ns=_times(entry), dir_fd=folder)
        elif entry.kind is Kind.HARD_LINK:
            target = _relative(split_path(entry.target), below)
            if not self._link(target, folder, name, (stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO)):
                self.skipped.append((entry.name, "there is no file that it could be a link to"))
                return False
        else:
            self._write_file(entry, folder, parts)
        return True

    def finish(self) -> None:
        """Give the directories their modes and times, which writing into them has changed."""
        for parts, entry in sorted(self._modes.items(), key=lambda item: -len(item[0])):
            folder = self.folders.open(parts)
            if folder is not None:
                # DEVIATION: the owner of an unpacked directory may always read, write and search
                # it, whatever mode the image gives it, so that it can be removed again.
                os.fchmod(folder, entry.mode & 0o1777 | 0o700)
                os.utime(folder, ns=_times(entry))

    def _make_way(self, entry: Entry, folder: int, parts: tuple[bytes, ...]) -> bool:
        """Remove what stands where an entry goes; False if that has to stay."""
        name = parts[-1]
        found = _kind(folder, name)
        if found is None:
            return True
        if found != stat.S_IFDIR:
            os.unlink(name, dir_fd=folder)
        elif entry.kind is Kind.DIRECTORY:
            return True
        else:
            try:
                os.rmdir(name, dir_fd=folder)
            except OSError as exc:
                if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                self.skipped.append((entry.name, "a directory with something in it stands there"))
                return False
        self.folders.forget()
        self._modes.pop(parts, None)
        self.owners.pop(entry.name, None)
        self.privileged.pop(entry.name, None)
        return True

    def _write_file(self, entry: Entry, folder: int, parts: tuple[bytes, ...]) -> None:
        name = parts[-1]
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        if entry.group is not None:
            first = self._groups.setdefault(entry.group, parts)
            if first != parts and self._link(first, folder, name, (stat.S_IFREG,)):
                if not entry.content.size:
                    return
                # The name is that of a regular file, so this follows no symbolic link.
                os.chmod(name, 0o600, dir_fd=folder)
                flags = os.O_WRONLY | os.O_TRUNC
        descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            for piece in entry.content.chunks():
                self.size += len(piece)
                if self._limit is not None and self.size > self._limit:
                    raise ImageCode.UNPACK_LIMIT(
                        "the size of all files",
                        got=f"over {self._limit} bytes",
                        expected=self._limit,
                    )
                _write_piece(descriptor, piece)
            os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR))
            os.fchmod(descriptor, entry.mode & 0o777)
            os.utime(descriptor, ns=_times(entry))
        finally:
            os.close(descriptor)

    def _link(
        self,
        target: tuple[bytes, ...] | None,
        folder: int,
        name: bytes,
        kinds: tuple[int, ...],
    ) -> bool:
        """Give what was written here a further name; False unless it is of one of `kinds`."""
        source = self.folders.open_again(target[:-1]) if target else None
        if not target or source is None:
            return False
        try:
            if _kind(source, target[-1]) not in kinds:
                return False
            os.link(target[-1], name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(source)
        return True

    def _record(self, entry: Entry) -> None:
        if (entry.uid, entry.gid) != (0, 0):
            self.owners[entry.name] = (entry.uid, entry.gid)
        if entry.mode & _NOT_APPLIED and entry.kind in (Kind.FILE, Kind.DIRECTORY):
            self.privileged[entry.name] = None


def _kind(folder: int, name: bytes) -> int | None:
    """Return the type of what stands there, as ``stat.S_IFMT`` has it; None if nothing does."""
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return None


def _write_piece(descriptor: int, piece: bytes) -> None:
    if len(piece) <= len(_ZEROS) and piece == _ZEROS[: len(piece)]:
        os.lseek(descriptor, len(piece), os.SEEK_CUR)
        return
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]


def _times(entry: Entry) -> tuple[int, int]:
    nanoseconds = min(max(entry.mtime, 0), _LATEST) * 1_000_000_000
    return nanoseconds, nanoseconds
