"""`read_unverified`: looking at a document without believing it.

Whatever the bytes: what they say, or an `AttestationError` of the steps about form. What they say
is what cbor2 reads, in the one envelope that it would write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzzing import library, oracle
from nitrosim.attestation import AttestationError, UnverifiedDocument, read_unverified

if TYPE_CHECKING:
    from collections.abc import Sequence


def seeds() -> Sequence[bytes]:
    """Return all documents of the corpus."""
    return library.documents()


def target(data: bytes) -> None:
    """Look, and compare."""
    try:
        seen = read_unverified(data)
    except AttestationError as error:
        oracle.check_refusal(error)
        last = error.step
    else:
        _check(seen, data)
        last = 12
    assert 1 <= last <= 12


def _check(seen: UnverifiedDocument, data: bytes) -> None:
    assert len(data) == seen.size
    assert (data[0] == 0xD2) == seen.envelope.tagged
    envelope = seen.envelope
    oracle.check_envelope(
        data, protected=envelope.protected, payload=envelope.payload, r=envelope.r, s=envelope.s
    )
    oracle.check_content(seen.claims, data)
    ders = (*seen.claims.cabundle, seen.claims.certificate)
    assert len(ders) == len(seen.certificates)
    for der, certificate in zip(ders, seen.certificates, strict=True):
        assert certificate is None or der == certificate.der
