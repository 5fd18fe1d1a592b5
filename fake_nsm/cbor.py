"""Read one CBOR item that may come from anybody (RFC 8949).

The rest of this package writes CBOR with cbor2. Requests are read here instead, because what a
general decoder makes of hostile bytes depends on the library and its version: tags become
regular expressions, dates or self-referencing lists; duplicate keys and ``1``, ``1.0`` and
``true`` collapse into one; nesting is limited by the C stack or by a flag that newer versions
know. A request needs none of that. What is well-formed but of no use in a request (a float, a
tag, a simple value) is read as `OPAQUE`: harmless in a field that is ignored, wrong everywhere
else.

Accepted are definite and indefinite lengths and integers longer than necessary. Bytes after the
item are not looked at.
"""

from __future__ import annotations

MAX_DEPTH = 128
"""Nesting at which reading stops."""
# ASSUMPTION: requests may nest 128 levels, the recursion limit of the Rust CBOR library that the
# AWS Nitro Enclaves NSM API uses; what the hardware's limit is has not been observed.


class MalformedCborError(ValueError):
    """The bytes do not begin with one well-formed CBOR item."""


class _Opaque:
    """The type of `OPAQUE`."""


OPAQUE = _Opaque()
"""Stands for a well-formed item that no request field can be."""

_BREAK = _Opaque()

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_FALSE, _TRUE, _NULL = 20, 21, 22
_ONE_BYTE, _EIGHT_BYTES, _INDEFINITE = 24, 27, 31


def read_item(data: bytes) -> object:
    """Return the first item of `data` as a Python value.

    Integers, byte strings, texts, booleans and null become int, bytes, str, bool and None. An
    array becomes a list. A map becomes a tuple of (key, value) pairs, so that no key can hide
    another. Everything else is `OPAQUE`.

    Raises `MalformedCborError` for anything that is not well-formed, for text that is not
    UTF-8, and beyond `MAX_DEPTH`.
    """
    item = _Reader(data).item(0)
    if item is _BREAK:
        raise MalformedCborError("a break outside an indefinite-length item")
    return item


class _Reader:
    """A position in the bytes; every method reads on from there."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def item(self, depth: int) -> object:  # noqa: PLR0911 - one return for each major type
        """Read one item, or `_BREAK`."""
        if depth > MAX_DEPTH:
            raise MalformedCborError("nested too deeply")
        major, info = self._initial_byte()
        if major == _SIMPLE:
            return self._simple(info)
        if info == _INDEFINITE:
            return self._indefinite(major, depth)
        argument = self._argument(info)
        if major == _UNSIGNED:
            return argument
        if major == _BYTES:
            return self._take(argument)
        if major == _TEXT:
            return _utf8(self._take(argument))
        if major == _NEGATIVE:
            return -1 - argument
        if major == _TAG:
            self._element(depth)
            return OPAQUE
        return self._container(major, argument, depth)

    def _initial_byte(self) -> tuple[int, int]:
        try:
            byte = self._data[self._at]
        except IndexError:
            raise MalformedCborError("the bytes end inside an item") from None
        self._at += 1
        return byte >> 5, byte & 31

    def _argument(self, info: int) -> int:
        if info < _ONE_BYTE:
            return info
        if info > _EIGHT_BYTES:
            raise MalformedCborError("a reserved length form")
        return int.from_bytes(self._take(1 << (info - _ONE_BYTE)), "big")

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise MalformedCborError("the bytes end inside an item")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _element(self, depth: int) -> object:
        """Read an item where a break is not allowed."""
        item = self.item(depth + 1)
        if item is _BREAK:
            raise MalformedCborError("a break where an item must stand")
        return item

    def _container(self, major: int, count: int, depth: int) -> object:
        # Every element takes a byte at least: a count that cannot be true is refused at once.
        if count > len(self._data) - self._at:
            raise MalformedCborError("the bytes end inside an item")
        # Loops, not comprehensions: those would double the Python frames that a level takes.
        if major == _ARRAY:
            items = []
            for _ in range(count):
                items.append(self._element(depth))  # noqa: PERF401 - see above
            return items
        pairs = []
        for _ in range(count):
            pairs.append((self._element(depth), self._element(depth)))  # noqa: PERF401 - see above
        return tuple(pairs)

    def _indefinite(self, major: int, depth: int) -> object:
        if major in (_BYTES, _TEXT):
            return self._chunks(major)
        if major == _ARRAY:
            items = []
            while (item := self.item(depth + 1)) is not _BREAK:
                items.append(item)
            return items
        if major == _MAP:
            pairs = []
            while (key := self.item(depth + 1)) is not _BREAK:
                pairs.append((key, self._element(depth)))
            return tuple(pairs)
        raise MalformedCborError("an integer or a tag has no indefinite length")

    def _chunks(self, major: int) -> object:
        """Join the definite-length strings of the same type up to the break."""
        chunks: list[bytes] = []
        while True:
            chunk_major, info = self._initial_byte()
            if (chunk_major, info) == (_SIMPLE, _INDEFINITE):
                break
            if chunk_major != major or info == _INDEFINITE:
                raise MalformedCborError("a chunk of another type")
            chunks.append(self._take(self._argument(info)))
        if major == _BYTES:
            return b"".join(chunks)
        # RFC 8949 section 3.2.3: every chunk of a text is valid UTF-8 by itself.
        return "".join([_utf8(chunk) for chunk in chunks])

    def _simple(self, info: int) -> object:
        if info == _INDEFINITE:
            return _BREAK
        if info in (_FALSE, _TRUE):
            return info == _TRUE
        if info == _NULL:
            return None
        value = self._argument(info)
        # RFC 8949 section 3.3: simple values below 32 have no two-byte form.
        if info == _ONE_BYTE and value < 32:
            raise MalformedCborError("a simple value in a form that does not exist")
        return OPAQUE


def _utf8(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedCborError("a text that is not UTF-8") from None
