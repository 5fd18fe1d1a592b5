"""`read_unverified`: looking at a document without believing it.

Whatever the bytes: what they say, or an `AttestationError` of the steps about form. What they say
is what cbor2 reads, and whatever can be verified can be looked at.
"""

from __future__ import annotations

from fuzzing import library, oracle
from nitrosim.attestation import AttestationError, read_unverified


def seeds() -> list[bytes]:
    """Return all documents of the corpus."""
    return library.documents()


def target(data: bytes) -> None:
    """Look, and compare."""
    try:
        seen = read_unverified(data)
    except AttestationError as error:
        assert 1 <= error.step <= 12
        assert str(error).isprintable()
        return
    assert len(data) == seen.size
    assert (data[0] == 0xD2) == seen.envelope.tagged
    oracle.check_content(seen.claims, data)
    ders = (*seen.claims.cabundle, seen.claims.certificate)
    assert len(ders) == len(seen.certificates)
    for der, certificate in zip(ders, seen.certificates, strict=True):
        assert certificate is None or der == certificate.der
