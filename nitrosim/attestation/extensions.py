"""The four certificate extensions that decide anything in the Nitro PKI (RFC 5280 section 4.2).

basicConstraints and keyUsage say what a certificate may do; the two key identifiers say
which key belongs to which issuer. The only other one in real certificates names a place for
revocation lists and decides nothing. Every reader here raises `DerError` for a value that is not
strict DER, even where the value would not matter.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from nitrosim.attestation import _der as der
from nitrosim.attestation._der import Cursor, DerError

Extensions: TypeAlias = dict[bytes, tuple[bool, bytes]]
"""Content octets of the OID -> (critical, value octets), in the certificate's order."""

BASIC_CONSTRAINTS: Final = bytes.fromhex("551d13")
KEY_USAGE: Final = bytes.fromhex("551d0f")
SUBJECT_KEY_ID: Final = bytes.fromhex("551d0e")
AUTHORITY_KEY_ID: Final = bytes.fromhex("551d23")

_USUAL_EXTENSION: Final = re.compile(
    rb"\x30.\x06\x03(\x55\x1d[\x00-\x7f])(\x01\x01\xff)?\x04[\x00-\x7f]", re.DOTALL
)
"""Head of an entry, a whole OID such as that of keyUsage, TRUE if critical, head of the value."""

_USUAL_CONSTRAINTS: Final[dict[bytes, tuple[bool, int | None]]] = {
    bytes.fromhex("3000"): (False, None),
    bytes.fromhex("30030101ff"): (True, None),
    **{bytes.fromhex("30060101ff0201") + bytes([n]): (True, n) for n in range(10)},
}
"""Values of basicConstraints that can be looked up."""

_KEY_ID_HEAD: Final = bytes.fromhex("0414")
_AUTHORITY_HEAD: Final = bytes.fromhex("30168014")
_KEY_ID_BYTES: Final = 20

DIGITAL_SIGNATURE: Final = 0x80
KEY_CERT_SIGN: Final = 0x04
CRL_SIGN: Final = 0x02


def read_extensions(wrapper: Cursor) -> Extensions:
    """Read the list: OID (content octets) -> (critical, value octets), in order."""
    extensions: Extensions = {}
    entries = wrapper.enter(der.SEQUENCE)
    wrapper.finish()
    if not entries.more():
        raise DerError(f"an empty list of extensions at byte {entries.pos}")
    while entries.more():
        at = entries.pos
        oid, critical, value = _usual_extension(entries) or _extension(entries)
        if oid in extensions:
            raise DerError(f"an extension twice, at byte {at}")
        extensions[oid] = (critical, value)
    return extensions


def _extension(entries: Cursor) -> tuple[bytes, bool, bytes]:
    at = entries.pos
    entry = entries.enter(der.SEQUENCE)
    oid = entry.object_id()
    critical = entry.peek() == der.BOOLEAN
    # DER leaves a default out, so FALSE is never written.
    if critical and not entry.boolean():
        raise DerError(f"an explicit default at byte {at}")
    value = entry.content(der.OCTET_STRING)
    entry.finish()
    return oid, critical, value


def _usual_extension(entries: Cursor) -> tuple[bytes, bool, bytes] | None:
    """Read a short extension of X.509's own, which nearly all are, in one look.

    Accepts nothing that the way element by element would refuse, and leaves everything else to it:
    returns None and does not move.
    """
    data, pos = entries.data, entries.pos
    head = _USUAL_EXTENSION.match(data, pos, entries.end)
    if head is None:
        return None
    begin = head.end()
    end = begin + data[begin - 1]
    # The entry must end where its value does, and its length be a short one.
    if pos + 2 + data[pos + 1] != end or data[pos + 1] > 0x7F or end > entries.end:
        return None
    entries.pos = end
    return head[1], head[2] is not None, data[begin:end]


def read_basic_constraints(extensions: Extensions) -> tuple[bool, int | None]:
    """Return cA and pathLenConstraint; (False, None) without the extension."""
    if BASIC_CONSTRAINTS not in extensions:
        return False, None
    octets = extensions[BASIC_CONSTRAINTS][1]
    if (usual := _USUAL_CONSTRAINTS.get(octets)) is not None:
        return usual
    value = Cursor(octets)
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
    if whole := value.known(_KEY_ID_HEAD, len(_KEY_ID_HEAD) + _KEY_ID_BYTES):
        octets = whole[len(_KEY_ID_HEAD) :]
    else:
        octets = value.content(der.OCTET_STRING)
    value.finish()
    return octets


def read_authority_key_id(extensions: Extensions) -> bytes | None:
    """Return keyIdentifier of authorityKeyIdentifier; None without one."""
    if AUTHORITY_KEY_ID not in extensions:
        return None
    value = Cursor(extensions[AUTHORITY_KEY_ID][1])
    if whole := value.known(_AUTHORITY_HEAD, len(_AUTHORITY_HEAD) + _KEY_ID_BYTES):
        value.finish()
        return whole[len(_AUTHORITY_HEAD) :]
    fields = value.enter(der.SEQUENCE)
    value.finish()
    key_id = fields.content(0x80) if fields.peek() == 0x80 else None
    # The issuer's name and serial (tags a1, 82) may follow; they are not needed to find it.
    for tag in (0xA1, 0x82):
        if fields.peek() == tag:
            fields.content(tag)
    fields.finish()
    return key_id
