"""What of the corpus in `fixtures/attestation` serves as seeds."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from fuzzing.tree import Kind, read

CORPUS = Path(__file__).resolve().parents[3] / "fixtures" / "attestation"


@functools.cache
def cases() -> tuple[dict[str, Any], ...]:
    """Return the entries of the index."""
    entries: list[dict[str, Any]] = json.loads((CORPUS / "index.json").read_text("ascii"))["cases"]
    return tuple(entries)


def root(case: dict[str, Any]) -> bytes:
    """Return the DER of the root that a case trusts."""
    return (CORPUS / "roots" / f"{case['root']}.der").read_bytes()


def document(case: dict[str, Any]) -> bytes:
    """Return the document of a case."""
    return (CORPUS / case["document"]).read_bytes()


def documents() -> list[bytes]:
    """Return all documents, good and bad, without repetitions."""
    return _distinct(document(case) for case in cases())


def good_cases() -> list[dict[str, Any]]:
    """Return the cases that must be accepted."""
    return [case for case in cases() if case["result"] == "accept"]


def payloads() -> list[bytes]:
    """Return the payloads of all documents that have one."""
    return _distinct(
        parts[2].body()
        for parts in (read(data).children for data in documents())
        if len(parts) == 4 and parts[2].kind is Kind.CBOR
    )


def certificates() -> list[bytes]:
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


def revocation_lists() -> list[bytes]:
    """Return the revocation lists of the corpus."""
    return _distinct(path.read_bytes() for path in sorted((CORPUS / "crls").glob("*.der")))


def _distinct(found: Any) -> list[bytes]:
    return list(dict.fromkeys(found))
