"""A strict reader for DER, the encoding of certificates (ITU-T X.690).

Reading certificates ourselves takes these hundred lines and buys two things:
the verifier decides on exactly the bytes it has looked at (there is no second,
more liberal reader whose view could differ), and the 60 ms import of a
general X.509 library is not needed.

DER has one encoding for each value. Refused here: lengths that are indefinite or
longer than needed, tags above 30, content beyond its container, integers with
redundant leading octets, booleans other than 00 and FF.
"""

from __future__ import annotations

from typing import Final

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_ID: Final = 0x06
UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
TELETEX_STRING: Final = 0x14
IA5_STRING: Final = 0x16
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
BMP_STRING: Final = 0x1E
SEQUENCE: Final = 0x30
SET: Final = 0x31


class DerError(Exception):
    """The bytes are not DER, or not of the expected type; the message says where."""


class Cursor:
    """Reads the elements of one container in order.

    Attributes:
        data: the whole buffer; never sliced for navigation.
        pos: offset of the next element.
        end: offset after the container's last byte.

    """

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes, pos: int = 0, end: int | None = None) -> None:
        self.data = data
        self.pos = pos
        self.end = len(data) if end is None else end

    def more(self) -> bool:
        """Tell whether elements are left."""
        return self.pos < self.end

    def peek(self) -> int:
        """Return the next element's tag octet, or -1 at the end."""
        return self.data[self.pos] if self.pos < self.end else -1

    def header(self, tag: int) -> tuple[int, int]:
        """Step over the next element, which must have `tag`; return its content's start and end.

        Raises `DerError`.
        """
        data, pos, limit = self.data, self.pos, self.end
        if limit - pos < 2:
            raise DerError(f"the end at byte {pos}, where tag {tag:02x} should be")
        if data[pos] != tag:
            raise DerError(f"tag {data[pos]:02x} at byte {pos}, where {tag:02x} should be")
        length = data[pos + 1]
        start = pos + 2
        if length >= 0x80:
            width = length & 0x7F
            # Two octets are enough for a certificate, three for a revocation list of 16 MiB.
            if not 1 <= width <= 3 or limit - start < width:
                raise DerError(f"length {length:02x} at byte {pos + 1}")
            length = int.from_bytes(data[start : start + width], "big")
            if length < 0x80 or length < 1 << 8 * (width - 1):
                raise DerError(f"length at byte {pos + 1} is not in its shortest form")
            start += width
        end = start + length
        if end > limit:
            raise DerError(f"{length} bytes at byte {pos}, with {limit - start} left")
        self.pos = end
        return start, end

    def content(self, tag: int) -> bytes:
        """Return the content octets of the next element, which must have `tag`."""
        start, end = self.header(tag)
        return self.data[start:end]

    def element(self, tag: int) -> bytes:
        """Return the next element whole, with tag and length."""
        begin = self.pos
        end = self.header(tag)[1]
        return self.data[begin:end]

    def known(self, beginning: bytes, size: int) -> bytes | None:
        """Return the next element whole if it begins with these bytes; None, not moving, if not.

        They must contain its tag and length, which say that it has `size` bytes in all.
        """
        begin = self.pos
        end = begin + size
        if end > self.end or not self.data.startswith(beginning, begin):
            return None
        self.pos = end
        return self.data[begin:end]

    def enter(self, tag: int) -> Cursor:
        """Return a cursor over the content of the next element and step over it here."""
        start, end = self.header(tag)
        return Cursor(self.data, start, end)

    def integer(self, tag: int = INTEGER) -> int:
        """Return the next element as an integer in its shortest form."""
        at = self.pos
        octets = self.content(tag)
        if not octets:
            raise DerError(f"an integer without octets at byte {at}")
        if len(octets) > 1 and (octets[0], octets[1] >> 7) in {(0x00, 0), (0xFF, 1)}:
            raise DerError(f"an integer with a redundant octet at byte {at}")
        return int.from_bytes(octets, "big", signed=True)

    def object_id(self) -> bytes:
        """Return the content octets of the next element, an OBJECT IDENTIFIER in its one form."""
        at = self.pos
        octets = self.content(OBJECT_ID)
        if not octets or octets[-1] >= 0x80:
            raise DerError(f"an object identifier without an end at byte {at}")
        # A component starts where the octet before has its top bit clear, and never with 80.
        if 0x80 in octets and any(
            octet == 0x80 and (i == 0 or octets[i - 1] < 0x80) for i, octet in enumerate(octets)
        ):
            raise DerError(f"an object identifier with padding at byte {at}")
        return octets

    def boolean(self) -> bool:
        """Return the next element as a boolean: FF or 00."""
        at = self.pos
        octets = self.content(BOOLEAN)
        if octets not in {b"\x00", b"\xff"}:
            raise DerError(f"a boolean that is neither 00 nor ff at byte {at}")
        return octets == b"\xff"

    def finish(self) -> None:
        """Raise `DerError` when the container holds more than was read."""
        if self.pos != self.end:
            raise DerError(f"{self.end - self.pos} bytes left over at byte {self.pos}")
