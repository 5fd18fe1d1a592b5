"""The payload: nine fields, read with their exact types (steps 8 to 12).

Facts, observed in real documents unless said otherwise:

* One map with always the same nine keys: module_id, digest, timestamp, pcrs,
  certificate, cabundle, public_key, user_data, nonce. Absent optional values are
  null, although the AWS text says "no field can be null"; null and missing are taken
  as the same thing for these three, and an empty byte string as a third one.
* The map was definite (a9) until 2025-04 and is indefinite (bf .. ff) since
  2025-08. Inner containers may follow, so both forms are read everywhere in the payload.
* NitroTPM documents have `nitrotpm_pcrs` in place of `pcrs` and come from the same
  PKI. Their registers can be extended by the guest, so one must never pass for the other.
* The hypervisor signs nonces longer than the documented 1024 bytes. In strict mode
  they are refused, otherwise the size of the payload is the only bound.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final, TypeVar

from nitrosim.attestation._cbor import CborError, Problem, Value, decode
from nitrosim.attestation.cose import MAX_PAYLOAD_BYTES
from nitrosim.attestation.errors import AttestationError, Code
from nitrosim.attestation.model import PCR_BYTES, Claims, DocumentType
from nitrosim.attestation.steps import Trail

MAX_FIELD_BYTES: Final = 1024
"""Documented bound of public_key, user_data and nonce (AWS user guide, CDDL)."""

MAX_TIMESTAMP_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that Python and X.509 can express."""

_PCR_FIELD: Final = {DocumentType.ENCLAVE: "pcrs", DocumentType.NITROTPM: "nitrotpm_pcrs"}
_PCR_COUNT: Final = {DocumentType.ENCLAVE: 32, DocumentType.NITROTPM: 24}
_MODULE_MARK: Final = {DocumentType.ENCLAVE: "-enc", DocumentType.NITROTPM: "-tpm"}
_MODULE_ID: Final = re.compile(r"i-[0-9a-f]{8,17}-(?:enc|tpm)[0-9a-f]{16}")
_OPTIONAL: Final = ("public_key", "user_data", "nonce")
_KNOWN: Final = frozenset(
    ("module_id", "digest", "timestamp", "pcrs", "nitrotpm_pcrs", "certificate", "cabundle")
    + _OPTIONAL
)
_TYPE_NAMES: Final = {
    int: "integer",
    bytes: "byte string",
    str: "text",
    bool: "bool",
    type(None): "null",
    list: "array",
    dict: "map",
}

_T = TypeVar("_T")


def read_payload(
    payload: bytes, trail: Trail, *, expected_type: DocumentType | None, strict: bool
) -> Claims:
    """Read the payload: steps 8 to 12.

    Args:
        payload: content of the envelope's payload, as received.
        trail: told about each step.
        expected_type: the kind the caller asked for; None takes either (for looking only).
        strict: refuse unknown fields, long optional fields, odd module ids.

    Raises `MalformedDocumentError`, or `PolicyError` for a document of the other kind.
    """
    # (8) (9) (10) The reader refuses duplicates and foreign types while it reads.
    if not 0 < len(payload) <= MAX_PAYLOAD_BYTES:
        raise Code.PAYLOAD_MALFORMED(
            "payload", got=f"{len(payload)} bytes", expected=f"1 to {MAX_PAYLOAD_BYTES} bytes"
        )
    try:
        fields = decode(payload, indefinite=True, shortest=False)
    except CborError as error:
        raise _payload_error(error) from error
    if type(fields) is not dict:
        raise Code.PAYLOAD_NOT_MAP("payload", got=_type_name(fields), expected="map")
    trail.passed(8, "indefinite-length map" if payload[0] == 0xBF else "definite-length map")
    trail.passed(9, f"{len(fields)} fields")

    # (10) Exact types of what is present. A bool is not an integer.
    for key in fields:
        if type(key) is not str:
            raise Code.WRONG_TYPE("field name", got=f"integer {key}", expected="text")
    module_id = _typed(fields, "module_id", str)
    digest = _typed(fields, "digest", str)
    timestamp = _typed(fields, "timestamp", int)
    certificate = _typed(fields, "certificate", bytes)
    cabundle = _typed(fields, "cabundle", list)
    enclave_pcrs = _typed(fields, "pcrs", dict)
    tpm_pcrs = _typed(fields, "nitrotpm_pcrs", dict)
    public_key, user_data, nonce = (_typed(fields, name, bytes) for name in _OPTIONAL)
    for position, entry in enumerate(cabundle or ()):
        _require_type(f"cabundle[{position}]", entry, bytes)
    for pcrs in (enclave_pcrs, tpm_pcrs):
        for index, value in (pcrs or {}).items():
            _require_type("PCR index", index, int)
            _require_type(f"PCR{index}", value, bytes)
    trail.passed(10)

    # (11) Exactly one of the two PCR fields, and it must be the caller's kind.
    if enclave_pcrs is not None and tpm_pcrs is not None:
        raise Code.WRONG_DOCUMENT_TYPE(
            "PCR fields", got="pcrs and nitrotpm_pcrs", expected="exactly one of them"
        )
    kind = DocumentType.NITROTPM if tpm_pcrs is not None else DocumentType.ENCLAVE
    pcrs = tpm_pcrs if tpm_pcrs is not None else _mandatory("pcrs", enclave_pcrs)
    if expected_type is not None and kind is not expected_type:
        raise Code.WRONG_DOCUMENT_TYPE(
            "document type", got=f"{kind} ({_PCR_FIELD[kind]})", expected=expected_type
        )
    module_id = _mandatory("module_id", module_id)
    digest = _mandatory("digest", digest)
    timestamp = _mandatory("timestamp", timestamp)
    certificate = _mandatory("certificate", certificate)
    cabundle = _mandatory("cabundle", cabundle)
    if _MODULE_MARK[kind] not in module_id:
        raise Code.WRONG_DOCUMENT_TYPE(
            f"module_id of a document with {_PCR_FIELD[kind]}",
            got=repr(module_id),
            expected=f"i-<hex>{_MODULE_MARK[kind]}<hex>",
        )
    unknown = tuple(str(key) for key in fields if key not in _KNOWN)
    if strict and unknown:
        raise Code.UNKNOWN_FIELD("field names", got=", ".join(unknown), expected="the known ones")
    trail.passed(11, f"{kind} document" + (f", ignored: {', '.join(unknown)}" if unknown else ""))

    # (12) Values and lengths.
    if strict and not _MODULE_ID.fullmatch(module_id):
        raise Code.MODULE_ID(
            "module_id", got=repr(module_id), expected="i-<hex>-enc<16 hex> or i-<hex>-tpm<16 hex>"
        )
    if digest != "SHA384":
        raise Code.DIGEST("digest", got=repr(digest), expected="SHA384")
    if not 0 < timestamp <= MAX_TIMESTAMP_MS:
        raise Code.TIMESTAMP_RANGE(
            "timestamp", got=timestamp, expected=f"1 to {MAX_TIMESTAMP_MS} milliseconds"
        )
    _check_pcrs(pcrs, limit=_PCR_COUNT[kind])
    if strict:
        for name, value in zip(_OPTIONAL, (public_key, user_data, nonce), strict=True):
            if value is not None and len(value) > MAX_FIELD_BYTES:
                raise Code.FIELD_LENGTH(
                    name, got=f"{len(value)} bytes", expected=f"at most {MAX_FIELD_BYTES}"
                )
    trail.passed(12, f"{module_id}, {len(pcrs)} PCRs")
    return Claims(
        document_type=kind,
        module_id=module_id,
        timestamp_ms=timestamp,
        # Types were checked in (10): integer keys, byte strings.
        pcrs=MappingProxyType(dict(sorted(pcrs.items()))),
        certificate=certificate,
        cabundle=tuple(cabundle),
        public_key=public_key,
        user_data=user_data,
        nonce=nonce,
        unknown_fields=unknown,
    )


def _check_pcrs(pcrs: dict[int, bytes], *, limit: int) -> None:
    if not 1 <= len(pcrs) <= limit:
        raise Code.PCR_COUNT("number of PCRs", got=len(pcrs), expected=f"1 to {limit}")
    for index, value in pcrs.items():
        if not 0 <= index < limit:
            raise Code.PCR_INDEX("PCR index", got=index, expected=f"0 to {limit - 1}")
        if len(value) != PCR_BYTES:
            raise Code.PCR_LENGTH(
                f"PCR{index}", got=f"{len(value)} bytes", expected=f"{PCR_BYTES} bytes"
            )


def _typed(fields: dict[int | str, Value], name: str, kind: type[_T]) -> _T | None:
    """Return the field's value; None when it is missing or null."""
    value = fields.get(name)
    if value is None:
        return None
    return _require_type(name, value, kind)


def _require_type(name: str, value: object, kind: type[_T]) -> _T:
    # isinstance would let a bool pass for an integer.
    if type(value) is not kind:
        raise Code.WRONG_TYPE(name, got=_type_name(value), expected=_TYPE_NAMES[kind])
    return value  # type: ignore[return-value]  # mypy does not narrow on `type(x) is not T`


def _mandatory(name: str, value: _T | None) -> _T:
    if value is None:
        raise Code.MISSING_FIELD(f"field {name}", got="missing or null", expected="a value")
    return value


def _type_name(value: object) -> str:
    return _TYPE_NAMES.get(type(value), type(value).__name__)


def _payload_error(error: CborError) -> AttestationError:
    what = f"payload ({error})"
    if error.problem is Problem.TRAILING:
        return Code.PAYLOAD_TRAILING_BYTES(what, expected="one map and nothing after it")
    if error.problem is Problem.DUPLICATE_KEY:
        return Code.DUPLICATE_KEY(what, expected="every key once")
    if error.problem is Problem.LIMIT:
        return Code.LIMIT_EXCEEDED(what)
    if error.problem in _FORBIDDEN:
        return Code.FORBIDDEN_TYPE(
            what, expected="integers, strings, arrays, maps, bools and null only"
        )
    return Code.PAYLOAD_MALFORMED(what, expected="one well-formed CBOR item")


_FORBIDDEN: Final = frozenset(
    (
        Problem.TAG,
        Problem.FLOAT,
        Problem.SIMPLE,
        Problem.CHUNKED,
        Problem.KEY_TYPE,
    )
)
