"""Names of certificates, read strictly (RFC 5280 section 4.1.2.4).

A Name is a SEQUENCE of SETs of attributes, each an OID and a text. In the Nitro PKI every set has
one attribute; country, organisation and the like say the same in all certificates, and
commonName tells region, instance and module. AWS writes UTF8String and PrintableString.
"""

from __future__ import annotations

import re
from typing import Final

from nitrosim.attestation import _der as der
from nitrosim.attestation._der import Cursor, DerError

_STRINGS: Final = {
    der.UTF8_STRING: "utf-8",
    der.PRINTABLE_STRING: "ascii",
    # AWS uses the two above only. The others occur in roots that people make themselves.
    der.TELETEX_STRING: "latin-1",
    der.IA5_STRING: "ascii",
    der.BMP_STRING: "utf-16-be",
}
_USUAL_ATTRIBUTE: Final = re.compile(
    rb"\x31.\x30.\x06\x03(\x55\x04[\x00-\x7f])[\x0c\x13].", re.DOTALL
)
"""Heads of SET and SEQUENCE, a whole OID such as that of commonName, the head of a text."""

_PRINTABLE: Final = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*")


def read_name(tbs: Cursor) -> tuple[tuple[bytes, str], ...]:
    """Read a Name: its attributes in order, as (content octets of the OID, text).

    Raises `DerError`.
    """
    attributes: list[tuple[bytes, str]] = []
    name = tbs.enter(der.SEQUENCE)
    while name.pos < name.end:
        if usual := _usual_attribute(name):
            attributes.append(usual)
            continue
        # One cursor walks through all levels; each level must end where it said it would.
        name.pos, set_end = name.header(der.SET)
        at = name.pos
        while True:
            name.pos, end = name.header(der.SEQUENCE)
            oid = name.object_id()
            attributes.append((oid, _text(name)))
            if name.pos != end or end > set_end:
                raise DerError(f"a name attribute of another length than it says at byte {at}")
            if end == set_end:
                break
    return tuple(attributes)


def _usual_attribute(name: Cursor) -> tuple[bytes, str] | None:
    """Read a set of one short attribute, which is what names consist of, in one look.

    Accepts nothing that the way element by element would refuse, and leaves everything else to it:
    returns None and does not move.
    """
    data, pos = name.data, name.pos
    head = _USUAL_ATTRIBUTE.match(data, pos, name.end)
    if head is None:
        return None
    in_set, in_sequence, in_text = data[pos + 1], data[pos + 3], data[pos + 10]
    begin = pos + 11
    end = begin + in_text
    # Each length must agree with the one inside it, and the largest of them be a short one.
    if not in_set == in_sequence + 2 == in_text + 9 < 0x80 or end > name.end:
        return None
    try:
        text = data[begin:end].decode("utf-8")
    except UnicodeDecodeError:
        return None
    if data[pos + 9] == der.PRINTABLE_STRING and not _PRINTABLE.fullmatch(text):
        return None
    name.pos = end
    return head[1], text


def _text(name: Cursor) -> str:
    at, tag = name.pos, name.peek()
    encoding = _STRINGS.get(tag)
    if encoding is None:
        raise DerError(f"a name of type {tag:02x} at byte {at}")
    try:
        text = name.content(tag).decode(encoding)
    except UnicodeDecodeError as error:
        raise DerError(f"a name that is not {encoding} at byte {at}") from error
    if tag == der.PRINTABLE_STRING and not _PRINTABLE.fullmatch(text):
        raise DerError(f"a PrintableString with other characters at byte {at}")
    return text
