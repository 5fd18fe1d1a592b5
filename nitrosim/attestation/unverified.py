"""Looking at a document without verifying it: for people, never for decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nitrosim.attestation.certificate import Certificate, CertificateError, read_certificate
from nitrosim.attestation.cose import Sign1, read_sign1
from nitrosim.attestation.payload import read_payload
from nitrosim.attestation.steps import Trail

if TYPE_CHECKING:
    from nitrosim.attestation.model import Claims


@dataclass(frozen=True, slots=True)
class UnverifiedDocument:
    """What some bytes say. Nothing in here has been verified: anyone can write it.

    Attributes:
        size: bytes of the whole document.
        envelope: protected header, payload, signature, tag.
        indefinite_map: whether the payload map has indefinite length (real ones since 2025-08).
        claims: the payload's fields.
        certificates: root first, leaf last; None for one that is not strict DER.

    """

    size: int
    envelope: Sign1
    indefinite_map: bool
    claims: Claims
    certificates: tuple[Certificate | None, ...]


def read_unverified(document: bytes) -> UnverifiedDocument:
    """Read a document of either type for display (steps 1 to 13 of the procedure, not strict).

    Raises `AttestationError` when the bytes are no attestation document at all.
    """
    trail = Trail(None)
    envelope = read_sign1(document, trail)
    claims = read_payload(envelope.payload, trail, expected_type=None, strict=False)
    return UnverifiedDocument(
        size=len(document),
        envelope=envelope,
        indefinite_map=envelope.payload[0] == 0xBF,
        claims=claims,
        certificates=tuple(_read(der) for der in (*claims.cabundle, claims.certificate)),
    )


def _read(der: bytes) -> Certificate | None:
    try:
        return read_certificate(der)
    except CertificateError:
        return None
