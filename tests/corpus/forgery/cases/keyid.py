"""Key identifiers: what is there must be right, what is not there must not be missed."""

from __future__ import annotations

from forgery import chains, der
from forgery.case import Made, accept, refuse
from forgery.cases._edits import AUTHORITY_KEY_ID, SUBJECT_KEY_ID, add
from forgery.forge import Forge


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def subject_not_a_string(forge: Forge) -> Made:
    """The leaf's subjectKeyIdentifier is a NULL."""
    return add(forge, "leaf", forge.extension(SUBJECT_KEY_ID, b"\x05\0")).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def subject_byte_after(forge: Forge) -> Made:
    """A byte follows the string inside the leaf's subjectKeyIdentifier."""
    value = der.tlv(0x04, forge.key_id(forge.levels["leaf"].key)) + b"\0"
    return add(forge, "leaf", forge.extension(SUBJECT_KEY_ID, value)).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def authority_with_more(forge: Forge) -> Made:
    """The leaf's authorityKeyIdentifier has an element with the tag 83, which is not defined."""
    value = der.tlv(0x80, forge.key_id(forge.levels["instance"].key)) + bytes.fromhex("830100")
    odd = forge.extension(AUTHORITY_KEY_ID, der.tlv(0x30, value))
    return add(forge, "leaf", odd).document()


@refuse("AUTHORITY_KEY_ID", "der-strictness", weight="should")
def authority_of_another_key(forge: Forge) -> Made:
    """The zonal certificate's authorityKeyIdentifier is not its issuer's subjectKeyIdentifier."""
    return forge.extend("zonal", _authority(forge.random("another key", 20))).document()


@refuse("AUTHORITY_KEY_ID", "der-strictness", weight="should")
def authority_of_another_level(forge: Forge) -> Made:
    """The instance certificate's authorityKeyIdentifier is that of its issuer's issuer."""
    key = forge.levels["regional"].key
    return forge.extend("instance", chains.authority_key_id(key)).document()


@refuse("AUTHORITY_KEY_ID", "der-strictness", weight="should")
def authority_where_the_issuer_has_none(forge: Forge) -> Made:
    """The leaf has an authorityKeyIdentifier, the instance CA has no subjectKeyIdentifier."""
    forge.without("instance", SUBJECT_KEY_ID)
    return add(forge, "leaf", _authority(forge.random("another key", 20))).document()


@refuse("AUTHORITY_KEY_ID", "der-strictness", weight="should")
def authority_shortened(forge: Forge) -> Made:
    """The leaf's authorityKeyIdentifier is the first eight octets of its issuer's."""
    key_id = forge.key_id(forge.levels["instance"].key)[:8]
    return add(forge, "leaf", _authority(key_id)).document()


def _authority(key_id: bytes) -> bytes:
    return der.extension(AUTHORITY_KEY_ID, der.tlv(0x30, der.tlv(0x80, key_id)))


@accept("real-profile")
def instance_without_key_ids(forge: Forge) -> Made:
    """The instance CA has no key identifiers, as until 2024."""
    forge.without("instance", SUBJECT_KEY_ID).without("instance", AUTHORITY_KEY_ID)
    return forge.document()


@accept("real-profile")
def instance_with_key_ids(forge: Forge) -> Made:
    """The instance CA has both key identifiers, as since 2024; the leaf has none."""
    return forge.document()


@accept("real-profile", weight="should")
def leaf_with_key_ids(forge: Forge) -> Made:
    """The leaf has both key identifiers, and they are right; real ones have none."""
    subject = chains.subject_key_id(forge.levels["leaf"].key)
    authority = chains.authority_key_id(forge.levels["instance"].key)
    return add(add(forge, "leaf", subject), "leaf", authority).document()


@accept("real-profile", weight="should")
def authority_with_issuer_and_serial(forge: Forge) -> Made:
    """The leaf's authorityKeyIdentifier has all three fields: key, issuer's name and serial."""
    instance, zonal = forge.levels["instance"], forge.levels["zonal"]
    value = der.tlv(
        0x30,
        der.tlv(0x80, forge.key_id(instance.key)),
        der.tlv(0xA1, der.tlv(0xA4, forge.name(zonal.subject, zonal.order))),
        b"\x82" + forge.integer(instance.serial)[1:],
    )
    return add(forge, "leaf", forge.extension(AUTHORITY_KEY_ID, value)).document()
