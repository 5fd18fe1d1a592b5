"""P-384 keys that are a function of the injected entropy.

Every key of a chain and of a document is on secp384r1 and signs with SHA-384 (observed in all real
documents). The private scalar comes from 56 bytes of entropy, reduced modulo n - 1: eight more
than the curve has, so that the reduction leaves no bias (FIPS 186-5 appendix A.2.1). Signatures
are deterministic (RFC 6979), which was measured to cost the same as signing with a random nonce.
Nothing is done about the sign of s: on hardware more than half of the signatures have s > n / 2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fake_nsm.errors import FakeNsmError, InvalidValueError
from fake_nsm.sources import Entropy

COORDINATE_LENGTH = 48
"""Bytes of a coordinate, of r and of s on this curve."""

# The order of the group of secp384r1 (SEC 2 section 2.5.1).
_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
_SCALAR_SEED_LENGTH = COORDINATE_LENGTH + 8


class SigningKey(Protocol):
    """What certificates and documents are signed with; tests count signatures through it."""

    @property
    def public_point(self) -> bytes:
        """The public key as an uncompressed point: 4, x, y; 97 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the ECDSA signature over SHA-384 of the message, DER encoded."""
        ...


KeyMaker = Callable[[Entropy], SigningKey]
"""Make a new key from entropy; `P384Key.generate` has this shape."""


class P384Key:
    """A private key in memory."""

    __slots__ = ("_private", "public_point")

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(private.curve, ec.SECP384R1):
            raise InvalidValueError(f"a key on secp384r1 is needed, got {private.curve.name}")
        self._private = private
        self.public_point = private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        """Return the key that these random bytes determine."""
        seed = int.from_bytes(entropy(_SCALAR_SEED_LENGTH), "big")
        return cls(ec.derive_private_key(seed % (_ORDER - 1) + 1, ec.SECP384R1()))

    @classmethod
    def from_pem(cls, pem: str) -> Self:
        """Read an unencrypted PKCS #8 file.

        Raises `InvalidValueError` if it is damaged, encrypted, or of another kind.
        """
        try:
            private = serialization.load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InvalidValueError(f"not an unencrypted PEM private key: {error}") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise InvalidValueError("a private key on secp384r1 is needed, got another kind")
        return cls(private)

    def to_pem(self) -> str:
        """Return the private key as unencrypted PKCS #8."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode("ascii")

    def sign(self, message: bytes) -> bytes:
        """Return the deterministic ECDSA signature over SHA-384 of the message, DER encoded."""
        return self._private.sign(message, _signature_algorithm())


def raw_signature(der: bytes) -> bytes:
    """Return r then s, 48 bytes each and big-endian, as COSE wants them (RFC 9053 section 2.1)."""
    # SEQUENCE { INTEGER r, INTEGER s }, all lengths in one byte: at most 104 bytes follow.
    middle = 4 + der[3]
    return _fixed_width(der[4:middle]) + _fixed_width(der[middle + 2 :])


def _fixed_width(integer: bytes) -> bytes:
    """Return the content of a positive DER integer as exactly 48 bytes."""
    return integer[-COORDINATE_LENGTH:].rjust(COORDINATE_LENGTH, b"\0")


@functools.cache
def _signature_algorithm() -> ec.ECDSA:
    """Make it on first use: where it cannot be had, importing this must still work."""
    try:
        return ec.ECDSA(hashes.SHA384(), deterministic_signing=True)
    except UnsupportedAlgorithm as error:
        raise FakeNsmError(
            "deterministic signatures need the package cryptography with OpenSSL 3.2 or newer: "
            "install its wheel from the package index instead of building it here"
        ) from error
