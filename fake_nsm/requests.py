"""The seven requests of the module, and how they are read (AWS Nitro Enclaves NSM API).

The protocol is the CBOR form of Rust serde enumerations, externally tagged: a request without
fields is a text (``"GetRandom"``), a request with fields is a map of one entry
(``{"ExtendPCR": {"index": 16, "data": h'..'}}``). Fields may come in any order, unknown fields
are ignored, and a missing optional field is the same as null.

Byte fields may be given as a byte string, as a text (its UTF-8 bytes are meant) or as an array of
integers 0..255: clients that serialise a plain ``Vec<u8>`` send the last form, and real hardware
puts the right bytes into the document. An empty string is not null. Whatever cannot be read, down
to an integer that does not fit into 16 bits, is answered with ``InvalidOperation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from fake_nsm.cbor import MalformedCborError, read_item
from fake_nsm.errors import ErrorName, RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

# ASSUMPTION: a request that is well-formed CBOR of indefinite length is understood; whether the
# hardware does has not been observed.
# ASSUMPTION: a known field given twice makes the request unreadable, as in serde; the hardware's
# answer has not been observed.
# ASSUMPTION: bytes after the request are ignored, as QEMU's model of the device does.
# ASSUMPTION: an unreadable request is answered with InvalidOperation, as QEMU's model does.


@dataclass(frozen=True, slots=True)
class GetRandom:
    """Ask for 256 random bytes."""


@dataclass(frozen=True, slots=True)
class DescribeNsm:
    """Ask for version, module id and locked registers."""


@dataclass(frozen=True, slots=True)
class DescribePcr:
    """Ask for the lock and the value of register `index`, an integer of 16 bits."""

    index: int


@dataclass(frozen=True, slots=True)
class ExtendPcr:
    """Extend register `index` (16 bits) with raw `data` of any length."""

    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LockPcr:
    """Lock register `index`, an integer of 16 bits."""

    index: int


@dataclass(frozen=True, slots=True)
class LockPcrs:
    """Lock the registers 0..`count` - 1; the field is called ``range`` on the wire."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """Ask for a document over the present state and three optional values."""

    user_data: bytes | None = None
    nonce: bytes | None = None
    public_key: bytes | None = None


Request: TypeAlias = (
    GetRandom | DescribeNsm | DescribePcr | ExtendPcr | LockPcr | LockPcrs | Attestation
)
"""Any request."""


def decode_request(message: bytes) -> Request:
    """Read one request.

    Raises `RequestRefusedError` InvalidOperation for everything else; never anything but that.
    """
    try:
        item = read_item(message)
    except MalformedCborError as error:
        raise _refusal() from error
    if type(item) is tuple and len(item) == 1:
        name, fields = item[0]
        if type(name) is str and type(fields) is tuple:
            build = _WITH_FIELDS.get(name)
            if build is not None:
                return build(_Fields(fields))
    elif type(item) is str:
        request = _WITHOUT_FIELDS.get(item)
        if request is not None:
            return request
    raise _refusal()


def _refusal() -> RequestRefusedError:
    return RequestRefusedError(ErrorName.INVALID_OPERATION)


class _Fields:
    """The fields of one request, taken out one at a time with their type checked.

    The types are compared exactly: for Python true is an integer, for the module it is not.
    """

    __slots__ = ("_named", "_repeated")

    def __init__(self, pairs: tuple[tuple[object, object], ...]) -> None:
        self._named: dict[str, object] = {}
        self._repeated: set[str] = set()
        for key, value in pairs:
            if type(key) is str:
                if key in self._named:
                    self._repeated.add(key)
                self._named[key] = value

    def uint16(self, name: str) -> int:
        """Return a required integer 0..65535."""
        value = self._value(name)
        if type(value) is not int or not 0 <= value <= 0xFFFF:
            raise _refusal()
        return value

    def octets(self, name: str) -> bytes:
        """Return a required byte field."""
        value = self.optional_octets(name)
        if value is None:
            raise _refusal()
        return value

    def optional_octets(self, name: str) -> bytes | None:
        """Return a byte field, or None if it is null or missing."""
        value = self._value(name)
        if value is None or type(value) is bytes:
            return value
        if type(value) is str:
            return value.encode("utf-8")
        if type(value) is list and all(
            type(element) is int and 0 <= element <= 0xFF for element in value
        ):
            return bytes(value)
        raise _refusal()

    def _value(self, name: str) -> object:
        if name in self._repeated:
            raise _refusal()
        return self._named.get(name)


def _attestation(fields: _Fields) -> Attestation:
    return Attestation(
        user_data=fields.optional_octets("user_data"),
        nonce=fields.optional_octets("nonce"),
        public_key=fields.optional_octets("public_key"),
    )


_WITHOUT_FIELDS: dict[str, Request] = {"GetRandom": GetRandom(), "DescribeNSM": DescribeNsm()}

_WITH_FIELDS: dict[str, Callable[[_Fields], Request]] = {
    "Attestation": _attestation,
    "DescribePCR": lambda fields: DescribePcr(fields.uint16("index")),
    "ExtendPCR": lambda fields: ExtendPcr(fields.uint16("index"), fields.octets("data")),
    "LockPCR": lambda fields: LockPcr(fields.uint16("index")),
    "LockPCRs": lambda fields: LockPcrs(fields.uint16("range")),
}
