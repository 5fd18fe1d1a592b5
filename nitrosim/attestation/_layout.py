"""The payload in the one layout that modules write, read in a few steps.

Observed in all real documents of enclaves, byte for byte: nine keys in a fixed order, heads of
fixed width, PCRs as an index below 24 and a string of 48 bytes, so that all of them have the same
size. Only lengths, and strings where null may stand, differ. Comparing constants and cutting where
they say takes a third of the time of a walk over sixty items.

This is no second opinion. Where the bytes are as described, the general reader finds the same; in
every other case, well-formed or not, nothing is returned and the general reader has the word.
The tests hold the two against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nitrosim.attestation._cbor import Value

_DEFINITE: Final = b"\xa9\x69module_id\x78"
_INDEFINITE: Final = b"\xbf\x69module_id\x78"
_BREAK: Final = b"\xff"
_AFTER_MODULE_ID: Final = b"\x66digest\x66SHA384\x69timestamp\x1b"
_TIMESTAMP_BYTES: Final = 8
_PCRS: Final = b"\x64pcrs"
_CERTIFICATE: Final = b"\x6bcertificate"
_CABUNDLE: Final = b"\x68cabundle"
_OPTIONAL: Final = (
    ("public_key", b"\x6apublic_key"),
    ("user_data", b"\x69user_data"),
    ("nonce", b"\x65nonce"),
)

_REGISTER: Final = 3 + 48
"""Size of an entry of pcrs: index, head 58 30, value."""


class _OtherLayoutError(Exception):
    """The bytes are not in this layout, which says nothing about them."""


def read_usual(data: bytes) -> dict[int | str, Value] | None:
    """Return the entries of a payload in the usual layout, None for any other bytes."""
    try:
        return _read(data)
    except (_OtherLayoutError, IndexError, UnicodeDecodeError):
        # An index beyond the end, or text that is none: the general reader says what is wrong.
        return None


def _read(data: bytes) -> dict[int | str, Value]:
    end = len(data)
    if data.startswith(_INDEFINITE):
        end -= 1
        _expect(_BREAK, data, end)
    else:
        _expect(_DEFINITE, data, 0)
    at = len(_DEFINITE)
    size = data[at]
    pos = at + 1 + size
    # A text of less than 24 bytes has another head.
    if size < 24:
        raise _OtherLayoutError
    entries: dict[int | str, Value] = {"module_id": data[at + 1 : pos].decode("utf-8")}
    pos = _expect(_AFTER_MODULE_ID, data, pos)
    entries["digest"] = "SHA384"
    entries["timestamp"] = int.from_bytes(data[pos : pos + _TIMESTAMP_BYTES], "big")
    pos = _expect(_PCRS, data, pos + _TIMESTAMP_BYTES)
    entries["pcrs"], pos = _registers(data, pos)
    entries["certificate"], pos = _string(data, _expect(_CERTIFICATE, data, pos))
    pos = _expect(_CABUNDLE, data, pos)
    count = data[pos] - 0x80
    if not 0 <= count < 24:
        raise _OtherLayoutError
    pos += 1
    bundle: list[Value] = []
    for _ in range(count):
        certificate, pos = _string(data, pos)
        bundle.append(certificate)
    entries["cabundle"] = bundle
    for name, key in _OPTIONAL:
        pos = _expect(key, data, pos)
        if data[pos] == 0xF6:
            entries[name] = None
            pos += 1
        else:
            entries[name], pos = _string(data, pos)
    # Whatever was cut beyond the end has moved the position there.
    if pos != end:
        raise _OtherLayoutError
    return entries


def _expect(constant: bytes, data: bytes, pos: int) -> int:
    """Step over a constant; return where it ends."""
    if not data.startswith(constant, pos):
        raise _OtherLayoutError
    return pos + len(constant)


def _registers(data: bytes, pos: int) -> tuple[dict[int | str, Value], int]:
    """Read a map of 1 to 23 registers, all heads at once: they stand at equal distances."""
    count = data[pos] - 0xA0
    if not 0 < count < 24:
        raise _OtherLayoutError
    begin = pos + 1
    end = begin + count * _REGISTER
    indices = data[begin:end:_REGISTER]
    if (
        data[begin + 1 : end : _REGISTER] != b"\x58" * count
        or data[begin + 2 : end : _REGISTER] != b"\x30" * count
        or max(indices) >= 24
        or len({*indices}) != count
    ):
        raise _OtherLayoutError
    values = range(begin + 3, end, _REGISTER)
    return {index: data[i : i + 48] for index, i in zip(indices, values, strict=True)}, end


def _string(data: bytes, pos: int) -> tuple[bytes, int]:
    """Read a byte string with a head of one, two or three bytes."""
    initial = data[pos]
    if initial == 0x59:
        size, begin = data[pos + 1] << 8 | data[pos + 2], pos + 3
    elif initial == 0x58:
        size, begin = data[pos + 1], pos + 2
    elif 0x40 <= initial < 0x58:
        size, begin = initial - 0x40, pos + 1
    else:
        raise _OtherLayoutError
    end = begin + size
    return data[begin:end], end
