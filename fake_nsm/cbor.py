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

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_FALSE, _TRUE, _NULL = 20, 21, 22
_ONE_BYTE, _EIGHT_BYTES, _INDEFINITE = 24, 27, 31
_BREAK = b"\xff"
_CUT_OFF = "the bytes end inside an item"


def read_item(data: bytes) -> object:
    """Return the first item of `data` as a Python value.

    Integers, byte strings, texts, booleans and null become int, bytes, str, bool and None. An
    array becomes a list. A map becomes a tuple of (key, value) pairs, so that no key can hide
    another. Everything else is `OPAQUE`.

    Raises `MalformedCborError` for anything that is not well-formed, for text that is not
    UTF-8, and beyond `MAX_DEPTH`.
    """
    return _item(data, 0, 0)[0]


# The functions below take the bytes and a position, and return an item and the position behind
# it. A request is read before each document, so they are written to call little.


def _item(data: bytes, at: int, depth: int) -> tuple[object, int]:
    """Read one item; a break is none, so whoever may meet one looks for it first."""
    if depth > MAX_DEPTH:
        raise MalformedCborError("nested too deeply")
    if at == len(data):
        raise MalformedCborError(_CUT_OFF)
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if major == _SIMPLE:
        return _simple(data, at, info)
    if info == _INDEFINITE:
        return _indefinite(data, at, depth, major)
    argument = info
    if info >= _ONE_BYTE:
        argument, at = _long_argument(data, at, info)
    if _BYTES <= major <= _TEXT:
        end = at + argument
        if end > len(data):
            raise MalformedCborError(_CUT_OFF)
        octets = data[at:end]
        return (octets if major == _BYTES else _utf8(octets)), end
    if _ARRAY <= major <= _MAP:
        return _container(data, at, depth, (major, argument))
    if major == _TAG:
        return OPAQUE, _item(data, at, depth + 1)[1]
    return (argument if major == _UNSIGNED else -1 - argument), at


def _long_argument(data: bytes, at: int, info: int) -> tuple[int, int]:
    """Read the argument that follows an initial byte."""
    if info > _EIGHT_BYTES:
        raise MalformedCborError("a reserved length form")
    end = at + (1 << (info - _ONE_BYTE))
    if end > len(data):
        raise MalformedCborError(_CUT_OFF)
    return int.from_bytes(data[at:end], "big"), end


def _container(data: bytes, at: int, depth: int, head: tuple[int, int]) -> tuple[object, int]:
    """Read the definite array or map with this major type and count."""
    major, count = head
    # Every element takes a byte at least: a count that cannot be true is refused at once.
    if count > len(data) - at:
        raise MalformedCborError(_CUT_OFF)
    if major == _ARRAY:
        items = []
        for _ in range(count):
            item, at = _item(data, at, depth + 1)
            items.append(item)
        return items, at
    pairs = []
    for _ in range(count):
        key, at = _item(data, at, depth + 1)
        value, at = _item(data, at, depth + 1)
        pairs.append((key, value))
    return tuple(pairs), at


def _indefinite(data: bytes, at: int, depth: int, major: int) -> tuple[object, int]:
    """Read what follows the head of an indefinite-length item, the break included."""
    if not _BYTES <= major <= _MAP:
        raise MalformedCborError("an integer or a tag has no indefinite length")
    if major <= _TEXT:
        return _chunks(data, at, major)
    items = []
    pairs = []
    while not data.startswith(_BREAK, at):
        item, at = _item(data, at, depth + 1)
        if major == _ARRAY:
            items.append(item)
        else:
            value, at = _item(data, at, depth + 1)
            pairs.append((item, value))
    return (items if major == _ARRAY else tuple(pairs)), at + 1


def _chunks(data: bytes, at: int, major: int) -> tuple[object, int]:
    """Join the definite-length strings of the same type up to the break."""
    texts: list[str] = []
    octets: list[bytes] = []
    while not data.startswith(_BREAK, at):
        # RFC 8949 section 3.2.3: no other type, no nesting; each chunk of a text is UTF-8.
        if at < len(data) and (data[at] >> 5 != major or data[at] & 31 == _INDEFINITE):
            raise MalformedCborError("a chunk of another type")
        chunk, at = _item(data, at, 0)
        if isinstance(chunk, str):
            texts.append(chunk)
        elif isinstance(chunk, bytes):
            octets.append(chunk)
    return ("".join(texts) if major == _TEXT else b"".join(octets)), at + 1


def _simple(data: bytes, at: int, info: int) -> tuple[object, int]:
    if info == _NULL:
        return None, at
    if info in (_FALSE, _TRUE):
        return info == _TRUE, at
    if info == _INDEFINITE:
        raise MalformedCborError("a break where an item must stand")
    if info < _ONE_BYTE:
        return OPAQUE, at
    value, at = _long_argument(data, at, info)
    # RFC 8949 section 3.3: simple values below 32 have no two-byte form.
    if info == _ONE_BYTE and value < 32:
        raise MalformedCborError("a simple value in a form that does not exist")
    return OPAQUE, at


def _utf8(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise MalformedCborError("a text that is not UTF-8") from None
