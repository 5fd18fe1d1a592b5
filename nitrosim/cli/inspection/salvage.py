"""Read what can be read of a damaged document: for people who ask what went wrong.

The verifier's reader refuses at the first thing that is not as it must be, which is right for
a verifier and of little use to somebody who holds half a file. This one reads CBOR (RFC 8949)
for as long as it makes sense, takes anything well-formed as it is, and stops where it does
not. What it returns is never verified, nor used for anything but showing it.

It cannot fail: whatever the bytes, it returns what it has read up to then. Depth and the number
of items are bounded; a count is never believed before the items are there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

MAX_DEPTH: Final = 12
MAX_ITEMS: Final = 4096

Value: TypeAlias = "int | float | bytes | str | bool | list[Value] | Entries | None"
"""A decoded item. undefined and other simple values are read as None; tags are left out."""

_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_LENGTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_BREAK: Final = 0xFF


@dataclass(frozen=True, slots=True)
class Entries:
    """A map as it was written: in order, with keys that occur twice occurring twice."""

    pairs: tuple[tuple[Value, Value], ...]

    def first(self, name: str) -> Value:
        """Return the first value of a text key, or None."""
        return next((value for key, value in self.pairs if key == name), None)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """One item, or the beginning of one.

    Attributes:
        value: what was read.
        flaw: where and why reading stopped, or None at the item's regular end.
        end: offset of the first byte that was not read.

    """

    value: Value
    flaw: str | None
    end: int


def salvage(data: bytes, *, keep_cut: bool) -> Salvaged:
    """Read the first item of `data`, or as much of it as there is.

    With `keep_cut` a byte string that is cut off is returned as far as it goes; without it such
    a string is left out, so that nothing incomplete is shown as a whole value.
    """
    reader = _Reader(data, keep_cut=keep_cut)
    try:
        value = reader.item(0)
    except _StopReadingError:
        value = None
    return Salvaged(value, reader.flaw, reader.pos)


class _StopReadingError(Exception):
    """Nothing more can be read, and the item being read is incomplete."""


class _Reader:
    __slots__ = ("_data", "_items", "_keep_cut", "flaw", "pos")

    def __init__(self, data: bytes, *, keep_cut: bool) -> None:
        self._data = data
        self._keep_cut = keep_cut
        self._items = 0
        self.pos = 0
        self.flaw: str | None = None

    def item(self, depth: int) -> Value:
        at = self.pos
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            self._stop(f"nested too deep or too many items at byte {at}")
        head = self._take(1, "an item")[0]
        major, info = head >> 5, head & 0x1F
        if major == 7:
            return self._simple(info, at)
        count = self._argument(info, at, indefinite=2 <= major <= 5)
        if count is not None and major in (0, 1):
            return -1 - count if major else count
        if major in (2, 3):
            octets = self._string(count, major)
            return octets if major == 2 else octets.decode("utf-8", "backslashreplace")
        if major == 6:
            return self.item(depth + 1)
        return self._array(count, depth) if major == 4 else self._map(count, depth)

    def _stop(self, flaw: str) -> NoReturn:
        self.flaw = flaw
        raise _StopReadingError

    def _take(self, count: int, what: str) -> bytes:
        if count > len(self._data) - self.pos:
            self._stop(
                f"the end, {len(self._data) - self.pos} bytes after byte {self.pos}, "
                f"where {what} of {count} bytes should be"
            )
        taken = self._data[self.pos : self.pos + count]
        self.pos += count
        return taken

    def _argument(self, info: int, at: int, *, indefinite: bool) -> int | None:
        """Return the number in a head; None for an indefinite length."""
        if info < 24:
            return info
        if info in _LENGTHS:
            return int.from_bytes(self._take(_LENGTHS[info], "a head"), "big")
        if info != 31 or not indefinite:
            self._stop(f"a head that has no meaning at byte {at}")
        return None

    def _simple(self, info: int, at: int) -> Value:
        if info in _FLOATS:
            number: float = struct.unpack(_FLOATS[info], self._take(_LENGTHS[info], "a float"))[0]
            return number
        if info == 24:
            self._take(1, "a simple value")
        elif info > 24:
            self._stop(f"a break or a head that has no meaning at byte {at}")
        return {20: False, 21: True}.get(info)

    def _string(self, length: int | None, major: int) -> bytes:
        if length is None:
            chunks: list[bytes] = []
            while not self._at_break():
                at = self.pos
                head = self._take(1, "a chunk")[0]
                if head >> 5 != major:
                    self._stop(f"a chunk of another type at byte {at}")
                count = self._argument(head & 0x1F, at, indefinite=False)
                chunks.append(self._take(count or 0, "a chunk"))
            return b"".join(chunks)
        left = self._data[self.pos :]
        if self._keep_cut and major == 2 and length > len(left):
            self.flaw = f"a byte string of {length} bytes is cut off after {len(left)}"
            self.pos = len(self._data)
            return left
        return self._take(length, "a string")

    def _at_break(self) -> bool:
        if self._data[self.pos : self.pos + 1] != bytes((_BREAK,)):
            return False
        self.pos += 1
        return True

    def _array(self, count: int | None, depth: int) -> list[Value]:
        items: list[Value] = []
        try:
            while self.flaw is None and (
                not self._at_break() if count is None else len(items) < count
            ):
                items.append(self.item(depth + 1))
        except _StopReadingError:
            # What was complete before is kept; `flaw` makes every container around it end too.
            return items
        return items

    def _map(self, count: int | None, depth: int) -> Entries:
        pairs: list[tuple[Value, Value]] = []
        try:
            while self.flaw is None and (
                not self._at_break() if count is None else len(pairs) < count
            ):
                key = self.item(depth + 1)
                pairs.append((key, self.item(depth + 1)))
        except _StopReadingError:
            return Entries(tuple(pairs))
        return Entries(tuple(pairs))
