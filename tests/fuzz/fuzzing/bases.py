"""Good documents of the corpus, sealed: what mutants of the target `sealed` are compared with."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

from fuzzing import library, seals
from nitrosim.attestation import (
    AttestationError,
    DocumentType,
    Historic,
    UnsafeSkipPcrs,
    VerifiedDocument,
    Verifier,
    read_unverified,
)

_MOST_LISTED = 4096
"""Bytes of a list: longer ones would be most of the work."""

Answer: TypeAlias = "VerifiedDocument | tuple[str, int]"
"""What was verified, or code and step of the refusal."""


@dataclass(frozen=True)
class Base:
    """A good document, sealed, with what it takes to verify it.

    Attributes:
        document: the bytes.
        pin: of its root.
        type: its type.
        content: what it says.
        lists: revocation lists of its issuers.
        listed: the answer when the lists are given: some are of documents that have been revoked.

    """

    document: bytes
    pin: bytes
    type: DocumentType
    content: VerifiedDocument
    lists: tuple[bytes, ...]
    listed: Answer


def first_look(verifier: Verifier, document: bytes, kind: DocumentType) -> Answer:
    """Verify with as few demands as there can be."""
    try:
        return verifier.verify(
            document,
            UnsafeSkipPcrs(),
            time=Historic(),
            document_type=kind,
            allow_debug=True,
            strict=False,
        )
    except AttestationError as error:
        return error.code, error.step


def root_pin(document: bytes) -> bytes | None:
    """Return the pin of the root that a document brings along, if there is one."""
    try:
        root = read_unverified(document).claims.cabundle[0]
    except (AttestationError, IndexError):
        return None
    return hashlib.sha256(root).digest()


@functools.cache
def base_cases() -> tuple[dict[str, Any], ...]:
    """Return the cases of genuine documents: the good ones, and those that have been revoked."""
    revoked = [case for case in library.cases() if case["code"] == "CERTIFICATE_REVOKED"]
    return (*library.good_cases(), *revoked)


@functools.cache
def bases() -> tuple[Base, ...]:
    """Return the documents, in the order of their cases."""
    return tuple(map(_base, base_cases()))


def _base(case: dict[str, Any]) -> Base:
    document = seals.sealed(library.document(case))
    kind = DocumentType(case["document_type"])
    pin = root_pin(document)
    assert pin is not None
    verifier = functools.partial(Verifier, [pin], load_key=seals.load_seal_key)
    content = first_look(verifier(), document, kind)
    assert isinstance(content, VerifiedDocument)
    chain = (*content.cabundle, content.certificate)
    lists = tuple(
        seals.sealed_list(crl, chain) for crl in library.lists(case) if len(crl) < _MOST_LISTED
    )
    listed = first_look(verifier(crls=lists), document, kind)
    if case["result"] == "accept":
        assert content == listed
    return Base(document, pin, kind, content, lists, listed)
