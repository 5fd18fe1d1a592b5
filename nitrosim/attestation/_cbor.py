"""A strict reader for the CBOR that attestation documents are made of (RFC 8949).

General CBOR libraries are built to be liberal: measured on cbor2 6, duplicate
keys are resolved by last-wins, 1 and 1.0 and true collapse into one key, bytes
after the item are ignored, tags are turned into dates, big numbers or shared
references. Each of these lets two readers of one signed document see different
things. This reader knows seven types and refuses everything else:

* unsigned and negative integers, byte strings, text strings, arrays, maps,
  false/true, null;
* map keys are integers or text, compared after decoding, so 01 and 1801 are one key;
* no tags, floats, undefined, other simple values, or strings in chunks;
* a count or length is compared with the bytes that are left before anything is
  allocated; depth and number of items are bounded.

Arrays and maps of indefinite length are read when the caller allows them: the
real NSM changed its payload from a definite to an indefinite map in 2025 and
may do the same to inner containers. Longer-than-needed heads are refused when
the caller asks for it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NoReturn, TypeAlias

Value: TypeAlias = "int | bytes | str | bool | list[Value] | dict[int | str, Value] | None"
"""A decoded item. `bool` is a Python int: compare types with `type(x) is int`."""

MAX_DEPTH: Final = 8
"""Nested containers; real documents have 2 (payload map, then pcrs or cabundle)."""

MAX_ITEMS: Final = 512
"""Items of all kinds in one reading; a real payload has about 60."""

_BREAK: Final = object()


class Problem(Enum):
    """What is wrong with the bytes."""

    TRUNCATED = auto()
    """A head or its content goes beyond the end."""
    TRAILING = auto()
    """Bytes follow the item."""
    RESERVED = auto()
    """Additional information 28-30, or 31 where it has no meaning, or a stray break."""
    NOT_SHORTEST = auto()
    """A head longer than needed."""
    INDEFINITE = auto()
    """A container of indefinite length where none is allowed."""
    CHUNKED = auto()
    """A string of indefinite length."""
    TAG = auto()
    """A tag."""
    FLOAT = auto()
    """A floating-point number of any width."""
    SIMPLE = auto()
    """undefined or another simple value."""
    KEY_TYPE = auto()
    """A map key that is neither an integer nor text."""
    DUPLICATE_KEY = auto()
    """A map key seen before in the same map."""
    UTF8 = auto()
    """Text that is not UTF-8."""
    LIMIT = auto()
    """Too deep or too many items."""


class CborError(Exception):
    """The bytes were refused: `problem`, byte `offset` of the item, `detail` in words."""

    def __init__(self, problem: Problem, offset: int, detail: str) -> None:
        super().__init__(f"{detail} at byte {offset}")
        self.problem = problem
        self.offset = offset
        self.detail = detail


def decode(data: bytes, *, indefinite: bool, shortest: bool) -> Value:
    """Read the one item that `data` consists of.

    Args:
        data: the bytes; all of them must belong to the item.
        indefinite: accept arrays and maps of indefinite length.
        shortest: refuse heads that are longer than needed.

    Raises `CborError` for anything else than one item of the seven types.

    """
    reader = _Reader(data, indefinite=indefinite, shortest=shortest)
    value = reader.item(0)
    if reader.pos != len(data):
        raise CborError(Problem.TRAILING, reader.pos, f"{len(data) - reader.pos} bytes left over")
    return value


class _Reader:
    """One pass over one buffer."""

    __slots__ = ("_data", "_end", "_indefinite", "_items", "_shortest", "pos")

    def __init__(self, data: bytes, *, indefinite: bool, shortest: bool) -> None:
        self._data = data
        self._end = len(data)
        self._indefinite = indefinite
        self._shortest = shortest
        self._items = 0
        self.pos = 0

    def item(self, depth: int) -> Value:
        """Read one item; a break is an error."""
        start = self.pos
        value = self._item_or_break(depth)
        if value is _BREAK:
            raise CborError(Problem.RESERVED, start, "a break outside a container")
        return value  # type: ignore[return-value]  # only the sentinel is not a Value

    def _item_or_break(self, depth: int) -> object:  # noqa: PLR0911 - one return per major type
        start = self.pos
        major, argument = self._head()
        if major == 0:
            return argument
        if major == 2:
            return self._string(start, argument)
        if major == 3:
            try:
                return self._string(start, argument).decode("utf-8")
            except UnicodeDecodeError as error:
                raise CborError(Problem.UTF8, start, "text that is not UTF-8") from error
        if major == 5:
            return self._map(start, argument, depth + 1)
        if major == 4:
            return self._array(start, argument, depth + 1)
        if major == 1:
            assert argument is not None
            return -1 - argument
        if major == 6:
            raise CborError(Problem.TAG, start, f"tag {argument}")
        return self._simple(start)

    def _head(self) -> tuple[int, int | None]:
        """Read a head: (major type, argument or None for indefinite length)."""
        start = self.pos
        if start >= self._end:
            raise CborError(Problem.TRUNCATED, start, "the end, where an item should be")
        self._items += 1
        if self._items > MAX_ITEMS:
            raise CborError(Problem.LIMIT, start, f"more than {MAX_ITEMS} items")
        initial = self._data[start]
        major, info = initial >> 5, initial & 0x1F
        self.pos = start + 1
        if info < 24:
            return major, info
        if info < 28:
            width = 1 << (info - 24)
            end = start + 1 + width
            if end > self._end:
                raise CborError(Problem.TRUNCATED, start, "the end inside a head")
            argument = int.from_bytes(self._data[start + 1 : end], "big")
            self.pos = end
            # Floats use the same widths but their bits are no count.
            if self._shortest and major != 7 and argument < _SHORTEST[info]:
                raise CborError(Problem.NOT_SHORTEST, start, f"{argument} in a {width}-byte head")
            return major, argument
        if info != 31 or major in {0, 1, 6}:
            raise CborError(Problem.RESERVED, start, f"reserved head {initial:02x}")
        return major, None

    def _string(self, start: int, length: int | None) -> bytes:
        if length is None:
            raise CborError(Problem.CHUNKED, start, "a string in chunks")
        begin = self.pos
        end = begin + length
        if end > self._end:
            self._too_short(start, length)
        self.pos = end
        return self._data[begin:end]

    def _array(self, start: int, count: int | None, depth: int) -> list[Value]:
        self._enter(start, count, depth, bytes_per_entry=1)
        values: list[Value] = []
        if count is None:
            while (value := self._item_or_break(depth)) is not _BREAK:
                values.append(value)  # type: ignore[arg-type]  # the sentinel is excluded
            return values
        for _ in range(count):
            values.append(self.item(depth))  # noqa: PERF401 - the loop mirrors the one above
        return values

    def _map(self, start: int, count: int | None, depth: int) -> dict[int | str, Value]:
        self._enter(start, count, depth, bytes_per_entry=2)
        entries: dict[int | str, Value] = {}
        read = 0
        while count is None or read < count:
            at = self.pos
            key = self._item_or_break(depth) if count is None else self.item(depth)
            if key is _BREAK:
                break
            # A bool is an int to Python and would collide with 0 and 1.
            if type(key) is not int and type(key) is not str:
                raise CborError(Problem.KEY_TYPE, at, f"a map key of type {type(key).__name__}")
            if key in entries:
                raise CborError(Problem.DUPLICATE_KEY, at, f"key {key!r} twice")
            entries[key] = self.item(depth)
            read += 1
        return entries

    def _enter(self, start: int, count: int | None, depth: int, *, bytes_per_entry: int) -> None:
        if depth > MAX_DEPTH:
            raise CborError(Problem.LIMIT, start, f"more than {MAX_DEPTH} nested containers")
        if count is None:
            if not self._indefinite:
                raise CborError(Problem.INDEFINITE, start, "a container of indefinite length")
        elif count * bytes_per_entry > self._end - self.pos:
            self._too_short(start, count)

    def _too_short(self, start: int, wanted: int) -> NoReturn:
        left = self._end - self.pos
        raise CborError(Problem.TRUNCATED, start, f"a length of {wanted} with {left} bytes left")

    def _simple(self, start: int) -> object:
        initial = self._data[start]
        if initial == 0xF6:
            return None
        if initial == 0xF4:
            return False
        if initial == 0xF5:
            return True
        if initial == 0xFF:
            return _BREAK
        if initial in {0xF9, 0xFA, 0xFB}:
            raise CborError(Problem.FLOAT, start, "a floating-point number")
        raise CborError(Problem.SIMPLE, start, f"simple value {initial:02x}")


_SHORTEST: Final = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
"""Smallest argument that needs the width of each additional information."""
