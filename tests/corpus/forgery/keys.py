"""Keys derived from names, and signatures without randomness: the same bytes in every run.

Anybody can derive these keys. They protect nothing, and nothing may trust them outside a test.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from forgery import der

ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
"""n of P-384."""

_SALT = b"nitrosim attestation corpus, version 1"


def derive(label: str, size: int) -> bytes:
    """Derive `size` bytes from a label (HKDF, RFC 5869)."""
    return HKDF(SHA256(), size, _SALT, label.encode()).derive(b"these keys protect nothing")


def key(label: str, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """Derive a private key, on P-384 unless another curve of at least 256 bits is named."""
    number = int.from_bytes(derive(f"{label} key", 72), "big")
    order = ORDER if curve is None else 1 << 255
    return ec.derive_private_key(number % (order - 1) + 1, curve or ec.SECP384R1())


def point(private: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public key as an uncompressed point."""
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def key_info(private: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public key as SubjectPublicKeyInfo."""
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_id(private: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the key identifier that RFC 5280 proposes: SHA-1 of the point."""
    return hashlib.sha1(point(private)).digest()


def sign_der(
    private: ec.EllipticCurvePrivateKey, message: bytes, hash_: HashAlgorithm | None = None
) -> bytes:
    """Sign as X.509 wants it: DER of r and s."""
    return private.sign(message, ec.ECDSA(hash_ or SHA384(), deterministic_signing=True))


def sign_raw(private: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Sign as COSE wants it: r then s, 48 bytes each."""
    return raw(sign_der(private, message))


def raw(signature: bytes) -> bytes:
    """Turn DER of r and s into 96 bytes."""
    r, s = decode_dss_signature(signature)
    return r.to_bytes(48, "big") + s.to_bytes(48, "big")


def rsa_key_info(label: str) -> bytes:
    """Return a SubjectPublicKeyInfo with an RSA modulus of 2048 bits that nobody can factor.

    Nothing ever verifies with it, so it need not be a product of two known primes.
    """
    modulus = int.from_bytes(derive(f"{label} modulus", 256), "big") | 1 << 2047 | 1
    numbers = der.tlv(0x30, der.integer(modulus), der.integer(65537))
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    return der.tlv(0x30, algorithm, der.tlv(0x03, b"\0", numbers))
