"""The real cryptography, which checks each signature once.

Mutants of a document share nearly all their certificates with it. The answer about a point, a
signature and a message never changes, so it is remembered, and a verification costs what the
verifier itself does.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from nitrosim.attestation import p384

if TYPE_CHECKING:
    from nitrosim.attestation.p384 import PublicKey


class _Key:
    def __init__(self, point: bytes) -> None:
        self._point = point

    def verify(self, r: int, s: int, message: bytes) -> bool:
        return is_signed(self._point, r, s, message)


@functools.lru_cache(maxsize=10_000)
def load_key(point: bytes) -> PublicKey:
    """Load a key as the verifier does by itself."""
    p384.load_key(point)
    return _Key(point)


@functools.lru_cache(maxsize=50_000)
def is_signed(point: bytes, r: int, s: int, message: bytes) -> bool:
    """Tell whether (r, s) is the ES384 signature of the point's owner over the message."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), point)
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA384()))
    except InvalidSignature:
        return False
    return True
