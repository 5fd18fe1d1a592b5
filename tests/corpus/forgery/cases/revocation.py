"""Revocation lists that the caller gives; AWS says that it has none for these certificates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm

from forgery import chains, der, keys
from forgery.case import Made, accept, judged, refuse
from forgery.cases._edits import KEY_USAGE, UNKNOWN, bits, elements, numbers
from forgery.certificates import ECDSA_WITH_SHA256, ECDSA_WITH_SHA384
from forgery.forge import Forge

_HOUR = timedelta(hours=1)
_CRL_NUMBER = der.extension("551d14", der.integer(5))


def _list(
    forge: Forge,
    issuer: str,
    *serials: int,
    begin: datetime | None = None,
    end: datetime | None = None,
    signer: ec.EllipticCurvePrivateKey | None = None,
    algorithm: bytes = ECDSA_WITH_SHA384,
    hash_: HashAlgorithm | None = None,
    entry_extension: bytes = b"",
    extensions: tuple[bytes, ...] = (_CRL_NUMBER,),
    edit: Callable[[dict[str, bytes]], None] | None = None,
) -> bytes:
    """Make the revocation list of one level's CA (RFC 5280 section 5)."""
    plan = forge.levels[issuer]
    added = der.tlv(0x30, entry_extension) if entry_extension else b""
    entries = [
        der.tlv(0x30, der.integer(serial), der.moment(forge.now - 2 * _HOUR), added)
        for serial in serials
    ]
    parts = {
        "version": der.integer(1),
        "algorithm": algorithm,
        "issuer": der.name(plan.subject, plan.order),
        "begin": der.moment(begin or forge.now - _HOUR),
        "end": der.moment(end or forge.now + _HOUR),
        "entries": der.tlv(0x30, *entries) if entries else b"",
        "extensions": der.tlv(0xA0, der.tlv(0x30, *extensions)) if extensions else b"",
    }
    if edit:
        edit(parts)
    signed = der.tlv(0x30, *parts.values())
    signature = keys.sign_der(signer or plan.key, signed, hash_)
    return der.tlv(0x30, signed, algorithm, bits(signature))


def _given(forge: Forge, *lists: bytes, **changes: Any) -> Made:
    return judged(forge.document(), crls=lists, **changes)


# Revoked


def _revoked(forge: Forge, issuer: str, level: str, **changes: Any) -> Made:
    return _given(forge, _list(forge, issuer, 5, forge.levels[level].serial, 7), **changes)


@refuse("CERTIFICATE_REVOKED", "revocation")
def regional_revoked(forge: Forge) -> Made:
    """The regional CA is on the root's list."""
    return _revoked(forge, "root", "regional")


@refuse("CERTIFICATE_REVOKED", "revocation")
def zonal_revoked(forge: Forge) -> Made:
    """The zonal CA is on the regional CA's list."""
    return _revoked(forge, "regional", "zonal")


@refuse("CERTIFICATE_REVOKED", "revocation")
def instance_revoked(forge: Forge) -> Made:
    """The instance CA, with its serial number of 21 octets, is on the zonal CA's list."""
    return _revoked(forge, "zonal", "instance")


@refuse("CERTIFICATE_REVOKED", "revocation")
def leaf_revoked(forge: Forge) -> Made:
    """The leaf is on the list of the instance CA, which is allowed to sign lists here."""
    return _revoked(_may_sign_lists(forge), "instance", "leaf")


def _may_sign_lists(forge: Forge) -> Forge:
    """Give the instance CA cRLSign, which real ones do not have."""
    usage = forge.extension(KEY_USAGE, bytes.fromhex("03020106"), critical=True)
    return forge.extend("instance", usage)


@refuse("CERTIFICATE_REVOKED", "revocation")
def revoked_historic(forge: Forge) -> Made:
    """The zonal CA is on its issuer's list, judged at the document's own time."""
    return _revoked(forge, "regional", "zonal", live=False, time=forge.now + 400 * 24 * _HOUR)


@refuse("CERTIFICATE_REVOKED", "revocation")
def revoked_with_a_reason(forge: Forge) -> Made:
    """The zonal CA is on its issuer's list, with a reason: keyCompromise."""
    reason = der.extension("551d15", bytes.fromhex("0a0101"))
    serial = forge.levels["zonal"].serial
    return _given(forge, _list(forge, "regional", serial, entry_extension=reason))


@refuse("CERTIFICATE_REVOKED", "revocation")
def on_the_second_of_two_lists(forge: Forge) -> Made:
    """There are two lists of the regional CA; the zonal CA is on one of them."""
    lists = [_list(forge, "regional", 5), _list(forge, "regional", forge.levels["zonal"].serial)]
    return _given(forge, *lists)


@refuse("CERTIFICATE_REVOKED", "revocation")
def last_of_a_long_list(forge: Forge) -> Made:
    """The zonal CA is the last of 2001 entries on its issuer's list."""
    return _given(forge, _list(forge, "regional", *range(1, 2001), forge.levels["zonal"].serial))


# Not revoked


@accept("revocation")
def lists_without_ours(forge: Forge) -> Made:
    """There is a list of every CA, and none has a certificate of the chain."""
    _may_sign_lists(forge)
    lists = (_list(forge, level, 5, 6, 7) for level in chains.LEVELS[:-1])
    return _given(forge, *lists)


@accept("revocation")
def empty_list(forge: Forge) -> Made:
    """The regional CA's list has no entries: nothing is revoked."""
    return _given(forge, _list(forge, "regional"))


@accept("revocation")
def list_without_extensions(forge: Forge) -> Made:
    """The regional CA's list has no extensions."""
    return _given(forge, _list(forge, "regional", 5, extensions=()))


@accept("revocation")
def same_serial_on_another_issuers_list(forge: Forge) -> Made:
    """The zonal CA's serial number is on the root's list, but the root has not issued it."""
    return _given(forge, _list(forge, "root", forge.levels["zonal"].serial))


@accept("revocation")
def list_of_a_stranger(forge: Forge) -> Made:
    """A CA outside the chain has revoked all its serial numbers; that is no concern of ours."""
    stranger = Forge(f"{forge.label} stranger")
    serials = (forge.levels[level].serial for level in chains.LEVELS)
    return _given(forge, _list(stranger, "regional", *serials))


@accept("revocation", weight="should")
def long_list(forge: Forge) -> Made:
    """The regional CA's list has 2400 entries, more than 64 KiB, and none of the chain."""
    return _given(forge, _list(forge, "regional", *range(1 << 64, (1 << 64) + 2400)))


# Lists that cannot be used


@refuse("REVOCATION_LIST", "revocation", weight="should")
def by_a_ca_that_may_not_sign_lists(forge: Forge) -> Made:
    """The leaf is on the list of an instance CA of the usual kind, which lacks cRLSign: nobody
    may issue such a list, and a list that cannot be used is not passed over."""
    return _revoked(forge, "instance", "leaf")


@refuse("REVOCATION_LIST", "revocation")
def signed_by_a_stranger(forge: Forge) -> Made:
    """The regional CA's list, without our certificates, is signed by somebody else."""
    signer = forge.key_number(f"{forge.label}/stranger")
    return _given(forge, _list(forge, "regional", 5, signer=signer))


@refuse("REVOCATION_LIST", "revocation")
def revoked_by_a_stranger(forge: Forge) -> Made:
    """Somebody else has put the zonal CA on a list in the regional CA's name."""
    signer = forge.key_number(f"{forge.label}/stranger")
    serial = forge.levels["zonal"].serial
    return _given(forge, _list(forge, "regional", serial, signer=signer))


@refuse("REVOCATION_LIST", "revocation")
def signed_by_an_ancestor(forge: Forge) -> Made:
    """The root has signed a list in the regional CA's name."""
    return _given(forge, _list(forge, "regional", 5, signer=forge.levels["root"].key))


@refuse("REVOCATION_LIST", "revocation")
def entry_changed_after_signing(forge: Forge) -> Made:
    """The entry for the zonal CA was changed into another one after the list was signed."""
    serial = der.integer(forge.levels["zonal"].serial)
    made = _list(forge, "regional", forge.levels["zonal"].serial)
    return _given(forge, made.replace(serial, serial[:-1] + bytes([serial[-1] ^ 2])))


@refuse("REVOCATION_LIST", "revocation", "signature-form")
def signature_of_zeros(forge: Forge) -> Made:
    """r and s of the list's signature are zero."""
    signed, algorithm, _ = elements(der.content(_list(forge, "regional", 5)))
    return _given(forge, der.tlv(0x30, signed, algorithm, bits(numbers(0, 0))))


@refuse("REVOCATION_LIST", "revocation", weight="should")
def out_of_date(forge: Forge) -> Made:
    """The regional CA's list has ended two days ago."""
    end = forge.now - 48 * _HOUR
    return _given(forge, _list(forge, "regional", 5, begin=end - _HOUR, end=end))


@refuse("REVOCATION_LIST", "revocation", weight="should")
def not_yet_current(forge: Forge) -> Made:
    """The regional CA's list begins in an hour."""
    begin = forge.now + _HOUR
    return _given(forge, _list(forge, "regional", 5, begin=begin, end=begin + _HOUR))


@refuse("REVOCATION_LIST", "revocation", weight="should")
def without_an_end(forge: Forge) -> Made:
    """The regional CA's list does not say when the next one comes; RFC 5280 wants it."""
    return _given(forge, _list(forge, "regional", 5, edit=lambda parts: parts.update(end=b"")))


@refuse("REVOCATION_LIST", "revocation", "critical-extension")
def delta(forge: Forge) -> Made:
    """The list is the difference to another one, as a critical extension says."""
    indicator = der.extension("551d1b", der.integer(4), critical=True)
    return _given(forge, _list(forge, "regional", 5, extensions=(_CRL_NUMBER, indicator)))


@refuse("REVOCATION_LIST", "revocation", "critical-extension")
def for_users_only(forge: Forge) -> Made:
    """The list is about certificates that are no CAs only, as a critical extension says."""
    scope = der.extension("551d1c", der.tlv(0x30, bytes.fromhex("8101ff")), critical=True)
    return _given(forge, _list(forge, "regional", 5, extensions=(_CRL_NUMBER, scope)))


@refuse("REVOCATION_LIST", "revocation", "critical-extension")
def unknown_critical_entry_extension(forge: Forge) -> Made:
    """An entry of the list has a critical extension that nobody knows."""
    odd = der.extension(UNKNOWN, b"\x05\0", critical=True)
    return _given(forge, _list(forge, "regional", 5, entry_extension=odd))


@refuse("REVOCATION_LIST", "revocation", "algorithm-confusion", weight="should")
def with_sha256(forge: Forge) -> Made:
    """The list is signed with ecdsa-with-SHA256, and says so."""
    made = _list(forge, "regional", 5, algorithm=ECDSA_WITH_SHA256, hash_=SHA256())
    return _given(forge, made)


@refuse("REVOCATION_LIST", "revocation", weight="should")
def version_1(forge: Forge) -> Made:
    """The list is of version 1: it says no version, and has no extensions."""
    return _given(
        forge,
        _list(forge, "regional", 5, extensions=(), edit=lambda parts: parts.update(version=b"")),
    )


@refuse("REVOCATION_LIST", "revocation")
def empty(forge: Forge) -> Made:
    """The list has no bytes."""
    return _given(forge, b"")


@refuse("REVOCATION_LIST", "revocation")
def cut_short(forge: Forge) -> Made:
    """The last byte of the list is missing."""
    return _given(forge, _list(forge, "regional", 5)[:-1])


@refuse("REVOCATION_LIST", "revocation", "der-strictness")
def byte_after(forge: Forge) -> Made:
    """A byte follows the list."""
    return _given(forge, _list(forge, "regional", 5) + b"\0")


@refuse("REVOCATION_LIST", "revocation")
def a_certificate(forge: Forge) -> Made:
    """What is given as a list is the regional CA's certificate."""
    return _given(forge, forge.chain()[1])
