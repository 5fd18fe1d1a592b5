"""Revocation lists, when the caller has some (step 21).

AWS says that it does not use them for Nitro, although its regional and zonal
certificates name places of lists in S3 (some answer 403). So nothing is fetched
here: a caller who does have lists passes their DER, and they are applied by issuer
and serial number (RFC 5280 section 6.3).

A list must be signed by the CA whose certificates it is about, which must be allowed to
sign lists (cRLSign; instance CAs of AWS are not), with the one algorithm of this PKI, be
complete (no critical extension, such as that of a delta list), and be current at the
evaluation time. A list that cannot be used is an
error and never ignored; the list of a CA outside the chain does not concern it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from nitrosim.attestation import _der as der
from nitrosim.attestation._der import Cursor, DerError
from nitrosim.attestation.certificate import (
    ECDSA_WITH_SHA384,
    P384_KEY_PREFIX,
    Certificate,
    moment,
    read_signature,
    read_time,
)
from nitrosim.attestation.errors import Code
from nitrosim.attestation.extensions import CRL_SIGN
from nitrosim.attestation.p384 import LoadKey, in_range

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

_VERSION_2: Final = 1
_EXTENSIONS_TAG: Final = 0xA0


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list of the right form, its signature not yet verified.

    Attributes:
        issuer: Name of the CA, raw DER.
        revoked: serial numbers.
        this_update: when the list was made, seconds since 1970 UTC.
        next_update: when it ends, seconds since 1970 UTC.
        signed: the bytes its signature covers.
        r: first number of the signature.
        s: second number of the signature.

    """

    issuer: bytes
    revoked: frozenset[int]
    this_update: int
    next_update: int
    signed: bytes
    r: int
    s: int


def read_revocation_lists(lists: Iterable[bytes]) -> tuple[RevocationList, ...]:
    """Read lists from DER. Raises `CertificateChainError` for one that cannot be used."""
    found: list[RevocationList] = []
    for data in lists:
        try:
            found.append(_read(data))
        except DerError as error:
            raise Code.REVOCATION_LIST(
                f"a given list ({error})", got=f"{len(data)} bytes", expected="a CRL v2 in DER"
            ) from error
    return tuple(found)


def check_revocation(
    certificates: Sequence[Certificate],
    lists: Sequence[RevocationList],
    *,
    at: datetime,
    load_key: LoadKey,
) -> int:
    """Look each certificate of a verified chain up; return how many had a list.

    Raises `CertificateChainError` for a revoked certificate and for a list that is
    not its issuer's or not current at `at`.
    """
    covered = 0
    for issuer, certificate in pairwise(certificates):
        for entry in lists:
            if entry.issuer != issuer.subject:
                continue
            _check_list(entry, issuer, at, load_key)
            covered += 1
            if certificate.serial in entry.revoked:
                raise Code.CERTIFICATE_REVOKED(
                    f"serial number of {certificate.common_name!r}",
                    got=f"{certificate.serial:x}, which is on the list",
                    expected=f"one that {issuer.common_name!r} has not revoked",
                )
    return covered


def _check_list(
    entry: RevocationList, issuer: Certificate, at: datetime, load_key: LoadKey
) -> None:
    what = f"list of {issuer.common_name!r}"
    usage = issuer.key_usage
    if usage is None or not usage & CRL_SIGN:
        raise Code.REVOCATION_LIST(
            what,
            got="no keyUsage" if usage is None else f"keyUsage {usage:02x}",
            expected="a CA that may sign lists (cRLSign)",
        )
    # The chain's keys have been checked: this one is on P-384.
    key = load_key(issuer.key_info[len(P384_KEY_PREFIX) :])
    in_bounds = in_range(entry.r) and in_range(entry.s)
    if not (in_bounds and key.verify(entry.r, entry.s, entry.signed)):
        raise Code.REVOCATION_LIST(what, got="a bad signature", expected="the CA's signature")
    if not entry.this_update <= at.timestamp() <= entry.next_update:
        begin, end = (
            moment(second).isoformat() for second in (entry.this_update, entry.next_update)
        )
        raise Code.REVOCATION_LIST(
            what, got=f"current from {begin} to {end}", expected=f"current at {at.isoformat()}"
        )


def _read(data: bytes) -> RevocationList:
    outer = Cursor(data)
    whole = outer.enter(der.SEQUENCE)
    outer.finish()
    signed_at = whole.pos
    tbs = whole.enter(der.SEQUENCE)
    signed = data[signed_at : whole.pos]
    algorithms = [whole.element(der.SEQUENCE)]
    r, s = read_signature(whole)
    whole.finish()

    if tbs.integer() != _VERSION_2:
        raise DerError("a version other than v2")
    algorithms.append(tbs.element(der.SEQUENCE))
    if algorithms != [ECDSA_WITH_SHA384] * 2:
        raise DerError("a signature algorithm other than ecdsa-with-SHA384")
    issuer = tbs.element(der.SEQUENCE)
    this_update = read_time(tbs)
    next_update = read_time(tbs)
    revoked: set[int] = set()
    if tbs.peek() == der.SEQUENCE:
        entries = tbs.enter(der.SEQUENCE)
        while entries.more():
            entry = entries.enter(der.SEQUENCE)
            revoked.add(entry.integer())
            read_time(entry)
            if entry.more():
                _refuse_critical(entry.enter(der.SEQUENCE))
            entry.finish()
    if tbs.peek() == _EXTENSIONS_TAG:
        wrapper = tbs.enter(_EXTENSIONS_TAG)
        _refuse_critical(wrapper.enter(der.SEQUENCE))
        wrapper.finish()
    tbs.finish()
    return RevocationList(issuer, frozenset(revoked), this_update, next_update, signed, r, s)


def _refuse_critical(extensions: Cursor) -> None:
    while extensions.more():
        at = extensions.pos
        extension = extensions.enter(der.SEQUENCE)
        extension.object_id()
        if extension.peek() == der.BOOLEAN:
            raise DerError(f"a critical extension at byte {at}")
        extension.content(der.OCTET_STRING)
        extension.finish()
