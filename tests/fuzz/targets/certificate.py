"""The reader for certificates.

Whatever the bytes: a certificate or a `CertificateError`. A certificate reads in the
cryptography package as it does here, in all that the verifier decides on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from fuzzing import library, oracle
from nitrosim.attestation.certificate import CertificateError, read_certificate

if TYPE_CHECKING:
    from collections.abc import Sequence


def seeds() -> Sequence[bytes]:
    """Return the certificates of the corpus."""
    return library.certificates()


def target(data: bytes) -> None:
    """Read, and compare."""
    try:
        ours = read_certificate(data)
    except CertificateError as error:
        oracle.check_refusal(error)
        return
    theirs = oracle.readable(lambda: x509.load_der_x509_certificate(data))
    if theirs is not None:
        oracle.check_certificate(ours, theirs)
