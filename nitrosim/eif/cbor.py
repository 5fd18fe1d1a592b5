"""The CBOR of the signature section: integers, arrays and maps of definite length (RFC 8949).

The section is written by a Rust serializer without a notion of byte strings, so that the PEM of a
certificate and a COSE_Sign1 structure appear as *arrays of integers*, one per byte: 0 to 23 as
one byte, 24 to 255 as 0x18 and the byte. Only inside the COSE structure are there byte strings.

A length is compared with the bytes that are left before anything is allocated for it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

_MAX_DEPTH: Final = 16
_ONE_BYTE: Final = 0x18
"""The head of an integer from 24 to 255, which follows it."""


class Major(IntEnum):
    """The kinds of items, the three upper bits of their first byte."""

    UNSIGNED = 0
    NEGATIVE = 1
    BYTES = 2
    TEXT = 3
    ARRAY = 4
    MAP = 5
    TAG = 6
    SIMPLE = 7


class CborError(Exception):
    """The bytes are not what was asked for; `position` is that of the item."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


class Reader:
    """Reads one item after the other; every method raises `CborError` and moves on.

    Attributes:
        position: of the next item.
        wide: position of the first element of a byte array with a longer head than a byte needs;
            None while there was none.

    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0
        self.wide: int | None = None

    def array(self) -> int:
        """Read the head of an array; returns the number of elements."""
        return self._count(Major.ARRAY, each=1)

    def map(self) -> int:
        """Read the head of a map; returns the number of pairs."""
        return self._count(Major.MAP, each=2)

    def text(self) -> str:
        """Read a text string."""
        start = self.position
        try:
            return self._string(Major.TEXT).decode("utf-8")
        except UnicodeDecodeError as error:
            raise CborError(start, "text that is not UTF-8") from error

    def byte_string(self) -> bytes:
        """Read a byte string."""
        return self._string(Major.BYTES)

    def integer(self) -> int:
        """Read an integer of either sign."""
        start = self.position
        major, argument = self._head()
        if major is Major.UNSIGNED:
            return argument
        if major is Major.NEGATIVE:
            return -1 - argument
        raise CborError(start, f"{major.name.lower()} instead of an integer")

    def byte_array(self) -> bytes:
        """Read an array of integers from 0 to 255 as bytes."""
        count = self.array()
        data, at, end = self._data, self.position, len(self._data)
        content = bytearray(count)
        for index in range(count):
            if at < end and data[at] < _ONE_BYTE:
                content[index] = data[at]
                at += 1
            elif at + 1 < end and data[at] == _ONE_BYTE:
                content[index] = data[at + 1]
                at += 2
            else:
                content[index] = self._wide_byte(at)
                at = self.position
        self.position = at
        return bytes(content)

    def peek(self) -> Major | None:
        """Tell the kind of the next item; None at the end."""
        if self.position >= len(self._data):
            return None
        return Major(self._data[self.position] >> 5)

    def tag(self, number: int) -> bool:
        """Read a tag if there is one; tells whether there was. Only `number` is accepted."""
        if self.peek() is not Major.TAG:
            return False
        start = self.position
        _major, found = self._head()
        if found != number:
            raise CborError(start, f"tag {found} instead of {number}")
        return True

    def skip(self, depth: int = 0) -> None:
        """Read over an item of any kind and everything in it."""
        start = self.position
        if depth > _MAX_DEPTH:
            raise CborError(start, f"nesting deeper than {_MAX_DEPTH}")
        major, argument = self._head()
        if major in (Major.BYTES, Major.TEXT):
            self._take(argument, start)
            return
        children = {Major.ARRAY: argument, Major.MAP: 2 * argument, Major.TAG: 1}.get(major, 0)
        for _child in range(children):
            self.skip(depth + 1)

    def end(self) -> None:
        """Check that nothing is left."""
        if left := len(self._data) - self.position:
            raise CborError(self.position, f"{left} bytes after the end")

    def _count(self, major: Major, *, each: int) -> int:
        start = self.position
        count = self._argument(major)
        if count * each > len(self._data) - self.position:
            raise CborError(start, f"{major.name.lower()} of {count}, longer than what is left")
        return count

    def _string(self, major: Major) -> bytes:
        start = self.position
        return self._take(self._argument(major), start)

    def _argument(self, wanted: Major) -> int:
        start = self.position
        major, argument = self._head()
        if major is not wanted:
            raise CborError(start, f"{major.name.lower()} instead of {wanted.name.lower()}")
        return argument

    def _take(self, length: int, start: int) -> bytes:
        end = self.position + length
        if end > len(self._data):
            raise CborError(start, f"{length} bytes, more than are left")
        content = self._data[self.position : end]
        self.position = end
        return content

    def _wide_byte(self, start: int) -> int:
        self.position = start
        value = self._argument(Major.UNSIGNED)
        if value > 0xFF:
            raise CborError(start, f"{value} instead of a byte")
        if self.wide is None:
            self.wide = start
        return value

    def _head(self) -> tuple[Major, int]:
        """Read the head of an item: its kind, and its value, length or count."""
        start = self.position
        if start >= len(self._data):
            raise CborError(start, "the end where an item should be")
        initial = self._data[start]
        major, short = Major(initial >> 5), initial & 0x1F
        self.position += 1
        if short < 24:
            return major, short
        # DEVIATION: CBOR of indefinite length in a signature section is refused; nitro-cli
        # reads it, and no known tool writes it.
        if short > 27:
            raise CborError(start, f"head {initial:02x}, which is reserved or of indefinite length")
        return major, int.from_bytes(self._take(1 << (short - 24), start), "big")


def head(major: Major, argument: int) -> bytes:
    """Write the shortest head of an item."""
    first = major << 5
    if argument < 24:
        return bytes((first | argument,))
    for code, width in ((24, 1), (25, 2), (26, 4)):
        if argument < 1 << (8 * width):
            return bytes((first | code,)) + argument.to_bytes(width, "big")
    return bytes((first | 27,)) + argument.to_bytes(8, "big")


def text(value: str) -> bytes:
    """Write a text string."""
    encoded = value.encode("utf-8")
    return head(Major.TEXT, len(encoded)) + encoded


def byte_string(value: bytes) -> bytes:
    """Write a byte string."""
    return head(Major.BYTES, len(value)) + value


def byte_array(value: bytes) -> bytes:
    """Write bytes as an array of integers."""
    return head(Major.ARRAY, len(value)) + b"".join(_INTEGERS[byte] for byte in value)


def integer(value: int) -> bytes:
    """Write an integer of either sign."""
    if value < 0:
        return head(Major.NEGATIVE, -1 - value)
    return head(Major.UNSIGNED, value)


_INTEGERS: Final = tuple(head(Major.UNSIGNED, value) for value in range(256))
