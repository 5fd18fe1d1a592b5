"""Writes CBOR, right or wrong: every function gives bytes, and none checks what it is given.

cbor2 encodes the values inside; what it cannot express (longer heads than needed, chunks,
the same key twice, counts that lie, containers without end) is put together here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import cbor2

Entries: TypeAlias = list[tuple[bytes, bytes]]
"""A map as encoded keys and encoded values, in order."""

dumps = cbor2.dumps


def head(major: int, argument: int, width: int | None = None) -> bytes:
    """Encode a head; `width` (1, 2, 4, 8) asks for more bytes than the number needs."""
    if width is None:
        if argument < 24:
            return bytes([major << 5 | argument])
        width = next(w for w in (1, 2, 4, 8) if argument < 1 << 8 * w)
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width]]) + argument.to_bytes(
        width, "big"
    )


def entries(fields: dict[object, object]) -> Entries:
    """Encode keys and values of a map, each by itself."""
    return [(dumps(key), dumps(value)) for key, value in fields.items()]


def mapping(parts: Entries, *, indefinite: bool = False, count: int | None = None) -> bytes:
    """Encode a map of encoded entries; `count` makes its head claim another number of them."""
    body = b"".join(key + value for key, value in parts)
    if indefinite:
        return b"\xbf" + body + b"\xff"
    return head(5, len(parts) if count is None else count) + body


def array(parts: Iterable[bytes], *, indefinite: bool = False, count: int | None = None) -> bytes:
    """Encode an array of encoded items; `count` makes its head claim another number of them."""
    items = list(parts)
    if indefinite:
        return b"\x9f" + b"".join(items) + b"\xff"
    return head(4, len(items) if count is None else count) + b"".join(items)


def chunked(major: int, *chunks: bytes) -> bytes:
    """Encode a byte string (2) or text (3) of indefinite length."""
    body = b"".join(head(major, len(chunk)) + chunk for chunk in chunks)
    return bytes([major << 5 | 31]) + body + b"\xff"
