"""The profile of the five certificates above a document, measured on 28 distinct real chains.

========  ============================================  =============  ==========================
level     common name                                   lifetime       peculiarities
========  ============================================  =============  ==========================
root      ``aws.nitro-enclaves``                        30 y + 1 h     no AKI, no CRL
regional  ``<16 hex>.<region>.aws.nitro-enclaves``      20 d + 1 h     pathLen 2
zonal     ``<hex>.zonal.<region>.aws.nitro-enclaves``   5.5 to 6 days  RDNs in reverse, ST=WA
instance  ``<instance id>.<region>.aws.nitro-enclaves`` 24 h           160-bit serial; SKI and AKI
                                                                       behind keyUsage since 2024
leaf      ``<module_id>.<region>.aws``                  3 h + 3 s      keyUsage not critical, no
                                                                       SKI, no AKI
========  ============================================  =============  ==========================

A 160-bit serial whose first bit is set takes 21 bytes in DER, one more than RFC 5280 allows. No
level has extended key usage, alternative names or policies. A lifetime is one second shorter now
and then. All of this is kept, so that a verifier developed here survives real documents.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING

from fake_nsm.certificates import (
    Authority,
    CertificateFields,
    authority_constraints,
    authority_key_identifier,
    crl_distribution_point,
    distinguished_name,
    end_entity_constraints,
    key_identifier,
    key_usage,
    subject_key_identifier,
)

if TYPE_CHECKING:
    from fake_nsm.identity import EnclaveIdentity
    from fake_nsm.sources import Entropy

HOUR = 3600
"""Seconds."""
DAY = 24 * HOUR
"""Seconds."""

# DEVIATION: names in the test PKI say C=XX, O=nitrosim, OU=TEST ONLY - NOT AWS, and have
# "nitrosim" where those of AWS have "aws" (nitrosim.nitro-enclaves), in the same attributes,
# order and string types, so that no certificate can be taken for one of AWS.
_COUNTRY = ("C", "XX")
_ORGANISATION = ("O", "nitrosim")
_UNIT = ("OU", "TEST ONLY - NOT AWS")
_PLACE = "nitrosim"
_DOMAIN = f"{_PLACE}.nitro-enclaves"

ROOT_NAME = distinguished_name(_COUNTRY, _ORGANISATION, _UNIT, ("CN", _DOMAIN))
"""The subject of every test root, DER."""

# DEVIATION: every test root has the validity of the AWS root G1 (2019-10-28T13:28:05Z to
# 2049-10-28T14:28:05Z) whenever it was made, so that simulated clocks of the past work too.
ROOT_NOT_BEFORE = 1_572_269_285
"""Seconds since 1970."""
ROOT_NOT_AFTER = 2_519_044_085
"""Seconds since 1970."""

REGIONAL_LIFETIME = 20 * DAY + HOUR
"""Seconds."""
ZONAL_LIFETIME_MIN = 5 * DAY + 12 * HOUR
"""Seconds; real ones last 132 to 144 whole hours."""
INSTANCE_LIFETIME = 24 * HOUR
"""Seconds."""
LEAF_LIFETIME = 3 * HOUR
"""Seconds from the moment of issue."""
LEAF_BACKDATING = 3
"""Seconds that a leaf's notBefore lies before its issue (none until 2021)."""

# The bits of keyUsage from the left: digitalSignature, nonRepudiation, ..., keyCertSign, cRLSign.
_SIGN_ALL = key_usage(0x86, unused_bits=1, critical=True)
_SIGN_CERTIFICATES = key_usage(0x04, unused_bits=2, critical=True)
_SIGN_DOCUMENTS = key_usage(0xC0, unused_bits=6, critical=False)


def root_fields(public_point: bytes, *, entropy: Entropy) -> CertificateFields:
    """Return the fields of a self-signed test root."""
    return CertificateFields(
        serial=_random_serial(128, entropy),
        subject=ROOT_NAME,
        not_before=ROOT_NOT_BEFORE,
        not_after=ROOT_NOT_AFTER,
        extensions=(
            authority_constraints(None),
            subject_key_identifier(key_identifier(public_point)),
            _SIGN_ALL,
        ),
    )


def regional_fields(
    public_point: bytes, *, region: str, issuer: Authority, not_before: int, entropy: Entropy
) -> CertificateFields:
    """Return the fields of a regional CA, which a root issues."""
    number = entropy(8).hex()
    return CertificateFields(
        serial=_random_serial(128, entropy),
        subject=distinguished_name(
            _COUNTRY, _ORGANISATION, _UNIT, ("CN", f"{number}.{region}.{_DOMAIN}")
        ),
        not_before=not_before,
        not_after=not_before + REGIONAL_LIFETIME - _second_less(entropy),
        extensions=(
            authority_constraints(2),
            authority_key_identifier(issuer.key_id),
            subject_key_identifier(key_identifier(public_point)),
            _SIGN_ALL,
            crl_distribution_point(f"http://{_PLACE}-nitro-enclaves-crl.{_crl_path(issuer)}"),
        ),
    )


def zonal_fields(
    public_point: bytes, *, region: str, issuer: Authority, not_before: int, entropy: Entropy
) -> CertificateFields:
    """Return the fields of a zonal CA, which a regional one issues."""
    number = int.from_bytes(entropy(8), "big")
    hours = int.from_bytes(entropy(2), "big") % 13
    crl_host = f"crl-{region}-{_PLACE}-nitro-enclaves"
    return CertificateFields(
        serial=_random_serial(128, entropy),
        subject=distinguished_name(
            ("CN", f"{number:x}.zonal.{region}.{_DOMAIN}"),
            _UNIT,
            _ORGANISATION,
            _COUNTRY,
            ("ST", "WA"),
            ("L", "Seattle"),
        ),
        not_before=not_before,
        not_after=not_before + ZONAL_LIFETIME_MIN + hours * HOUR - _second_less(entropy),
        extensions=(
            authority_constraints(1),
            authority_key_identifier(issuer.key_id),
            subject_key_identifier(key_identifier(public_point)),
            _SIGN_ALL,
            crl_distribution_point(f"http://{crl_host}.{_crl_path(issuer, region)}"),
        ),
    )


def instance_fields(  # noqa: PLR0913 - one keyword for each fact of the certificate
    public_point: bytes,
    *,
    instance_id: str,
    region: str,
    issuer: Authority,
    not_before: int,
    key_identifiers: bool,
    entropy: Entropy,
) -> CertificateFields:
    """Return the fields of an instance CA, which a zonal one issues.

    `key_identifiers` chooses between the two real flavours: with subject and authority key
    identifier (first seen in 2024-07), or without (until 2024-01).
    """
    extensions = [authority_constraints(0), _SIGN_CERTIFICATES]
    if key_identifiers:
        extensions.append(subject_key_identifier(key_identifier(public_point)))
        extensions.append(authority_key_identifier(issuer.key_id))
    return CertificateFields(
        serial=_random_serial(160, entropy),
        subject=_hypervisor_name(f"{instance_id}.{region}.{_DOMAIN}"),
        not_before=not_before,
        not_after=not_before + INSTANCE_LIFETIME,
        extensions=tuple(extensions),
    )


def leaf_fields(identity: EnclaveIdentity, *, issued_at: int) -> CertificateFields:
    """Return the fields of an enclave's certificate, which its instance CA issues.

    The serial is the 64-bit number of the enclave, then the issue time as 64 bits of seconds.
    """
    return CertificateFields(
        serial=identity.enclave_number << 64 | issued_at,
        subject=_hypervisor_name(f"{identity.module_id}.{identity.region}.{_PLACE}"),
        not_before=issued_at - LEAF_BACKDATING,
        not_after=issued_at + LEAF_LIFETIME,
        extensions=(end_entity_constraints(), _SIGN_DOCUMENTS),
    )


def _hypervisor_name(common_name: str) -> bytes:
    return distinguished_name(
        _COUNTRY,
        ("ST", "Washington"),
        ("L", "Seattle"),
        _ORGANISATION,
        _UNIT,
        ("CN", common_name),
    )


def _random_serial(bits: int, entropy: Entropy) -> int:
    return int.from_bytes(entropy(bits // 8), "big")


def _second_less(entropy: Entropy) -> int:
    return entropy(1)[0] & 1


# DEVIATION: certificate revocation lists are named at hosts under amazonaws.test, a top level that
# can never exist (RFC 6761), so that no verifier asks AWS about test certificates.
def _crl_path(issuer: Authority, region: str | None = None) -> str:
    """Return host suffix and path of the list of an issuer, the same for all it issues."""
    where = "s3" if region is None else f"s3.{region}"
    name = uuid.UUID(bytes=hashlib.sha256(issuer.certificate).digest()[:16], version=4)
    return f"{where}.amazonaws.test/crl/{name}.crl"
