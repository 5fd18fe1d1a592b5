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

Four signatures are checked for the usual chain of five; a fifth over the document. Those of
chains that have been verified before are not checked again (`nitrosim.attestation.chain_cache`
says what is remembered and what never is).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nitrosim.attestation import certificate as x509
from nitrosim.attestation.certificate import (
    Certificate,
    CertificateError,
    moment,
    read_certificate,
)
from nitrosim.attestation.chain_cache import Chain, ChainCache, Ders, Identity, Path
from nitrosim.attestation.errors import Code
from nitrosim.attestation.model import Claims, DocumentType
from nitrosim.attestation.p384 import BadKeyError, LoadKey, PublicKey, in_range
from nitrosim.attestation.policy import extended
from nitrosim.attestation.profile import (
    check_extensions,
    check_key_ids,
    check_roles,
    check_validity,
    place_of,
)
from nitrosim.attestation.revocation import RevocationList, check_revocation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from nitrosim.attestation.steps import Trail

MAX_BUNDLE: Final = 10
"""Certificates in cabundle; real bundles have 4."""

_INSTANCE_PCR: Final = 4


@dataclass(frozen=True, slots=True)
class ChainRules:
    """What all chains of one verifier are judged by.

    Attributes:
        pins: SHA-256 of acceptable roots.
        load_key: the cryptography.
        revocation: parsed lists given by the caller, maybe none.
        cache: chains that have been found right under these rules.

    """

    pins: frozenset[bytes]
    load_key: LoadKey
    revocation: Sequence[RevocationList]
    cache: ChainCache


def verify_chain(  # noqa: PLR0913 - two values, the standing rules, and three of this verification
    claims: Claims,
    rules: ChainRules,
    trail: Trail,
    *,
    at: datetime,
    leeway: timedelta,
    strict: bool,
) -> Chain:
    """Verify the chain that a document brings along: steps 13 to 22.

    Args:
        claims: the document's content, of which nothing is believed.
        rules: what does not change between verifications.
        trail: told about each step.
        at: the evaluation time, UTC.
        leeway: how much later than `at` a certificate may begin; its end has none.
        strict: whether names and PCR4 must agree with module_id.

    Raises `CertificateChainError`, or `TimeError` for step 20.

    """
    # (13) The count comes first: it bounds the work.
    if not 1 <= len(claims.cabundle) <= MAX_BUNDLE:
        raise Code.CERTIFICATE_COUNT(
            "cabundle", got=f"{len(claims.cabundle)} certificates", expected=f"1 to {MAX_BUNDLE}"
        )
    ders = (*claims.cabundle, claims.certificate)
    # (13)-(19) What is right or wrong whatever the time and the document.
    chain = rules.cache.chain(ders)
    if chain is None:
        chain = _establish(ders, rules, trail)
    elif trail.heard:
        _report_remembered(chain, trail)
    certificates = chain.path.certificates

    # (20) All of them, at one time. The full check says which one is to blame.
    now = at.timestamp()
    if now > chain.ends or now + leeway.total_seconds() < chain.begins:
        check_validity(certificates, at, leeway)
    if trail.heard:
        trail.passed(20, "at {}; first to end {}", at, moment(chain.ends))

    # (21) AWS: "we do not use CRL". Only lists that the caller gives.
    if rules.revocation:
        consulted = check_revocation(certificates, rules.revocation, at=at, load_key=rules.load_key)
        trail.passed(21, "{} certificates covered by the given lists", consulted)
    else:
        trail.skipped(21, "no lists given")

    # (22) Catches a genuine leaf or instance certificate of another machine.
    if not strict:
        trail.skipped(22, "not strict")
        return chain
    identity = chain.identity
    if identity is None or not _agrees(claims, identity):
        identity = _check_identity(claims, certificates)
        chain = dataclasses.replace(chain, identity=identity)
    trail.passed(22, "{} in {}", claims.instance_id, identity.region)
    return chain


def _establish(ders: Ders, rules: ChainRules, trail: Trail) -> Chain:
    """Verify what does not depend on time or document (13 to 19), except what is known of it."""
    known = rules.cache.beginning(ders) or Path((), ())
    count, first = len(ders), len(known.certificates)

    # (13) Form.
    certificates = (
        *known.certificates,
        *(_read(ders[i], place_of(i, count)) for i in range(first, count)),
    )
    # The root alone is no news: its signature is never checked.
    origin = f"; {first} from the cache" if first > 1 else ""
    trail.passed(13, "{} certificates{}", count, origin)

    # (14) Our own copy of the root, by the hash of all its bytes.
    root_pin = certificates[0].sha256
    if root_pin not in rules.pins:
        raise Code.UNTRUSTED_ROOT(
            f"root {certificates[0].common_name!r}, SHA-256",
            got=root_pin,
            expected=" or ".join(sorted(pin.hex() for pin in rules.pins)),
        )
    trail.passed(14, "{}, SHA-256 {}", certificates[0].common_name, root_pin.hex())

    # (15) Issuing order. (16) belongs into the same pass: no signature may be checked
    # before its algorithm and the key that checks it have been.
    path = _extend(known, certificates, rules.load_key)
    trail.passed(15, "{} signatures{}", count - max(first, 1), origin)
    trail.passed(16)

    # (17)-(19) Who may issue what.
    check_roles(certificates)
    trail.passed(17)
    check_extensions(certificates)
    trail.passed(18)
    check_key_ids(certificates)
    trail.passed(19)
    return Chain(
        path,
        root_sha256=root_pin,
        begins=max(certificate.not_before for certificate in certificates),
        ends=min(certificate.not_after for certificate in certificates),
    )


def _report_remembered(chain: Chain, trail: Trail) -> None:
    for number in range(13, 20):
        if number == 14:
            name, pin = chain.root.common_name, chain.root_sha256.hex()
            trail.passed(number, "from the cache: {}, SHA-256 {}", name, pin)
        else:
            trail.passed(number, "from the cache")


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


def _extend(known: Path, certificates: tuple[Certificate, ...], load_key: LoadKey) -> Path:
    """Check algorithms, keys, names and signatures of what follows a known path, downwards."""
    count = len(certificates)
    keys = [*known.keys]
    if not keys:
        keys.append(_checked_key(certificates[0], place_of(0, count), load_key))
    for i in range(len(keys), count):
        issuer, certificate, place = certificates[i - 1], certificates[i], place_of(i, count)
        if certificate.issuer != issuer.subject:
            raise Code.ISSUER_MISMATCH(
                f"issuer of {place}", got=certificate.issuer, expected=issuer.subject
            )
        subject_key = _checked_key(certificate, place, load_key)
        r, s = certificate.r, certificate.s
        if not (in_range(r) and in_range(s) and keys[-1].verify(r, s, certificate.signed)):
            raise Code.CERTIFICATE_SIGNATURE(
                f"signature of {place}",
                got="one that does not verify",
                expected=f"one by {issuer.common_name!r}",
            )
        keys.append(subject_key)
    return Path(certificates, tuple(keys))


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


def _agrees(claims: Claims, identity: Identity) -> bool:
    """Tell whether names that have been found to agree with one another are this document's."""
    return claims.module_id == identity.module_id and (
        claims.document_type is not DocumentType.ENCLAVE
        or claims.pcrs.get(_INSTANCE_PCR) == identity.pcr4
    )


def _check_identity(claims: Claims, certificates: tuple[Certificate, ...]) -> Identity:
    """Check that names and PCR4 tell of the same module, instance and region.

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
                f"name of {place_of(i, count)}", got=repr(name), expected=f"with {expected}"
            )
    identity = Identity(claims.module_id, region, extended(claims.instance_id.encode()))
    # PCR4 of a TPM is the boot manager's.
    if not _agrees(claims, identity):
        raise Code.IDENTITY_MISMATCH(
            f"PCR4 for {claims.instance_id}",
            got=claims.pcrs.get(_INSTANCE_PCR, b"").hex() or "none",
            expected=identity.pcr4,
        )
    return identity
