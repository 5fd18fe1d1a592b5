"""Ramdisks read and written once more, plainly and as a whole, sharing no code with the package.

`read` is a second opinion: it accepts what the reader under test must accept and nothing else,
with the decompressors of the standard library called once for all that is there.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from dataclasses import dataclass, field
from typing import Any

TRAILER = b"TRAILER!!!"
FIELDS = ("inode", "mode", "uid", "gid", "links", "mtime", "size", "major", "minor",
          "special_major", "special_minor", "name_size", "check")  # fmt: skip
"""The numbers of a header, in their order."""

FIFO, CHARACTER, DIRECTORY, BLOCK, FILE, SYMLINK, SOCKET = 1, 2, 4, 6, 8, 10, 12
"""Kinds of files: a mode shifted down by twelve bits."""

MOST_BYTES = 1 << 20
"""A stream that gives more than this is not looked into."""

_MOST_MEMORY = 1 << 28
_PATH_MAX = 4096
_HEADER = 110
_COMPRESSED = (b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh", b"\x5d\x00\x00")
_UNKNOWN = (b"\x28\xb5\x2f\xfd", b"\x89LZO\x00", b"\x02\x21\x4c\x18", b"\x04\x22\x4d\x18")
"""zstd, which a package reads or not; and lzo and lz4."""


class UndecidedError(Exception):
    """There is no second opinion about these bytes: a stream of an odd kind, or a large one."""


class RefusedError(Exception):
    """No ramdisk."""


@dataclass(slots=True)
class Item:
    """One entry as it stands in its archive: the numbers by their names, the name, the data."""

    name: bytes
    data: bytes = b""
    numbers: dict[str, int] = field(default_factory=dict)
    checksum: bool = False

    @property
    def kind(self) -> int:
        """The kind of file."""
        return self.numbers.get("mode", 0o100644) >> 12

    def copy(self) -> Item:
        """Return another one with the same content."""
        return Item(self.name, self.data, dict(self.numbers), self.checksum)


def item(name: bytes, kind: int, data: bytes = b"", **numbers: int) -> Item:
    """Make an entry of a kind, with usual permissions unless `numbers` has others."""
    return Item(name, data, {"mode": kind << 12 | 0o755, **numbers})


def read(data: bytes) -> list[list[Item]]:
    """Return the entries of each archive. Raises `RefusedError`, `UndecidedError`."""
    archives: list[list[Item]] = []
    at = _behind_zeros(data, 0)
    while at < len(data):
        if data.startswith(_UNKNOWN, at):
            raise UndecidedError
        if data.startswith(_COMPRESSED, at):
            inside, at = _decompressed(data, at)
            inner = _behind_zeros(inside, 0)
            while inner < len(inside):
                items, inner = _archive(inside, inner)
                archives.append(items)
                inner = _behind_zeros(inside, inner)
        else:
            items, at = _archive(data, at)
            archives.append(items)
        at = _behind_zeros(data, at)
    return archives


def write(items: list[Item], *, unit: int = 4) -> bytes:
    """Write one archive: sizes, inodes and checksums as they must be unless `numbers` says more."""
    made = b"".join(map(_entry, range(1, len(items) + 1), items))
    made += _entry(0, Item(TRAILER, numbers={"mode": 0}))
    return made + bytes(-len(made) % unit)


def compressed(data: bytes, way: str) -> bytes:
    """Compress in one of the `WAYS`."""
    return WAYS[way](data)


def _gzip(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=31)
    return stream.compress(data) + stream.flush()


WAYS: dict[str, Any] = {
    "none": bytes,
    "gzip": _gzip,
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(data, lzma.FORMAT_XZ, preset=0),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=0),
}
"""The compressions that every Python can write."""


def _entry(position: int, entry: Item) -> bytes:
    numbers = {
        "inode": position,
        "mode": FILE << 12 | 0o644,
        "links": 1,
        "size": len(entry.data),
        "name_size": len(entry.name) + 1,
        "check": sum(entry.data) & 0xFFFFFFFF if entry.checksum else 0,
        **entry.numbers,
    }
    magic = b"070702" if entry.checksum else b"070701"
    digits = b"".join(b"%08x" % (numbers.get(name, 0) & 0xFFFFFFFF) for name in FIELDS)
    head = magic + digits + entry.name + b"\0"
    return _padded(head) + _padded(entry.data)


def _archive(data: bytes, at: int) -> tuple[list[Item], int]:
    """Read one archive that begins at `at`; return its entries and where it ends."""
    if at % 4:
        raise RefusedError
    items: list[Item] = []
    while True:
        magic, digits = data[at : at + 6], data[at + 6 : at + _HEADER]
        if magic not in (b"070701", b"070702") or not re.fullmatch(rb"[0-9A-Fa-f]{104}", digits):
            raise RefusedError
        values = (int(digits[place : place + 8], 16) for place in range(0, 104, 8))
        numbers = dict(zip(FIELDS, values, strict=True))
        length = numbers["name_size"]
        name = data[at + _HEADER : at + _HEADER + length]
        if not 2 <= len(name) == length <= _PATH_MAX or name.find(0) + 1 != length:
            raise RefusedError
        at += _HEADER + length + -(_HEADER + length) % 4
        content = data[at : at + numbers["size"]]
        if at > len(data) or len(content) < numbers["size"]:
            raise RefusedError
        at += len(content)
        found = Item(name[:-1], content, numbers, checksum=magic == b"070702")
        if found.name == TRAILER:
            return items, at
        _check(found)
        items.append(found)
        at += -len(content) % 4


def _check(found: Item) -> None:
    kind, content = found.kind, found.data
    if kind not in {FIFO, CHARACTER, DIRECTORY, BLOCK, FILE, SYMLINK, SOCKET}:
        raise RefusedError
    if kind == SYMLINK and (not 0 < len(content) < _PATH_MAX or b"\0" in content):
        raise RefusedError
    if kind == FILE and content and found.checksum and sum(content) != found.numbers["check"]:
        raise RefusedError


def _decompressed(data: bytes, at: int) -> tuple[bytes, int]:
    """Return what a stream holds, and where it ends."""
    decoder: Any
    if data.startswith(b"\x1f\x8b", at):
        decoder = zlib.decompressobj(wbits=31)
    elif data.startswith(b"BZh", at):
        decoder = bz2.BZ2Decompressor()
    else:
        decoder = lzma.LZMADecompressor(memlimit=_MOST_MEMORY)
    try:
        inside = decoder.decompress(data[at:], MOST_BYTES)
    except (zlib.error, OSError, EOFError, lzma.LZMAError) as error:
        raise RefusedError from error
    if len(inside) >= MOST_BYTES:
        raise UndecidedError
    if not decoder.eof:
        raise RefusedError
    return inside, len(data) - len(decoder.unused_data)


def _behind_zeros(data: bytes, at: int) -> int:
    return len(data) - len(data[at:].lstrip(b"\0"))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
