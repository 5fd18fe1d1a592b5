"""Writes DER, right or wrong: every function gives bytes, and none checks what it is given."""

from __future__ import annotations

from datetime import datetime


def tlv(tag: int, *contents: bytes) -> bytes:
    """Encode one element with a length in its shortest form."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def content(element: bytes) -> bytes:
    """Return the content octets of an element that `tlv` made."""
    return element[2 if element[1] < 0x80 else 2 + (element[1] & 0x7F) :]


def integer(number: int) -> bytes:
    """Encode an INTEGER in its shortest form."""
    return tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def moment(time: datetime) -> bytes:
    """Encode a Time as RFC 5280 says: UTCTime through 2049, GeneralizedTime from 2050."""
    if time.year < 2050:
        return tlv(0x17, time.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, time.strftime("%Y%m%d%H%M%SZ").encode())


_NAME_PARTS = {"C": "550406", "ST": "550408", "L": "550407", "O": "55040a", "OU": "55040b"} | {
    "CN": "550403"
}


def name(common_name: str, order: str = "C O OU CN") -> bytes:
    """Encode a Name with its attributes in the given order.

    Types are those of real chains: PrintableString for the country, UTF8String for the rest.
    """
    values = {"C": "XX", "ST": "Nowhere", "L": "Nowhere", "O": "nitrosim", "OU": "corpus"}
    values["CN"] = common_name
    return tlv(
        0x30,
        *(
            tlv(
                0x31,
                tlv(
                    0x30,
                    tlv(0x06, bytes.fromhex(_NAME_PARTS[part])),
                    tlv(0x13 if part == "C" else 0x0C, values[part].encode()),
                ),
            )
            for part in order.split()
        ),
    )


def extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    """Encode an Extension; `oid` is the content of the object identifier in hex."""
    flag = b"\x01\x01\xff" if critical else b""
    return tlv(0x30, tlv(0x06, bytes.fromhex(oid)), flag, tlv(0x04, value))


def basic_constraints(path_length: int | None) -> bytes:
    """Encode the critical basicConstraints of a CA."""
    limit = b"" if path_length is None else integer(path_length)
    return extension("551d13", tlv(0x30, b"\x01\x01\xff", limit), critical=True)
