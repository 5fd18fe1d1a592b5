"""The chain: from our own root to the key that signed the document (steps 13 to 22).

The bundle is in issuing order, root first: root, regional, zonal, instance; the leaf
comes in its own field. So nothing is searched: certificate i+1 must be issued by
certificate i, and any other order or an extra certificate is refused. Java and OpenSSL want
the reverse; a published verifier took the last entry for the root and refused every real document.

Trust comes from `pins` alone. The root's signature over itself proves nothing and is
not checked: its bytes are the ones we pinned.

What real chains lack, and general profiles demand, is not demanded: key identifiers,
a critical keyUsage on the leaf, extended key usage, subject alternative names,
serials of at most 20 octets.

Four signatures are checked for the usual chain of five; a fifth over the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from nitrosim.attestation import certificate as x509
from nitrosim.attestation.certificate import Certificate, CertificateError, read_certificate
from nitrosim.attestation.errors import Code
from nitrosim.attestation.model import Claims, DocumentType
from nitrosim.attestation.p384 import BadKeyError, LoadKey, PublicKey, in_range
from nitrosim.attestation.policy import extended
from nitrosim.attestation.revocation import RevocationList, check_revocation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nitrosim.attestation.steps import Trail

MAX_BUNDLE: Final = 10
"""Certificates in cabundle; real bundles have 4."""

_UNDERSTOOD: Final = frozenset(
    (x509.BASIC_CONSTRAINTS, x509.KEY_USAGE, x509.SUBJECT_KEY_ID, x509.AUTHORITY_KEY_ID)
)
_CONSTRAINING: Final = {
    bytes.fromhex("551d1e"): "nameConstraints",
    bytes.fromhex("551d20"): "certificatePolicies",
    bytes.fromhex("551d21"): "policyMappings",
    bytes.fromhex("551d24"): "policyConstraints",
    bytes.fromhex("551d36"): "inhibitAnyPolicy",
}
_INSTANCE_PCR: Final = 4


@dataclass(frozen=True, slots=True)
class ChainRules:
    """What a chain is judged by.

    Attributes:
        pins: SHA-256 of acceptable roots.
        load_key: the cryptography.
        at: the evaluation time, UTC.
        leeway: how much later than `at` a certificate may begin; its end has none.
        revocation: parsed lists given by the caller, maybe none.
        strict: whether names and PCR4 must agree with module_id.

    """

    pins: frozenset[bytes]
    load_key: LoadKey
    at: datetime
    leeway: timedelta
    revocation: Sequence[RevocationList]
    strict: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """A verified chain: certificates from root to leaf, and the leaf's key."""

    certificates: tuple[Certificate, ...]
    leaf_key: PublicKey

    @property
    def root(self) -> Certificate:
        """The certificate that is pinned."""
        return self.certificates[0]

    @property
    def leaf(self) -> Certificate:
        """The certificate whose key signs documents."""
        return self.certificates[-1]


def verify_chain(claims: Claims, rules: ChainRules, trail: Trail) -> Chain:
    """Verify the chain that a document brings along: steps 13 to 22.

    Raises `CertificateChainError`, or `TimeError` for step 20.
    """
    # (13) Form. The count comes first: it bounds the work.
    if not 1 <= len(claims.cabundle) <= MAX_BUNDLE:
        raise Code.CERTIFICATE_COUNT(
            "cabundle", got=f"{len(claims.cabundle)} certificates", expected=f"1 to {MAX_BUNDLE}"
        )
    ders = (*claims.cabundle, claims.certificate)
    certificates = tuple(_read(der, _place(i, len(ders))) for i, der in enumerate(ders))
    trail.passed(13, f"{len(certificates)} certificates")

    # (14) Our own copy of the root, by the hash of all its bytes.
    root_pin = certificates[0].sha256
    if root_pin not in rules.pins:
        raise Code.UNTRUSTED_ROOT(
            f"root {certificates[0].common_name!r}, SHA-256",
            got=root_pin,
            expected=" or ".join(sorted(pin.hex() for pin in rules.pins)),
        )
    trail.passed(14, f"{certificates[0].common_name}, SHA-256 {root_pin.hex()}")

    # (15) Issuing order. (16) belongs into the same pass: no signature may be checked
    # before its algorithm and the key that checks it have been.
    leaf_key = _verify_links(certificates, rules.load_key)
    trail.passed(15, f"{len(certificates) - 1} signatures")
    trail.passed(16)

    # (17)-(19) Who may issue what.
    _check_roles(certificates)
    trail.passed(17)
    _check_extensions(certificates)
    trail.passed(18)
    _check_key_ids(certificates)
    trail.passed(19)

    # (20) All of them, at one time.
    _check_validity(certificates, rules.at, rules.leeway)
    ends = min(certificate.ends for certificate in certificates)
    trail.passed(20, f"at {_text(rules.at)}; first to end {_text(ends)}")

    # (21) AWS: "we do not use CRL". Only lists that the caller gives.
    if rules.revocation:
        consulted = check_revocation(
            certificates, rules.revocation, at=rules.at, load_key=rules.load_key
        )
        trail.passed(21, f"{consulted} certificates covered by the given lists")
    else:
        trail.skipped(21, "no lists given")

    # (22) Catches a genuine leaf or instance certificate of another machine.
    if rules.strict:
        region = _check_identity(claims, certificates)
        trail.passed(22, f"{claims.instance_id} in {region}")
    else:
        trail.skipped(22, "not strict")
    return Chain(certificates, leaf_key)


def _read(der: bytes, place: str) -> Certificate:
    if not 0 < len(der) <= x509.MAX_CERTIFICATE_BYTES:
        raise Code.CERTIFICATE_SIZE(
            place, got=f"{len(der)} bytes", expected=f"1 to {x509.MAX_CERTIFICATE_BYTES}"
        )
    try:
        return read_certificate(der)
    except CertificateError as error:
        raise Code.CERTIFICATE_MALFORMED(
            f"{place} ({error})", expected="X.509 v3 in strict DER"
        ) from error


def _verify_links(certificates: tuple[Certificate, ...], load_key: LoadKey) -> PublicKey:
    """Check algorithms, keys, names and signatures from the root down; return the leaf's key."""
    count = len(certificates)
    key = _checked_key(certificates[0], _place(0, count), load_key)
    for i in range(1, count):
        issuer, certificate, place = certificates[i - 1], certificates[i], _place(i, count)
        if certificate.issuer != issuer.subject:
            raise Code.ISSUER_MISMATCH(
                f"issuer of {place}", got=certificate.issuer, expected=issuer.subject
            )
        subject_key = _checked_key(certificate, place, load_key)
        r, s = certificate.r, certificate.s
        if not (in_range(r) and in_range(s) and key.verify(r, s, certificate.signed)):
            raise Code.CERTIFICATE_SIGNATURE(
                f"signature of {place}",
                got="one that does not verify",
                expected=f"one by {issuer.common_name!r}",
            )
        key = subject_key
    return key


def _checked_key(certificate: Certificate, place: str, load_key: LoadKey) -> PublicKey:
    """Check both algorithm fields and the key of a certificate (16); return the key."""
    for field, algorithm in (
        ("inner", certificate.inner_algorithm),
        ("outer", certificate.outer_algorithm),
    ):
        if algorithm != x509.ECDSA_WITH_SHA384:
            raise Code.CERTIFICATE_ALGORITHM(
                f"{field} signature algorithm of {place}",
                got=algorithm,
                expected=f"{x509.ECDSA_WITH_SHA384.hex()} (ecdsa-with-SHA384)",
            )
    prefix = len(x509.P384_KEY_PREFIX)
    expected = "an uncompressed point on secp384r1, named"
    if certificate.key_info[:prefix] != x509.P384_KEY_PREFIX:
        raise Code.CERTIFICATE_KEY(f"key of {place}", got=certificate.key_info, expected=expected)
    try:
        return load_key(certificate.key_info[prefix:])
    except BadKeyError as error:
        raise Code.CERTIFICATE_KEY(
            f"key of {place} ({error})", got=certificate.key_info, expected=expected
        ) from error


def _check_roles(certificates: tuple[Certificate, ...]) -> None:
    count = len(certificates)
    *issuers, leaf = certificates
    for i, issuer in enumerate(issuers):
        place = _place(i, count)
        critical = issuer.extensions.get(x509.BASIC_CONSTRAINTS, (False, b""))[0]
        if not issuer.is_ca or not critical:
            raise Code.NOT_A_CA(
                f"basicConstraints of {place}",
                got=f"CA {issuer.is_ca}, critical {critical}",
                expected="CA True, critical True",
            )
        _check_key_usage(issuer, place, needed=x509.KEY_CERT_SIGN, forbidden=0)
    for i, issuer in enumerate(issuers):
        below = sum(ca.issuer != ca.subject for ca in issuers[i + 1 :])
        if issuer.path_length is not None and below > issuer.path_length:
            raise Code.PATH_LENGTH(
                f"CAs below {_place(i, count)}", got=below, expected=f"at most {issuer.path_length}"
            )
    place = _place(count - 1, count)
    if leaf.is_ca or leaf.path_length is not None:
        raise Code.LEAF_IS_CA(
            f"basicConstraints of {place}",
            got=f"CA {leaf.is_ca}, pathLen {leaf.path_length}",
            expected="CA False, no pathLen",
        )
    _check_key_usage(leaf, place, needed=x509.DIGITAL_SIGNATURE, forbidden=x509.KEY_CERT_SIGN)


def _check_key_usage(certificate: Certificate, place: str, *, needed: int, forbidden: int) -> None:
    usage = certificate.key_usage
    if usage is None or not usage & needed or usage & forbidden:
        raise Code.KEY_USAGE(
            f"keyUsage of {place}",
            got="none" if usage is None else f"{usage:02x}",
            expected=f"with bit {needed:02x}" + (f", without {forbidden:02x}" if forbidden else ""),
        )


def _check_extensions(certificates: tuple[Certificate, ...]) -> None:
    # ASSUMPTION: a non-critical extendedKeyUsage is ignored, because no purpose is
    # defined for attestation and no real certificate has the extension.
    for i, certificate in enumerate(certificates):
        place = _place(i, len(certificates))
        for oid, (critical, _) in certificate.extensions.items():
            if oid in _CONSTRAINING:
                raise Code.CONSTRAINING_EXTENSION(
                    f"extension of {place}", got=_CONSTRAINING[oid], expected="none of its kind"
                )
            if critical and oid not in _UNDERSTOOD:
                raise Code.UNKNOWN_CRITICAL_EXTENSION(
                    f"critical extension of {place}", got=f"OID {oid.hex()}", expected="a known one"
                )


def _check_key_ids(certificates: tuple[Certificate, ...]) -> None:
    for i, certificate in enumerate(certificates):
        wanted = certificate.authority_key_id
        issuer = certificates[max(i - 1, 0)]
        # Absence is normal: no leaf has one, nor have instance CAs before 2024.
        if wanted is not None and wanted != issuer.subject_key_id:
            raise Code.AUTHORITY_KEY_ID(
                f"authority key id of {_place(i, len(certificates))}",
                got=wanted,
                expected=issuer.subject_key_id or "none, the issuer has no key id",
            )


def _check_validity(certificates: tuple[Certificate, ...], at: datetime, leeway: timedelta) -> None:
    moment = at.timestamp()
    latest_begin = moment + leeway.total_seconds()
    for i, certificate in enumerate(certificates):
        if certificate.not_before > latest_begin:
            raise Code.CERTIFICATE_NOT_YET_VALID(
                f"begin of {_place(i, len(certificates))}",
                got=_text(certificate.begins),
                expected=f"at or before {_text(at)}",
            )
        if certificate.not_after < moment:
            raise Code.CERTIFICATE_EXPIRED(
                f"end of {_place(i, len(certificates))}",
                got=_text(certificate.ends),
                expected=f"at or after {_text(at)}",
            )


def _check_identity(claims: Claims, certificates: tuple[Certificate, ...]) -> str:
    """Check that names and PCR4 tell of the same module, instance and region; return the region.

    Only labels are compared, not what follows the region: it differs between partitions.
    """
    leaf_name = certificates[-1].common_name
    prefix = f"{claims.module_id}."
    region = leaf_name.removeprefix(prefix).split(".", 1)[0]
    if not leaf_name.startswith(prefix) or not region:
        raise Code.IDENTITY_MISMATCH(
            "name of the leaf", got=repr(leaf_name), expected=f"{prefix}<region>..."
        )
    count = len(certificates)
    for i in range(1, count - 1):
        name = certificates[i].common_name
        expected = f"{claims.instance_id}.{region}." if i == count - 2 else f".{region}."
        if not (name.startswith(expected) if i == count - 2 else expected in name):
            raise Code.IDENTITY_MISMATCH(
                f"name of {_place(i, count)}", got=repr(name), expected=f"with {expected}"
            )
    pcr4 = extended(claims.instance_id.encode())
    # PCR4 of a TPM is the boot manager's.
    if claims.document_type is DocumentType.ENCLAVE and claims.pcrs.get(_INSTANCE_PCR) != pcr4:
        raise Code.IDENTITY_MISMATCH(
            f"PCR4 for {claims.instance_id}",
            got=claims.pcrs.get(_INSTANCE_PCR, b"").hex() or "none",
            expected=pcr4,
        )
    return region


def _place(i: int, count: int) -> str:
    """Name the i-th of `count` certificates as the document does."""
    return "certificate" if i == count - 1 else f"cabundle[{i}]"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
