"""What a chain must be like apart from its signatures (steps 17 to 20).

Who may issue what, which extensions may occur, which key identifiers must match, and when all
of it is valid. Certificates come root first, leaf last; all of them have been read strictly.
What real chains lack (key identifiers of leaves and old instance CAs, a critical keyUsage of
leaves) is not demanded; what is there must be right.

Every function raises `CertificateChainError`, the one about validity `TimeError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nitrosim.attestation.clock import utc_text
from nitrosim.attestation.errors import Code
from nitrosim.attestation.extensions import (
    AUTHORITY_KEY_ID,
    BASIC_CONSTRAINTS,
    DIGITAL_SIGNATURE,
    KEY_CERT_SIGN,
    KEY_USAGE,
    SUBJECT_KEY_ID,
)

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from nitrosim.attestation.certificate import Certificate

_UNDERSTOOD: Final = frozenset((BASIC_CONSTRAINTS, KEY_USAGE, SUBJECT_KEY_ID, AUTHORITY_KEY_ID))
_CONSTRAINING: Final = {
    bytes.fromhex("551d1e"): "nameConstraints",
    bytes.fromhex("551d20"): "certificatePolicies",
    bytes.fromhex("551d21"): "policyMappings",
    bytes.fromhex("551d24"): "policyConstraints",
    bytes.fromhex("551d36"): "inhibitAnyPolicy",
}


def check_roles(certificates: tuple[Certificate, ...]) -> None:
    """Check that every issuer may issue what is below it, and that the leaf may not (17)."""
    count = len(certificates)
    *issuers, leaf = certificates
    for i, issuer in enumerate(issuers):
        place = place_of(i, count)
        critical = issuer.extensions.get(BASIC_CONSTRAINTS, (False, b""))[0]
        if not issuer.is_ca or not critical:
            raise Code.NOT_A_CA(
                f"basicConstraints of {place}",
                got=f"CA {issuer.is_ca}, critical {critical}",
                expected="CA True, critical True",
            )
        _check_key_usage(issuer, place, needed=KEY_CERT_SIGN, forbidden=0)
    for i, issuer in enumerate(issuers):
        below = sum(ca.issuer != ca.subject for ca in issuers[i + 1 :])
        if issuer.path_length is not None and below > issuer.path_length:
            raise Code.PATH_LENGTH(
                f"CAs below {place_of(i, count)}",
                got=below,
                expected=f"at most {issuer.path_length}",
            )
    place = place_of(count - 1, count)
    if leaf.is_ca or leaf.path_length is not None:
        raise Code.LEAF_IS_CA(
            f"basicConstraints of {place}",
            got=f"CA {leaf.is_ca}, pathLen {leaf.path_length}",
            expected="CA False, no pathLen",
        )
    _check_key_usage(leaf, place, needed=DIGITAL_SIGNATURE, forbidden=KEY_CERT_SIGN)


def _check_key_usage(certificate: Certificate, place: str, *, needed: int, forbidden: int) -> None:
    usage = certificate.key_usage
    if usage is None or not usage & needed or usage & forbidden:
        raise Code.KEY_USAGE(
            f"keyUsage of {place}",
            got="none" if usage is None else f"{usage:02x}",
            expected=f"with bit {needed:02x}" + (f", without {forbidden:02x}" if forbidden else ""),
        )


def check_extensions(certificates: tuple[Certificate, ...]) -> None:
    """Refuse what would restrict the chain in a way that is not understood here (18)."""
    # ASSUMPTION: a non-critical extendedKeyUsage is ignored, because no purpose is
    # defined for attestation and no real certificate has the extension.
    for i, certificate in enumerate(certificates):
        place = place_of(i, len(certificates))
        for oid, (critical, _) in certificate.extensions.items():
            if oid in _CONSTRAINING:
                raise Code.CONSTRAINING_EXTENSION(
                    f"extension of {place}", got=_CONSTRAINING[oid], expected="none of its kind"
                )
            if critical and oid not in _UNDERSTOOD:
                raise Code.UNKNOWN_CRITICAL_EXTENSION(
                    f"critical extension of {place}", got=f"OID {oid.hex()}", expected="a known one"
                )


def check_key_ids(certificates: tuple[Certificate, ...]) -> None:
    """Check that a named issuer key is the issuer's (19)."""
    for i, certificate in enumerate(certificates):
        wanted = certificate.authority_key_id
        issuer = certificates[max(i - 1, 0)]
        # Absence is normal: no leaf has one, nor have instance CAs before 2024.
        if wanted is not None and wanted != issuer.subject_key_id:
            raise Code.AUTHORITY_KEY_ID(
                f"authority key id of {place_of(i, len(certificates))}",
                got=wanted,
                expected=issuer.subject_key_id or "none, the issuer has no key id",
            )


def check_validity(certificates: tuple[Certificate, ...], at: datetime, leeway: timedelta) -> None:
    """Check that all certificates are valid at one time, bounds included (20)."""
    moment = at.timestamp()
    latest_begin = moment + leeway.total_seconds()
    for i, certificate in enumerate(certificates):
        if certificate.not_before > latest_begin:
            raise Code.CERTIFICATE_NOT_YET_VALID(
                f"begin of {place_of(i, len(certificates))}",
                got=utc_text(certificate.begins),
                expected=f"at or before {utc_text(at)}",
            )
        if certificate.not_after < moment:
            raise Code.CERTIFICATE_EXPIRED(
                f"end of {place_of(i, len(certificates))}",
                got=utc_text(certificate.ends),
                expected=f"at or after {utc_text(at)}",
            )


def place_of(i: int, count: int) -> str:
    """Name the i-th of `count` certificates as the document does."""
    return "certificate" if i == count - 1 else f"cabundle[{i}]"
