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

It is one loop over items, whatever their nesting: a document has sixty of them, and a function
call for each takes longer than reading it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, TypeAlias

Value: TypeAlias = "int | bytes | str | bool | list[Value] | dict[int | str, Value] | None"
"""A decoded item. `bool` is a Python int: compare types with `type(x) is int`."""

MAX_DEPTH: Final = 8
"""Nested containers; real documents have 2 (payload map, then pcrs or cabundle)."""

MAX_ITEMS: Final = 512
"""Items of all kinds in one reading; a real payload has about 60."""

_SHORTEST: Final = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
"""Smallest argument that needs the width of each additional information."""

_INDEFINITE: Final = -1
"""Stands for a length that is not told; counted down, it never arrives at zero."""

_KEY_TYPES: Final = {int, str}

_Container: TypeAlias = "tuple[list[Value], int, int, int]"
"""An open container: its items so far, how many are to come, its major type and its offset."""


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


def decode(  # noqa: C901, PLR0912, PLR0915 - one loop, one branch per major type: see above
    data: bytes, *, indefinite: bool, shortest: bool
) -> Value:
    """Read the one item that `data` consists of.

    Args:
        data: the bytes; all of them must belong to the item.
        indefinite: accept arrays and maps of indefinite length.
        shortest: refuse heads that are longer than needed.

    Raises `CborError` for anything else than one item of the seven types.

    """
    # What is open: the innermost container, and those around it. Of a map, keys and values
    # alternate among the items. The outermost of all is the reading itself, an array of one.
    items: list[Value] = []
    left, major_open, opened = 1, 4, 0
    around: list[_Container] = []
    pos, end = 0, len(data)
    for _ in range(MAX_ITEMS):
        start = pos
        if start >= end:
            raise CborError(Problem.TRUNCATED, pos, "the end, where an item should be")
        initial = data[start]
        pos = start + 1
        if initial < 24:
            items.append(initial)
        else:
            major, argument = initial >> 5, initial & 0x1F
            if argument >= 24:
                # The two usual forms in their usual size; all others, and what is wrong, elsewhere.
                if argument == 24 and pos < end and data[pos] >= 24:
                    argument = data[pos]
                    pos += 1
                elif argument == 25 and pos + 1 < end and data[pos]:
                    argument = data[pos] << 8 | data[pos + 1]
                    pos += 2
                else:
                    argument, pos = _long_head(data, start, shortest=shortest)
            if major == 2:
                begin = pos
                pos += argument
                if argument < 0 or pos > end:
                    raise _bad_string(start, argument, end - begin)
                items.append(data[begin:pos])
            elif major == 3:
                begin = pos
                pos += argument
                if argument < 0 or pos > end:
                    raise _bad_string(start, argument, end - begin)
                try:
                    items.append(data[begin:pos].decode())
                except UnicodeDecodeError as error:
                    raise CborError(Problem.UTF8, start, "text that is not UTF-8") from error
            elif initial == 0xF6:
                items.append(None)
            elif major == 0:
                items.append(argument)
            elif major == 1:
                items.append(-1 - argument)
            elif major == 7:
                if initial != 0xFF:
                    items.append(_simple(initial, start))
                else:
                    if left >= 0:
                        raise CborError(Problem.RESERVED, start, "a break where none belongs")
                    closed = items if major_open == 4 else _map(items, opened)
                    items, left, major_open, opened = around.pop()
                    items.append(closed)
            elif major == 6:
                raise CborError(Problem.TAG, start, f"tag {argument}")
            else:
                count = argument if major == 4 else 2 * argument
                if len(around) >= MAX_DEPTH:
                    raise CborError(
                        Problem.LIMIT, start, f"more than {MAX_DEPTH} nested containers"
                    )
                if argument < 0:
                    if not indefinite:
                        raise CborError(
                            Problem.INDEFINITE, start, "a container of indefinite length"
                        )
                elif count > end - pos:
                    raise _too_short(start, argument, end - pos)
                if count == 0:
                    items.append([] if major == 4 else {})
                else:
                    around.append((items, left, major_open, opened))
                    items, left, major_open, opened = [], count, major, start
                    continue
        left -= 1
        while not left:
            if not around:
                if pos != end:
                    raise CborError(Problem.TRAILING, pos, f"{end - pos} bytes left over")
                return items[0]
            closed = items if major_open == 4 else _map(items, opened)
            items, left, major_open, opened = around.pop()
            items.append(closed)
            left -= 1
    raise CborError(Problem.LIMIT, pos, f"more than {MAX_ITEMS} items")


def _long_head(data: bytes, start: int, *, shortest: bool) -> tuple[int, int]:
    """Read a head whose argument is in further bytes: return argument and where the head ends."""
    info = data[start] & 0x1F
    if info > 27:
        if info != 31 or data[start] in {0x1F, 0x3F, 0xDF}:
            raise CborError(Problem.RESERVED, start, f"reserved head {data[start]:02x}")
        return _INDEFINITE, start + 1
    end = start + 1 + (1 << (info - 24))
    if end > len(data):
        raise CborError(Problem.TRUNCATED, start, "the end inside a head")
    argument = int.from_bytes(data[start + 1 : end], "big")
    # Floats use the same widths but their bits are no count.
    if shortest and argument < _SHORTEST[info] and data[start] < 0xE0:
        raise CborError(Problem.NOT_SHORTEST, start, f"{argument} in a {end - start}-byte head")
    return argument, end


def _map(items: list[Value], start: int) -> dict[int | str, Value]:
    """Make a map of alternating keys and values; compare the keys as they are after decoding."""
    keys, values = items[::2], items[1::2]
    # A bool is an int to Python and would collide with 0 and 1.
    if not {*map(type, keys)} <= _KEY_TYPES:
        odd = next(key for key in keys if type(key) not in _KEY_TYPES)
        raise CborError(Problem.KEY_TYPE, start, f"a map key of type {type(odd).__name__}")
    # All keys are hashable now.
    entries: dict[int | str, Value] = dict(zip(keys, values, strict=False))  # type: ignore[arg-type]
    if len(entries) != len(values):
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise CborError(Problem.DUPLICATE_KEY, start, f"key {twice!r} twice in the map")
    if len(keys) != len(values):
        raise CborError(Problem.RESERVED, start, "a break instead of the last value in the map")
    return entries


def _simple(initial: int, start: int) -> bool | None:
    if initial == 0xF6:
        return None
    if initial == 0xF4:
        return False
    if initial == 0xF5:
        return True
    if initial in {0xF9, 0xFA, 0xFB}:
        raise CborError(Problem.FLOAT, start, "a floating-point number")
    raise CborError(Problem.SIMPLE, start, f"simple value {initial:02x}")


def _bad_string(start: int, length: int, left: int) -> CborError:
    if length == _INDEFINITE:
        return CborError(Problem.CHUNKED, start, "a string in chunks")
    return _too_short(start, length, left)


def _too_short(start: int, wanted: int, left: int) -> CborError:
    return CborError(Problem.TRUNCATED, start, f"a length of {wanted} with {left} bytes left")
