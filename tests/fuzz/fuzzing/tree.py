"""A document as a tree, from the envelope down to the last object identifier, to be edited.

CBOR and DER are read alike: as elements with a head and a content, the content being either
bytes or further elements. Byte strings are looked into: a payload within an envelope, a
certificate within a payload, an extension within a certificate. So an edit deep down can be
written again with every length around it right, and reaches the checks behind those lengths.

Reading is lazy, because an edit needs one path through the tree and a document has hundreds of
elements; and tolerant: what cannot be read is a leaf. Writing what was read gives the same
bytes, also where heads are longer than needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 32
"""Nested CBOR containers that are followed; deeper ones are leaves."""

_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_INFOS = {width: info for info, width in _WIDTHS.items()}
_BYTES, _TEXT, _ARRAY, _MAP, _TAG = 2, 3, 4, 5, 6
_BIT_STRING, _OCTET_STRING, _CONSTRUCTED = 0x03, 0x04, 0x20


class Kind(Enum):
    """How an element is written."""

    RAW = auto()
    """As it stands: numbers, simple values, whatever cannot be read."""
    CBOR = auto()
    DER = auto()


class UnreadableError(Exception):
    """The bytes are not elements."""


@dataclass(slots=True)
class Node:
    """One element.

    Attributes:
        kind: how it is written.
        first: CBOR: the major type; DER: the tag octet; of no meaning for RAW.
        content: what follows the head, as long as the children have not been asked for.
        width: octets of the length in the head when it is not the shortest; else 0.
        indefinite: CBOR only: ended by a break in place of a length.
        argument: CBOR tags only: the number.

    """

    kind: Kind
    first: int
    content: bytes
    width: int = 0
    indefinite: bool = False
    argument: int = 0
    _children: list[Node] | None = field(default=None, repr=False)

    @property
    def children(self) -> list[Node]:
        """The elements within, to be changed in place; empty for a leaf."""
        if self._children is None:
            try:
                self._children = self._read_children()
            except UnreadableError:
                self._children = []
            if self._children:
                # From now on they are the content, also when all of them have been taken out.
                self.content = b""
        return self._children

    def body(self) -> bytes:
        """Return the content as it stands now."""
        if self._children:
            return b"".join(map(write, self._children))
        return self.content

    def replace(self, content: bytes) -> None:
        """Make the element a leaf with this content (all of it, for RAW)."""
        self.content = content
        self._children = None

    def _read_children(self) -> list[Node]:
        if self.kind is Kind.RAW:
            return []
        if self.kind is Kind.CBOR:
            if self.first in {_ARRAY, _MAP, _TAG}:
                return list(_cbor_items(self.content))
            return _embedded(self.content) if self.first == _BYTES else []
        return _within_der(self.first, self.content)


def read(data: bytes) -> Node:
    """Read one CBOR item or DER element; RAW for anything else."""
    for reader in (_cbor_items, _der_elements):
        try:
            found = list(reader(data))
        except UnreadableError:
            continue
        if len(found) == 1:
            return found[0]
    return Node(Kind.RAW, 0, data)


def write(node: Node) -> bytes:
    """Write an element with lengths and counts as its content demands."""
    body = node.body()
    if node.kind is Kind.RAW:
        return body
    if node.kind is Kind.DER:
        return bytes((node.first,)) + _der_length(len(body), node.width) + body
    if node.indefinite:
        return bytes((node.first << 5 | 31,)) + body + b"\xff"
    if node.first in {_ARRAY, _MAP}:
        number = len(node.children) if node.first == _ARRAY else len(node.children) // 2
    else:
        number = node.argument if node.first == _TAG else len(body)
    return cbor_head(node.first, number, node.width) + body


def cbor_head(major: int, number: int, width: int = 0) -> bytes:
    """Write a head; with the shortest width that fits when `width` octets do not."""
    if width not in _INFOS or number >= 1 << 8 * width:
        if number < 24:
            return bytes((major << 5 | number,))
        width = next(w for w in _INFOS if number < 1 << 8 * w)
    return bytes((major << 5 | _INFOS[width],)) + number.to_bytes(width, "big")


def read_number(item: bytes) -> tuple[int, int] | None:
    """Return major type and argument of an encoded integer, None for anything else."""
    if not item or item[0] >> 5 > 1:
        return None
    try:
        number, _, pos = _head(item, 0)
    except UnreadableError:
        return None
    return (item[0] >> 5, number) if number is not None and pos == len(item) else None


def _cbor_items(data: bytes) -> Iterator[Node]:
    pos = 0
    while pos < len(data):
        node, pos = _cbor_item(data, pos)
        yield node


def _cbor_item(data: bytes, start: int) -> tuple[Node, int]:
    major = data[start] >> 5
    number, width, pos = _head(data, start)
    if major in {_BYTES, _TEXT} and number is not None:
        end = pos + number
        if end > len(data):
            raise UnreadableError
        return Node(Kind.CBOR, major, data[pos:end], width), end
    if major in {_ARRAY, _MAP, _TAG}:
        end = _skip(data, start, 0)
        if number is None:
            return Node(Kind.CBOR, major, data[pos : end - 1], indefinite=True), end
        return Node(Kind.CBOR, major, data[pos:end], width, argument=number), end
    end = _skip(data, start, 0)
    return Node(Kind.RAW, 0, data[start:end]), end


def _head(data: bytes, start: int) -> tuple[int | None, int, int]:
    """Read a head: its number (None: indefinite), its width if it is not the shortest, its end."""
    if start >= len(data):
        raise UnreadableError
    info = data[start] & 31
    if info < 24:
        return info, 0, start + 1
    if info == 31:
        return None, 0, start + 1
    if info not in _WIDTHS:
        raise UnreadableError
    width = _WIDTHS[info]
    end = start + 1 + width
    if end > len(data):
        raise UnreadableError
    number = int.from_bytes(data[start + 1 : end], "big")
    shortest = number >= (24 if width == 1 else 1 << 4 * width)
    return number, 0 if shortest else width, end


def _skip(data: bytes, start: int, depth: int) -> int:
    """Return where an item ends."""
    if depth > MAX_DEPTH:
        raise UnreadableError
    number, _, pos = _head(data, start)
    major = data[start] >> 5
    if major in {0, 1, 7}:
        if number is None:
            raise UnreadableError
        return pos
    if number is None:
        if major == _TAG:
            raise UnreadableError
        while data[pos : pos + 1] != b"\xff":
            pos = _skip(data, pos, depth + 1)
        return pos + 1
    if major in {_BYTES, _TEXT}:
        if number > len(data) - pos:
            raise UnreadableError
        return pos + number
    for _ in range({_ARRAY: number, _MAP: 2 * number, _TAG: 1}[major]):
        pos = _skip(data, pos, depth + 1)
    return pos


def _der_elements(data: bytes) -> Iterator[Node]:
    pos = 0
    while pos < len(data):
        if len(data) - pos < 2:
            raise UnreadableError
        tag, length = data[pos], data[pos + 1]
        start, width = pos + 2, 0
        if length >= 0x80:
            width = length & 0x7F
            if not 1 <= width <= 4 or start + width > len(data):
                raise UnreadableError
            length = int.from_bytes(data[start : start + width], "big")
            start += width
            if length >= 0x80 and length >= 1 << 8 * (width - 1):
                width = 0
        pos = start + length
        if pos > len(data):
            raise UnreadableError
        yield Node(Kind.DER, tag, data[start:pos], width)


def _der_length(length: int, width: int) -> bytes:
    if not width or length >= 1 << 8 * width:
        if length < 0x80:
            return bytes((length,))
        width = (length.bit_length() + 7) // 8
    return bytes((0x80 | width,)) + length.to_bytes(width, "big")


def _within_der(tag: int, content: bytes) -> list[Node]:
    if tag & _CONSTRUCTED:
        return list(_der_elements(content))
    if tag == _OCTET_STRING:
        return _embedded_der(content)
    if tag == _BIT_STRING and content[:1] == b"\0":
        inner = _embedded_der(content[1:])
        return [Node(Kind.RAW, 0, b"\0"), *inner] if inner else []
    return []


def _embedded(content: bytes) -> list[Node]:
    """Look into a CBOR byte string for a payload or a certificate."""
    if content and content[0] >> 5 == _MAP:
        found = list(_cbor_items(content))
        return found if len(found) == 1 else []
    return _embedded_der(content)


def _embedded_der(content: bytes) -> list[Node]:
    """Look into a string for one universal element, as certificates and extensions are."""
    if not content or content[0] not in {0x01, 0x02, 0x03, 0x04, 0x30}:
        return []
    found = list(_der_elements(content))
    return found if len(found) == 1 else []
