"""Edits of a payload's fields, encoded, for cases about payloads."""

from __future__ import annotations

from forgery import cbor
from forgery.forge import Forge


def replaced(forge: Forge, field: str, value: bytes) -> bytes:
    """Make a document in which the encoded value of one field is replaced."""
    key = cbor.dumps(field)
    return forge.document(forge.map([(k, value if k == key else v) for k, v in forge.entries()]))


def without(forge: Forge, field: str) -> bytes:
    """Make a document that lacks one field."""
    key = cbor.dumps(field)
    return forge.document(forge.map([entry for entry in forge.entries() if entry[0] != key]))


def also(forge: Forge, key: bytes, value: bytes) -> bytes:
    """Make a document with one more encoded entry, after the others."""
    return forge.document(forge.map([*forge.entries(), (key, value)]))
