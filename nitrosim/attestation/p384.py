"""ECDSA on P-384 with SHA-384: the only cryptography in a Nitro document.

Facts (FIPS 186-5, RFC 9053 section 2.1, RFC 5758, measured on real documents):

* Every key of the PKI and of the module is on secp384r1, every signature uses SHA-384.
  So curve and hash are fixed here and never taken from a key, a header or an
  argument: there is no algorithm to confuse.
* COSE carries a signature as r then s, 48 bytes each, big-endian. X.509 carries
  the same two numbers as a DER SEQUENCE. Both must be in 1..n-1; r = s = 0 verified
  against any key in a well-known Java release (CVE-2022-21449), so the range is
  checked here and not left to the library.
* (r, n - s) verifies whenever (r, s) does. AWS emits both halves (17 of 28 real
  documents have s > n/2), so neither half is refused. A signature is therefore no
  identifier of a document.
* A public key must be a point on the curve; the library checks that when the key is loaded.

`LoadKey` is the seam: tests count verifications through it, and another
library can be put behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

COORDINATE_BYTES: Final = 48
POINT_BYTES: Final = 1 + 2 * COORDINATE_BYTES
"""An uncompressed point: 04, x, y."""

SIGNATURE_BYTES: Final = 2 * COORDINATE_BYTES
"""A COSE signature: r, s."""

ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_C7634D81_F4372DDF_581A0DB2_48B0A77A_ECEC196A_CCC52973  # noqa: E501 - one number
"""n, the number of points on the curve (FIPS 186-5, SP 800-186)."""

_CURVE: Final = ec.SECP384R1()
_ES384: Final = ec.ECDSA(SHA384())


class BadKeyError(Exception):
    """The bytes are not an uncompressed point on P-384."""


class PublicKey(Protocol):
    """A key that can check ES384 signatures."""

    def verify(self, r: int, s: int, message: bytes) -> bool:
        """Tell whether (r, s), both in 1..n-1, is this key's signature over `message`."""
        ...


LoadKey: TypeAlias = Callable[[bytes], PublicKey]
"""From the 97 bytes of an uncompressed point to a key; raises `BadKeyError`."""


class _OpenSslKey:
    """A key in the OpenSSL that the cryptography package carries."""

    __slots__ = ("_key",)

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key

    def verify(self, r: int, s: int, message: bytes) -> bool:
        try:
            self._key.verify(encode_dss_signature(r, s), message, _ES384)
        except InvalidSignature:
            return False
        return True


def load_key(point: bytes) -> PublicKey:
    """Load an uncompressed point (97 bytes) after checking that it lies on the curve.

    Raises `BadKeyError`.
    """
    if len(point) != POINT_BYTES or point[0] != 0x04:
        raise BadKeyError("not an uncompressed point of 97 bytes")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    except ValueError as error:
        raise BadKeyError("not a point on P-384") from error
    return _OpenSslKey(key)


def in_range(number: int) -> bool:
    """Tell whether `number` may be r or s of a signature: 1..n-1."""
    return 0 < number < ORDER
