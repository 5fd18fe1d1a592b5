"""Revocation lists, when the caller has some (step 21).

AWS says that it does not use them for Nitro, although its regional and zonal certificates name
places of lists in S3, some of which answer 403. So nothing is ever fetched here: a caller who does have lists passes their
DER, and they are used by issuer and serial (RFC 5280 section 6.3).

A list must be signed by the CA that issued the certificates it is about, with the one
algorithm of this PKI, and must be current at the evaluation time. A list that does not
meet that is an error, never silently ignored; a list of a CA outside the chain does not concern it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from nitrosim.attestation.certificate import ECDSA_WITH_SHA384, P384_KEY_PREFIX, Certificate
from nitrosim.attestation.errors import Code
from nitrosim.attestation.p384 import LoadKey, in_range

if TYPE_CHECKING:
    from cryptography.x509 import CertificateRevocationList


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list of the right form, its signature not yet verified.

    Attributes:
        issuer: Name of the CA, raw DER.
        revoked: serial numbers.
        this_update: when the list was made, UTC.
        next_update: when it ends, UTC.
        signed: the bytes its signature covers.
        r: first number of the signature.
        s: second number of the signature.
    """

    issuer: bytes
    revoked: frozenset[int]
    this_update: datetime
    next_update: datetime
    signed: bytes
    r: int
    s: int


def read_revocation_lists(lists: Iterable[bytes]) -> tuple[RevocationList, ...]:
    """Read lists from DER. Raises `CertificateChainError` for one that cannot be used."""
    return tuple(_read(der) for der in lists)


def _read(der: bytes) -> RevocationList:
    # Rarely used, and a long import.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.utils import (  # noqa: PLC0415
        decode_dss_signature,
    )
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    try:
        crl = x509.load_der_x509_crl(der)
        if crl.signature_algorithm_oid.dotted_string != "1.2.840.10045.4.3.3":
            raise ValueError("not signed with ecdsa-with-SHA384")
        return _convert(crl, crl.issuer.public_bytes(), decode_dss_signature(crl.signature))
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Code.REVOCATION_LIST(
            f"a given list ({error})", got=f"{len(der)} bytes", expected="a CRL in DER"
        ) from error
