"""What of the corpus in `fixtures/attestation`, and of `fixtures/eif`, serves as seeds."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzzing import plain
from fuzzing.tree import Kind, read

if TYPE_CHECKING:
    from collections.abc import Iterable

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
CORPUS = FIXTURES / "attestation"
IMAGES = FIXTURES / "eif"


@functools.cache
def cases() -> tuple[dict[str, Any], ...]:
    """Return the entries of the index."""
    entries: list[dict[str, Any]] = json.loads((CORPUS / "index.json").read_text("ascii"))["cases"]
    return tuple(entries)


@functools.cache
def root_called(name: str) -> bytes:
    """Return the DER of a root by its name in the corpus."""
    return (CORPUS / "roots" / f"{name}.der").read_bytes()


def root(case: dict[str, Any]) -> bytes:
    """Return the DER of the root that a case trusts."""
    return root_called(case["root"])


def document(case: dict[str, Any]) -> bytes:
    """Return the document of a case."""
    return (CORPUS / str(case["document"])).read_bytes()


def lists(case: dict[str, Any]) -> tuple[bytes, ...]:
    """Return the revocation lists that a case is judged with."""
    return tuple((CORPUS / str(name)).read_bytes() for name in case["crls"])


@functools.cache
def documents() -> tuple[bytes, ...]:
    """Return all documents, good and bad, without repetitions."""
    return _distinct(document(case) for case in cases())


@functools.cache
def good_cases() -> tuple[dict[str, Any], ...]:
    """Return the cases that must be accepted."""
    return tuple(case for case in cases() if case["result"] == "accept")


@functools.cache
def payloads() -> tuple[bytes, ...]:
    """Return the payloads of all documents that have one."""
    return _distinct(
        parts[2].body()
        for parts in (read(data).children for data in documents())
        if len(parts) == 4 and parts[2].kind is Kind.CBOR
    )


@functools.cache
def certificates() -> tuple[bytes, ...]:
    """Return the certificates of all documents, good and bad, and the roots."""
    found = [path.read_bytes() for path in sorted((CORPUS / "roots").glob("*.der"))]
    for payload in payloads():
        entries = read(payload).children
        for key, value in zip(entries[::2], entries[1::2], strict=False):
            if key.content == b"certificate":
                found.append(value.body())
            elif key.content == b"cabundle":
                found.extend(entry.body() for entry in value.children)
    return _distinct(found)


def revocation_lists() -> tuple[bytes, ...]:
    """Return the revocation lists of the corpus."""
    return _distinct(path.read_bytes() for path in sorted((CORPUS / "crls").glob("*.der")))


def images() -> tuple[bytes, ...]:
    """Return the Enclave Image Files in `fixtures/eif`."""
    return _distinct(path.read_bytes() for path in sorted(IMAGES.glob("*.eif")))


def ramdisks() -> tuple[bytes, ...]:
    """Return the ramdisks in those images."""
    return _distinct(
        data[begin + plain.SECTION_HEADER : end]
        for data in images()
        for kind, begin, end in plain.walk(data)
        if kind == plain.RAMDISK
    )


def _distinct(found: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(found))
