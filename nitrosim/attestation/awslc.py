"""ECDSA by AWS-LC instead of OpenSSL: the same verdicts, more than twice as fast.

AWS-LC is AWS's cryptographic library. The `awscrt` package carries it (boto3's extra ``crt`` brings
that package along), and this module puts it behind the verifier's seam::

    from nitrosim.attestation import Verifier, awslc

    verifier = Verifier.aws(load_key=awslc.load_key)

Nothing imports this module unless asked to: loading awscrt takes 50 ms and 12 MB. What the verifier
relies on is the same as with the default (`nitrosim.attestation.p384`), and the same tests run over
both:

* A point is made into a key by putting our own SubjectPublicKeyInfo before it, so neither the
  curve nor the form of the point is the library's guess. Measured on awscrt 0.38: points off
  the curve and coordinates beyond the field are refused when they are loaded; hybrid forms
  and other curves would be taken, and are refused here before.
* It verifies digests of any length, cut to the size of the curve, so SHA-384 is computed here.
* r and s outside of 1..n-1 verify as false; the verifier refuses them earlier.

On Apple's systems and on Windows awscrt computes with the system's own library, which nobody has
measured for this purpose. There, importing this module raises `ImportError`.
"""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from nitrosim.attestation.certificate import P384_KEY_PREFIX
from nitrosim.attestation.p384 import POINT_BYTES, BadKeyError, PublicKey

if TYPE_CHECKING:
    from collections.abc import Callable

if sys.platform != "linux":
    raise ImportError("awscrt contains AWS-LC on Linux only; use the default, p384.load_key")

try:
    # Both errors are mypy's, with and without the package.
    from awscrt.crypto import EC  # type: ignore[import-not-found,import-untyped,unused-ignore]
except ImportError as error:
    raise ImportError("AWS-LC needs awscrt 0.28.4 or newer: pip install awscrt") from error


class _AwsLcKey:
    """A key in AWS-LC."""

    __slots__ = ("_verify",)

    def __init__(self, verify: Callable[[bytes, bytes], bool]) -> None:
        self._verify = verify

    def verify(self, r: int, s: int, message: bytes) -> bool:
        digest = hashlib.sha384(message).digest()
        return self._verify(digest, encode_dss_signature(r, s)) is True


def load_key(point: bytes) -> PublicKey:
    """Load an uncompressed point (97 bytes) after checking that it lies on the curve.

    Raises `BadKeyError`.
    """
    if len(point) != POINT_BYTES or point[0] != 0x04:
        raise BadKeyError("not an uncompressed point of 97 bytes")
    try:
        key = EC.new_key_from_der_data(P384_KEY_PREFIX + point)
    except RuntimeError as error:
        raise BadKeyError("not a point on P-384") from error
    return _AwsLcKey(key.verify)
