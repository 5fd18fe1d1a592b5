"""Write cpio archives byte for byte as linuxkit does.

The measurements of an image are hashes over its ramdisks, so an image that is built here has
the PCRs of one that nitro-cli builds only if not one byte differs. nitro-cli leaves ramdisks to
linuxkit 1.5.2, with three patches, which leaves headers to the Go package surma/gocpio. Read from
their sources:

* Digits are lower-case. Inodes count up from 721, one for each entry, the trailer included. A
  directory has 2 links, everything else 1. The device of every entry is 3:1. The checksum is 0.
* Headers with names and contents are padded to 4 bytes, the archive behind its trailer to 512.
* The mode of the trailer is 0, as are owner, time and size.
* There are no hard links: the second name of a file becomes a symbolic link to the first, relative
  to its own directory, with the permissions of the file. (The tar archive in between has them.)
* Negative times would be written with a minus sign, larger numbers with more digits: both give
  archives that cannot be read, so they are refused here.

An `Archive` knows its size before a content is opened, as the header of a section needs it, and
can be read as often as its contents can.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from typing import Final

from nitrosim.eif.cpio import CHUNK, HEADER_SIZE, MAGIC, TRAILER, Entry, Kind, padding
from nitrosim.eif.cpio_errors import CpioCode

_FIRST_INODE: Final = 721
_DEVICE: Final = (3, 1)
_ARCHIVE_UNIT: Final = 512
_LARGEST: Final = 0xFFFFFFFF


class Archive:
    """A cpio archive in the making: entries in memory, contents wherever they are.

    Raises `CpioError` for what the format has no place for, when it is made.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(as_linuxkit(entry) for entry in entries)
        size = sum(_entry_size(entry) for entry in self.entries) + _unpadded(TRAILER)
        self.size = size + padding(size, _ARCHIVE_UNIT)
        """The length of the archive in bytes, padding included."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the archive in pieces of about 256 KiB, `size` bytes in all.

        Raises CPIO_CONTENT_SIZE when a content is longer or shorter than it announced: the file
        behind it was changed in between.
        """
        pending = bytearray()
        written = 0
        for inode, entry in enumerate(self.entries, _FIRST_INODE):
            pending += _header(entry, inode)
            for piece in _body(entry):
                pending += piece
                if len(pending) >= CHUNK:
                    written += len(pending)
                    yield bytes(pending)
                    pending.clear()
            pending += bytes(padding(_size(entry), 4))
        trailer = Entry(name=TRAILER, kind=Kind.HARD_LINK, mode=0)
        pending += _header(trailer, _FIRST_INODE + len(self.entries))
        pending += bytes(self.size - written - len(pending))
        yield bytes(pending)


def write_cpio(entries: Iterable[Entry]) -> bytes:
    """Return a small archive as a whole."""
    return b"".join(Archive(entries).chunks())


def as_linuxkit(entry: Entry) -> Entry:
    """Return an entry as it is going to stand in the archive: hard links are symbolic ones.

    Raises `CpioError` for names, numbers and kinds that have no place there.
    """
    if entry.kind is Kind.HARD_LINK:
        target = posixpath.relpath(
            b"/" + entry.target, posixpath.dirname(b"/" + entry.name.rstrip(b"/"))
        )
        entry = Entry(
            name=entry.name,
            kind=Kind.SYMLINK,
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            mtime=entry.mtime,
            target=target,
        )
    _check(entry)
    return entry


def _check(entry: Entry) -> None:
    # DEVIATION: linuxkit writes archives that nobody can read for files of 4 GiB or more and for
    # times before 1970 or after 2106; here the build ends with an error.
    shown = entry.name.decode("utf-8", "backslashreplace")
    if not entry.name or b"\0" in entry.name or entry.name == TRAILER:
        raise CpioCode.CPIO_NAME("the name of an entry", got=entry.name)
    if entry.kind is Kind.SOCKET or entry.group is not None:
        raise CpioCode.CPIO_NOT_WRITABLE(
            f"the entry {shown!r}",
            got="a socket" if entry.kind is Kind.SOCKET else "a hard link by its inode",
            expected="what a tar archive can hold",
        )
    numbers = {
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime": entry.mtime,
        "size": _size(entry),
        "device major": entry.device[0],
        "device minor": entry.device[1],
    }
    for name, number in numbers.items():
        if not 0 <= number <= _LARGEST:
            raise CpioCode.CPIO_FIELD_RANGE(
                f"the {name} of {shown!r}", got=number, expected=f"0 to {_LARGEST}"
            )


def _header(entry: Entry, inode: int) -> bytes:
    numbers = (
        inode,
        entry.kind.value << 12 | entry.mode & 0o7777,
        entry.uid,
        entry.gid,
        2 if entry.kind is Kind.DIRECTORY else 1,
        entry.mtime,
        _size(entry),
        *_DEVICE,
        *entry.device,
        len(entry.name) + 1,
        0,
    )
    header = MAGIC + b"".join(b"%08x" % number for number in numbers) + entry.name + b"\0"
    return header + bytes(padding(len(header), 4))


def _size(entry: Entry) -> int:
    if entry.kind is Kind.FILE:
        return entry.content.size
    return len(entry.target) if entry.kind is Kind.SYMLINK else 0


def _body(entry: Entry) -> Iterator[bytes]:
    if entry.kind is Kind.SYMLINK:
        yield entry.target
        return
    left = _size(entry)
    for piece in entry.content.chunks() if entry.kind is Kind.FILE else ():
        left -= len(piece)
        if left < 0:
            break
        yield piece
    if left:
        raise CpioCode.CPIO_CONTENT_SIZE(
            f"the content of {entry.name.decode('utf-8', 'backslashreplace')!r}",
            got="more" if left < 0 else f"{_size(entry) - left} bytes",
            expected=f"{_size(entry)} bytes",
        )


def _unpadded(name: bytes) -> int:
    length = HEADER_SIZE + len(name) + 1
    return length + padding(length, 4)


def _entry_size(entry: Entry) -> int:
    size = _size(entry)
    return _unpadded(entry.name) + size + padding(size, 4)
