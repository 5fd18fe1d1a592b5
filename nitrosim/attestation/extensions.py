"""The four certificate extensions that decide anything in the Nitro PKI (RFC 5280 section 4.2).

basicConstraints and keyUsage say what a certificate may do; the two key identifiers say
which key belongs to which issuer. The only other one in real certificates names a place for
revocation lists and decides nothing. Every reader here raises `DerError` for a value that is not
strict DER, even where the value would not matter.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from nitrosim.attestation import _der as der
from nitrosim.attestation._der import Cursor, DerError

Extensions: TypeAlias = dict[bytes, tuple[bool, bytes]]
"""Content octets of the OID -> (critical, value octets), in the certificate's order."""

BASIC_CONSTRAINTS: Final = bytes.fromhex("551d13")
KEY_USAGE: Final = bytes.fromhex("551d0f")
SUBJECT_KEY_ID: Final = bytes.fromhex("551d0e")
AUTHORITY_KEY_ID: Final = bytes.fromhex("551d23")

DIGITAL_SIGNATURE: Final = 0x80
KEY_CERT_SIGN: Final = 0x04


def read_extensions(wrapper: Cursor) -> Extensions:
    """Read the list: OID (content octets) -> (critical, value octets), in order."""
    extensions: Extensions = {}
    entries = wrapper.enter(der.SEQUENCE)
    wrapper.finish()
    if not entries.more():
        raise DerError(f"an empty list of extensions at byte {entries.pos}")
    while entries.more():
        at = entries.pos
        entry = entries.enter(der.SEQUENCE)
        oid = entry.object_id()
        critical = entry.peek() == der.BOOLEAN
        # DER leaves a default out, so FALSE is never written.
        if critical and not entry.boolean():
            raise DerError(f"an explicit default at byte {at}")
        value = entry.content(der.OCTET_STRING)
        entry.finish()
        if oid in extensions:
            raise DerError(f"an extension twice, at byte {at}")
        extensions[oid] = (critical, value)
    return extensions


def read_basic_constraints(extensions: Extensions) -> tuple[bool, int | None]:
    """Return cA and pathLenConstraint; (False, None) without the extension."""
    if BASIC_CONSTRAINTS not in extensions:
        return False, None
    value = Cursor(extensions[BASIC_CONSTRAINTS][1])
    fields = value.enter(der.SEQUENCE)
    value.finish()
    is_ca = fields.peek() == der.BOOLEAN
    if is_ca and not fields.boolean():
        raise DerError("an explicit default in basicConstraints")
    path_length = fields.integer() if fields.more() else None
    fields.finish()
    if path_length is not None and path_length < 0:
        raise DerError("a negative pathLenConstraint")
    return is_ca, path_length


def read_key_usage(extensions: Extensions) -> int | None:
    """Return the first octet of keyUsage; None without the extension."""
    if KEY_USAGE not in extensions:
        return None
    value = Cursor(extensions[KEY_USAGE][1])
    octets = value.content(der.BIT_STRING)
    value.finish()
    # Nine named bits fit two octets; DER cuts trailing zero bits off.
    if not 2 <= len(octets) <= 3 or octets[0] > 7:
        raise DerError("a keyUsage BIT STRING of odd size")
    if octets[-1] & ((1 << octets[0]) - 1) or not octets[-1] >> octets[0] & 1:
        raise DerError("a keyUsage BIT STRING with trailing zero bits")
    return octets[1]


def read_subject_key_id(extensions: Extensions) -> bytes | None:
    """Return the octets of subjectKeyIdentifier; None without the extension."""
    if SUBJECT_KEY_ID not in extensions:
        return None
    value = Cursor(extensions[SUBJECT_KEY_ID][1])
    octets = value.content(der.OCTET_STRING)
    value.finish()
    return octets


def read_authority_key_id(extensions: Extensions) -> bytes | None:
    """Return keyIdentifier of authorityKeyIdentifier; None without one."""
    if AUTHORITY_KEY_ID not in extensions:
        return None
    value = Cursor(extensions[AUTHORITY_KEY_ID][1])
    fields = value.enter(der.SEQUENCE)
    value.finish()
    key_id = fields.content(0x80) if fields.peek() == 0x80 else None
    # The issuer's name and serial (tags a1, 82) may follow; they are not needed to find it.
    for tag in (0xA1, 0x82):
        if fields.peek() == tag:
            fields.content(tag)
    fields.finish()
    return key_id
