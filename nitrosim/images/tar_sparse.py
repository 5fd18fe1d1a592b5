"""Where the bytes of sparse files are in a tar archive, in the four versions of GNU's format.

Sources: the GNU tar manual, "Storing Sparse Files", and archives that GNU tar writes. A map is
a list of pieces (position in the file, length); their bytes follow one another in the archive.
Old archives (type ``S``) have four pieces in the header and 21 in every further block; versions 0.0
and 0.1 have them in pax records; version 1.0 has them as decimal lines in front of the data,
padded to 512 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Final

from nitrosim.images.errors import ImageCode, ImageError

Extents = tuple[tuple[int, int, int], ...]
"""Pieces of a file: (position in the file, position in the archive, length)."""

_BLOCK: Final = 512
_MOST_PIECES: Final = 1 << 17
_PIECE: Final = 24
"""Bytes of a piece in a header: position and length, twelve bytes each."""


def map_in_header(file: IO[bytes], header: bytes, data: int, end: int) -> tuple[int, Extents, int]:
    """Return size, pieces, and where the data begins, of an entry of type ``S``."""
    size = _octal(header[483:495])
    stored = _octal(header[124:136])
    pieces = _pieces(header[386:482])
    more = header[482] != 0
    while more:
        file.seek(data)
        block = file.read(_BLOCK)
        if len(block) < _BLOCK or data + _BLOCK > end:
            raise _damaged("it ends")
        pieces += _pieces(block[:504])
        if len(pieces) > _MOST_PIECES:
            raise _damaged("too many pieces")
        more = block[504] != 0
        data += _BLOCK
    if data + stored > end:
        raise ImageCode.TAR_TRUNCATED("a tar archive", expected=f"{stored} bytes of a sparse file")
    return size, _placed(pieces, size, data, stored), data


def map_in_records(records: dict[bytes, bytes], data: int, stored: int) -> tuple[int, Extents]:
    """Return size and pieces of an entry with a map in its pax records (versions 0.0 and 0.1)."""
    size = _decimal(records[b"GNU.sparse.size"])
    numbers = [_decimal(text) for text in records.get(b"GNU.sparse.map", b"").split(b",") if text]
    return size, _placed(_pairs(numbers), size, data, stored)


def map_in_data(
    file: IO[bytes], records: dict[bytes, bytes], data: int, stored: int
) -> tuple[int, Extents]:
    """Return size and pieces of an entry with a map in front of its data (version 1.0)."""
    size = _decimal(records.get(b"GNU.sparse.realsize", b""))
    file.seek(data)
    text, at = b"", 0
    numbers: list[int] = []
    wanted = 1
    while len(numbers) < wanted:
        line, newline, rest = text.partition(b"\n")
        if not newline:
            block = file.read(_BLOCK)
            if len(block) < _BLOCK or at + _BLOCK > stored or len(text) > _BLOCK:
                raise _damaged("it ends")
            text, at = text + block, at + _BLOCK
            continue
        text = rest
        numbers.append(_decimal(line))
        wanted = 1 + 2 * numbers[0]
        if numbers[0] > _MOST_PIECES:
            raise _damaged("too many pieces")
    return size, _placed(_pairs(numbers[1:]), size, data + at, stored - at)


def _pieces(text: bytes) -> list[tuple[int, int]]:
    fields = [text[at : at + _PIECE] for at in range(0, len(text) - _PIECE + 1, _PIECE)]
    return [(_octal(field[:12]), _octal(field[12:])) for field in fields if any(field)]


def _pairs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    if len(numbers) % 2 or len(numbers) > 2 * _MOST_PIECES:
        raise _damaged(f"{len(numbers)} numbers")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _placed(pieces: Sequence[tuple[int, int]], size: int, data: int, stored: int) -> Extents:
    """Give every piece its place in the archive; they must be in order and fit."""
    found: list[tuple[int, int, int]] = []
    last, used = 0, 0
    for position, length in pieces:
        if position < last or position + length > size or used + length > stored:
            raise _damaged(f"{length} bytes at {position}")
        if length:
            found.append((position, data + used, length))
        last, used = position + length, used + length
    return tuple(found)


def _octal(text: bytes) -> int:
    if text[0] == 0x80:
        return int.from_bytes(text[1:], "big")
    digits = text.split(b"\0")[0].strip(b" ")
    if digits.strip(b"01234567"):
        raise _damaged(text)
    return int(digits, 8) if digits else 0


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise _damaged(text)
    return int(text)


def _damaged(got: object) -> ImageError:
    return ImageCode.TAR_EXTENSION("the map of a sparse file", got=got)
