"""Read tar archives: the layers of container images, and the archives that images come in.

Written for layers, which are pax archives by Go, Python or GNU programs, and for archives made
to do harm. The facts, from POSIX.1-2017 (``pax``), the GNU tar manual and what writers do:

* An entry is a header of 512 bytes, then its data padded to 512. The header's checksum is the sum
  of its bytes, unsigned, with the checksum itself taken as spaces; old writers summed signed bytes.
* Numbers are octal digits, or base 256 if the first bit is set; the latter may be negative, and a
  negative size must not take the reader backwards.
* Records of a pax header (type ``x`` for the next entry, ``g`` for all that follow) are
  ``LENGTH key=value``; they override the header. GNU writes long names as entries of type ``L``
  and ``K`` instead.
* GNU's sparse files come in four versions: a map in the header (type ``S``), in pax records
  (0.0 and 0.1), or in front of the data (1.0, the present one). The size in the header is then
  that of what is stored, and the real name and size stand elsewhere.
* An archive ends with two blocks of zeros, which some writers forget. Readers (Go's among them)
  accept an end at a block boundary; so does this one. An end anywhere else is an error.

Only the position of data is kept: a `Member` says where in the archive its bytes are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from nitrosim.images.errors import ImageCode
from nitrosim.images.tar_sparse import Extents, map_in_data, map_in_header, map_in_records

BLOCK: Final = 512
_EXTENSION_LIMIT: Final = 1 << 20
"""Bytes of an extended header or long name, as Go's reader has it."""
_LONG_NAME, _LONG_TARGET, _PAX, _PAX_GLOBAL, _GNU_SPARSE = b"L", b"K", b"x", b"g", b"S"
_EXTENSIONS: Final = frozenset((_LONG_NAME, _LONG_TARGET, _PAX, _PAX_GLOBAL))
_DATA_KINDS: Final = frozenset((b"0", b"\0", b"7", _GNU_SPARSE))
_KNOWN: Final = _DATA_KINDS | frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a tar archive.

    `kind` is the type flag, ``0`` for every kind of file; names are bytes and as they stand;
    `mtime` is in seconds, rounded down. `size` is that of the file as a program sees it, and
    `extents` says where its bytes are in the archive: (position in the file, position in the
    archive, length), in order and without overlap; what lies between are zeros.
    """

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    target: bytes
    device: tuple[int, int]
    extents: Extents


def read_tar(file: IO[bytes], start: int, size: int) -> Iterator[Member]:
    """Yield the entries of an archive of `size` bytes that begins at `start` of a seekable file.

    The file is positioned for every entry, so others may use it in between. Raises `ImageError`.
    """
    at, end = start, start + size
    global_records: dict[bytes, bytes] = {}
    local: dict[bytes, bytes] = {}
    while at < end:
        header = _read(file, at, BLOCK, end)
        if not any(header):
            return
        flag = _check(header)
        size_of_data = _number(header[124:136], "size")
        data = at + BLOCK
        if flag in _EXTENSIONS:
            found = _extension(file, flag, (data, size_of_data, end))
            # GNU's long names and pax records are never mixed by one writer.
            (global_records if flag == _PAX_GLOBAL else local).update(found)
            at = data + _rounded(size_of_data)
            continue
        records, local = global_records | local, {}
        if b"size" in records:
            size_of_data = _decimal(records[b"size"], "size")
        if flag not in _DATA_KINDS:
            # Old writers give hard links the size of their file; no reader expects the data.
            size_of_data = size_of_data if flag not in _KNOWN else 0
        if data + size_of_data > end:
            raise ImageCode.TAR_TRUNCATED(
                "a tar archive",
                got=f"{end - data} bytes",
                expected=f"{size_of_data} bytes of {_name(header)!r}",
            )
        if flag in _KNOWN:
            member, at = _member(file, header, records, (data, size_of_data, end))
            yield member
        else:
            raise ImageCode.TAR_KIND(f"the kind of {_name(header)!r}", got=flag)


def _extension(file: IO[bytes], flag: bytes, place: tuple[int, int, int]) -> dict[bytes, bytes]:
    """Return what an extended header says, a long name of GNU's as if it were a pax record."""
    data, size, end = place
    if size > _EXTENSION_LIMIT:
        raise ImageCode.TAR_EXTENSION(
            "the size of an extended header", got=size, expected=f"at most {_EXTENSION_LIMIT}"
        )
    body = _read(file, data, size, end)
    if flag in (_PAX, _PAX_GLOBAL):
        return _records(body)
    return {b"path" if flag == _LONG_NAME else b"linkpath": body.split(b"\0")[0]}


def _member(
    file: IO[bytes],
    header: bytes,
    records: dict[bytes, bytes],
    place: tuple[int, int, int],
) -> tuple[Member, int]:
    """Return an entry, and where the next one begins."""
    data, stored, end = place
    flag = header[156:157]
    name = records.get(b"path") or _name(header)
    size = stored
    extents: Extents = ((0, data, stored),) if stored else ()
    after = data
    if flag == _GNU_SPARSE:
        size, extents, after = map_in_header(file, header, data, end)
    elif flag in _DATA_KINDS and records.get(b"GNU.sparse.major") == b"1":
        size, extents = map_in_data(file, records, data, stored)
    elif flag in _DATA_KINDS and b"GNU.sparse.size" in records:
        size, extents = map_in_records(records, data, stored)
    if flag in _DATA_KINDS:
        name = records.get(b"GNU.sparse.name", name)
        # A file whose name ends with a slash is a directory to all writers before POSIX.
        flag = b"5" if name.endswith(b"/") and flag in (b"0", b"\0") else b"0"
    member = Member(
        name=name,
        kind=flag,
        mode=_number(header[100:108], "mode") & 0o7777,
        uid=_owner(records, b"uid", header[108:116]),
        gid=_owner(records, b"gid", header[116:124]),
        mtime=_time(records, header[136:148]),
        size=size if flag == b"0" else 0,
        target=records.get(b"linkpath") or header[157:257].split(b"\0")[0],
        device=_device(header) if flag in (b"3", b"4") else (0, 0),
        extents=extents if flag == b"0" else (),
    )
    return member, after + _rounded(stored)


def _read(file: IO[bytes], at: int, count: int, end: int) -> bytes:
    file.seek(at)
    found = file.read(min(count, max(end - at, 0)))
    if len(found) < count:
        raise ImageCode.TAR_TRUNCATED(
            "a tar archive", got=f"{len(found)} bytes", expected=f"{count} bytes at {at}"
        )
    return found


def _check(header: bytes) -> bytes:
    """Return the type flag of a header whose checksum is right."""
    stored = _number(header[148:156], "checksum")
    unsigned = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if stored == unsigned:
        return header[156:157]
    signed = unsigned - 256 * sum(byte > 127 for byte in header[:148] + header[156:])
    if stored != signed:
        raise ImageCode.TAR_HEADER("the checksum of a tar header", got=stored, expected=unsigned)
    return header[156:157]


def _number(text: bytes, what: str, *, signed: bool = False) -> int:
    if text[0] & 0x80:
        width = len(text) * 8 - 1
        value = int.from_bytes(text, "big") & (1 << width) - 1
        if text[0] & 0x40:
            value -= 1 << width
    else:
        digits = text.split(b"\0")[0].strip(b" ")
        if digits.strip(b"01234567"):
            raise ImageCode.TAR_HEADER(f"the {what} in a tar header", got=text, expected="octal")
        value = int(digits, 8) if digits else 0
    if value < 0 and not signed:
        raise ImageCode.TAR_HEADER(f"the {what} in a tar header", got=value, expected="0 or more")
    return value


def _decimal(text: bytes, what: str) -> int:
    if not text.isdigit() or len(text) > 19:
        raise ImageCode.TAR_EXTENSION(f"the {what} in a pax record", got=text, expected="a number")
    return int(text)


def _records(body: bytes) -> dict[bytes, bytes]:
    """Return the records of a pax header; a value that is empty deletes what came before."""
    found: dict[bytes, bytes] = {}
    offsets: list[bytes] = []
    at = 0
    while at < len(body):
        length, space, _ = body[at : at + 20].partition(b" ")
        end = at + int(length) if length.isdigit() else 0
        key, equals, value = body[at + len(length) + 1 : max(end - 1, 0)].partition(b"=")
        if not (space and equals and end <= len(body) and body[end - 1 : end] == b"\n"):
            raise ImageCode.TAR_EXTENSION("a pax record", got=body[at : at + 40])
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            # Version 0.0 repeats the two for every piece; 0.1 puts them into one list.
            offsets.append(value)
            found[b"GNU.sparse.map"] = b",".join(offsets)
        elif key in (b"path", b"linkpath", b"GNU.sparse.name") and b"\0" in value:
            raise ImageCode.TAR_EXTENSION(f"the {key.decode()} in a pax record", got=value)
        else:
            found[key] = value
        at = end
    return found


def _owner(records: dict[bytes, bytes], key: bytes, text: bytes) -> int:
    given = records.get(key)
    return _decimal(given, key.decode()) if given else _number(text, key.decode())


def _time(records: dict[bytes, bytes], text: bytes) -> int:
    given = records.get(b"mtime")
    if not given:
        return _number(text, "time", signed=True)
    try:
        return math.floor(float(given))
    except (ValueError, OverflowError) as exc:
        raise ImageCode.TAR_EXTENSION("the mtime in a pax record", got=given) from exc


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name


def _device(header: bytes) -> tuple[int, int]:
    return _number(header[329:337], "device"), _number(header[337:345], "device")


def _rounded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
