"""Write DER (ITU-T X.690), just the types that a certificate consists of.

`cryptography` cannot build the certificates of this PKI: it refuses serial numbers of 160 bits
(21 bytes as a DER integer) and does not let the caller choose string types. The functions return
whole elements: tag, length, content.
"""

from __future__ import annotations

from datetime import UTC, datetime

_BOOLEAN, _INTEGER, _BIT_STRING, _OCTET_STRING, _OBJECT_IDENTIFIER = 0x01, 0x02, 0x03, 0x04, 0x06
_UTF8_STRING, _PRINTABLE_STRING, _UTC_TIME, _GENERALIZED_TIME = 0x0C, 0x13, 0x17, 0x18
_SEQUENCE, _SET = 0x30, 0x31
_CONTEXT, _CONSTRUCTED = 0x80, 0x20


def element(tag: int, content: bytes) -> bytes:
    """Return one element with the shortest length form."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE of the parts."""
    return element(_SEQUENCE, b"".join(parts))


def set_of(part: bytes) -> bytes:
    """Return a SET of one part, which needs no ordering."""
    return element(_SET, part)


def boolean_true() -> bytes:
    """Return TRUE; FALSE is a default everywhere here and DER omits defaults."""
    return element(_BOOLEAN, b"\xff")


def integer(value: int) -> bytes:
    """Return a non-negative INTEGER: a leading zero byte keeps a high bit from being a sign."""
    return element(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def bit_string(content: bytes, *, unused_bits: int = 0) -> bytes:
    """Return a BIT STRING whose last byte has that many unused bits."""
    return element(_BIT_STRING, bytes([unused_bits]) + content)


def octet_string(content: bytes) -> bytes:
    """Return an OCTET STRING."""
    return element(_OCTET_STRING, content)


def object_identifier(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER from its dotted form."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    octets = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        octets += bytes(reversed(groups))
    return element(_OBJECT_IDENTIFIER, bytes(octets))


def utf8_string(text: str) -> bytes:
    """Return a UTF8String."""
    return element(_UTF8_STRING, text.encode("utf-8"))


def printable_string(text: str) -> bytes:
    """Return a PrintableString."""
    return element(_PRINTABLE_STRING, text.encode("ascii"))


def time(seconds: int) -> bytes:
    """Return seconds since 1970 as UTCTime until 2049 and as GeneralizedTime from 2050 on.

    So does RFC 5280 section 4.1.2.5 demand it.
    """
    moment = datetime.fromtimestamp(seconds, UTC)
    if moment.year < 2050:
        return element(_UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode("ascii"))
    return element(_GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode("ascii"))


def context_constructed(number: int, content: bytes) -> bytes:
    """Return ``[number]`` around other elements."""
    return element(_CONTEXT | _CONSTRUCTED | number, content)


def context_primitive(number: int, content: bytes) -> bytes:
    """Return ``[number] IMPLICIT`` over the content of a primitive type."""
    return element(_CONTEXT | number, content)
