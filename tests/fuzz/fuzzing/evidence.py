"""What cbor2 and cryptography find in the signature section of an image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from fuzzing import oracle, signing

if TYPE_CHECKING:
    from collections.abc import Callable

_Answer = TypeVar("_Answer")

_FALLBACK = datetime(2024, 6, 1, tzinfo=UTC)
"""The period of a certificate that cannot be read."""


@dataclass(frozen=True)
class Evidence:
    """What other libraries read in a signature section; None for what they do not read."""

    pem: bytes
    cose: bytes
    certificate: x509.Certificate | None
    key: ec.EllipticCurvePublicKey | None
    begin: datetime
    end: datetime

    @classmethod
    def of(cls, pem: bytes, cose: bytes) -> Evidence:
        """Read the certificate."""
        certificate = _readable(lambda: x509.load_pem_x509_certificate(pem))
        public = _readable(certificate.public_key) if certificate else None
        return cls(
            pem=pem,
            cose=cose,
            certificate=certificate,
            key=public if isinstance(public, ec.EllipticCurvePublicKey) else None,
            begin=certificate.not_valid_before_utc if certificate else _FALLBACK,
            end=certificate.not_valid_after_utc if certificate else _FALLBACK,
        )

    @property
    def scheme(self) -> signing.Scheme | None:
        """What belongs to the key."""
        return signing.scheme_of(self.key.curve.name) if self.key else None

    @property
    def parts(self) -> signing.Parts | None:
        """The COSE structure."""
        return signing.read_structure(self.cose)

    def is_flawless(self) -> bool:
        """Tell whether no reader could take offence at certificate, key and structure."""
        return (
            self.certificate is not None
            and _readable(lambda: (self.certificate.subject, self.certificate.issuer)) is not None
            and self.scheme is not None
            and self.pem == signing.to_pem(self.certificate.public_bytes(Encoding.DER))
            and self.parts is not None
            and self.cose == self.parts.written()
            and self.parts.algorithm in {scheme.number for scheme in signing.SCHEMES}
            and self.parts.protected == signing.protected(self.parts.algorithm)
        )

    def is_signed(self) -> bool:
        """Tell whether the signature is that of the key, by the key's algorithm."""
        key, scheme, parts = self.key, self.scheme, self.parts
        if key is None or scheme is None or parts is None or parts.algorithm != scheme.number:
            return False
        return signing.is_signed(key, scheme, parts)

    def is_over(self, pcr0: bytes) -> bool:
        """Tell whether this PCR0 is what is signed."""
        return self.parts is not None and self.parts.content == signing.payload(pcr0)


def _readable(question: Callable[[], _Answer]) -> _Answer | None:
    try:
        return oracle.readable(question)
    except (TypeError, x509.InvalidVersion, UnsupportedAlgorithm):
        return None
