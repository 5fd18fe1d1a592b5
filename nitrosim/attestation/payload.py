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
from typing import TYPE_CHECKING, Final, TypedDict, TypeVar

from nitrosim.attestation._cbor import CborError, Problem, Value, decode
from nitrosim.attestation._layout import read_usual
from nitrosim.attestation.cose import MAX_PAYLOAD_BYTES
from nitrosim.attestation.errors import AttestationError, Code
from nitrosim.attestation.model import PCR_BYTES, Claims, DocumentType

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from nitrosim.attestation.steps import Trail

# DEVIATION: In strict mode the verifier refuses public_key, user_data and nonce over the
# documented 1024 bytes, although the hypervisor signs longer ones.
MAX_FIELD_BYTES: Final = 1024
"""Documented bound of public_key, user_data and nonce (AWS user guide, CDDL)."""

MAX_TIMESTAMP_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that Python and X.509 can express."""

_PCR_FIELD: Final = {DocumentType.ENCLAVE: "pcrs", DocumentType.NITROTPM: "nitrotpm_pcrs"}
_PCR_COUNT: Final = {DocumentType.ENCLAVE: 32, DocumentType.NITROTPM: 24}
_MODULE_MARK: Final = {DocumentType.ENCLAVE: "-enc", DocumentType.NITROTPM: "-tpm"}
_MODULE_ID: Final = re.compile(r"i-[0-9a-f]{8,17}-(?:enc|tpm)[0-9a-f]{16}")


class _Fields(TypedDict, total=False):
    """The known fields with their types checked; None is null."""

    module_id: str | None
    digest: str | None
    timestamp: int | None
    certificate: bytes | None
    cabundle: list[bytes] | None
    pcrs: dict[int, bytes] | None
    nitrotpm_pcrs: dict[int, bytes] | None
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None


_KNOWN: Final[dict[str, type]] = {
    "module_id": str,
    "digest": str,
    "timestamp": int,
    "certificate": bytes,
    "cabundle": list,
    "pcrs": dict,
    "nitrotpm_pcrs": dict,
    "public_key": bytes,
    "user_data": bytes,
    "nonce": bytes,
}
"""Name and type of each known field."""

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
    # (8) (9) The reader refuses duplicate keys, and the foreign types of (10), while it reads.
    entries = _read_map(payload)
    trail.passed(8, "indefinite-length map" if payload[0] == 0xBF else "definite-length map")
    trail.passed(9, "{} fields", len(entries))

    # (10) Exact types of what is present. A bool is not an integer.
    fields, unknown = _typed_fields(entries)
    trail.passed(10)

    # (11) Exactly one of the two PCR fields, and it must be the caller's kind.
    kind, pcrs = _kind_of(fields, expected_type)
    claims = Claims(
        document_type=kind,
        module_id=_mandatory("module_id", fields.get("module_id")),
        timestamp_ms=_mandatory("timestamp", fields.get("timestamp")),
        pcrs=MappingProxyType({index: pcrs[index] for index in sorted(pcrs)}),
        certificate=_mandatory("certificate", fields.get("certificate")),
        cabundle=tuple(_mandatory("cabundle", fields.get("cabundle"))),
        public_key=fields.get("public_key"),
        user_data=fields.get("user_data"),
        nonce=fields.get("nonce"),
        unknown_fields=unknown,
    )
    digest = _mandatory("digest", fields.get("digest"))
    _check_module_kind(claims)
    if strict and unknown:
        raise Code.UNKNOWN_FIELD(
            "field names", got=", ".join(unknown), expected="only the known ones"
        )
    ignored = f", ignored: {', '.join(unknown)}" if unknown else ""
    trail.passed(11, "{} document{}", kind, ignored)

    # (12) Values and lengths.
    _check_values(claims, digest)
    if strict:
        _check_strict_values(claims)
    trail.passed(12, "{}, {} PCRs", claims.module_id, len(pcrs))
    return claims


def _read_map(payload: bytes) -> dict[int | str, Value]:
    if not 0 < len(payload) <= MAX_PAYLOAD_BYTES:
        raise Code.PAYLOAD_MALFORMED(
            "payload", got=f"{len(payload)} bytes", expected=f"1 to {MAX_PAYLOAD_BYTES} bytes"
        )
    if (usual := read_usual(payload)) is not None:
        return usual
    try:
        entries = decode(payload, indefinite=True, shortest=False)
    except CborError as error:
        raise _payload_error(error) from error
    if type(entries) is not dict:
        raise Code.PAYLOAD_NOT_MAP("payload", got=_type_name(entries), expected="map")
    return entries


def _typed_fields(entries: dict[int | str, Value]) -> tuple[_Fields, tuple[str, ...]]:
    """Check the types of the known fields and of what is in them; return also other names."""
    unknown: tuple[str, ...] = ()
    if not entries.keys() <= _KNOWN.keys():
        _check_types("field name {}", entries, entries, str)
        unknown = tuple(str(name) for name in entries if name not in _KNOWN)
    for name, kind in _KNOWN.items():
        value = entries.get(name)
        # isinstance would let a bool pass for an integer.
        if type(value) is not kind and value is not None:
            raise _wrong_type(name, value, kind)
    if type(bundle := entries.get("cabundle")) is list:
        _check_types("cabundle[{}]", range(len(bundle)), bundle, bytes)
    for name in _PCR_FIELD.values():
        if type(pcrs := entries.get(name)) is dict:
            _check_types(f"index {{!r}} in {name}", pcrs, pcrs, int)
            _check_types("PCR{}", pcrs, pcrs.values(), bytes)
    # Every value in it has been looked at; the type says what has been found.
    return entries, unknown  # type: ignore[return-value]


def _check_types(
    place: str, places: Iterable[object], values: Collection[object], kind: type
) -> None:
    """Check the type of all values in a container; `places` complete the name of each one."""
    if {*map(type, values)} <= {kind}:
        return
    for label, value in zip(places, values, strict=True):
        if type(value) is not kind:
            raise _wrong_type(place.format(label), value, kind)


def _kind_of(
    fields: _Fields, expected: DocumentType | None
) -> tuple[DocumentType, dict[int, bytes]]:
    pcrs, tpm_pcrs = fields.get("pcrs"), fields.get("nitrotpm_pcrs")
    if pcrs is not None and tpm_pcrs is not None:
        raise Code.WRONG_DOCUMENT_TYPE(
            "PCR fields", got="pcrs and nitrotpm_pcrs", expected="exactly one of them"
        )
    if tpm_pcrs is not None:
        kind, registers = DocumentType.NITROTPM, tpm_pcrs
    else:
        kind, registers = DocumentType.ENCLAVE, _mandatory("pcrs", pcrs)
    if expected is not None and kind is not expected:
        raise Code.WRONG_DOCUMENT_TYPE(
            "document type", got=f"{kind} ({_PCR_FIELD[kind]})", expected=expected
        )
    return kind, registers


def _check_module_kind(claims: Claims) -> None:
    mark = _MODULE_MARK[claims.document_type]
    if mark not in claims.module_id:
        raise Code.WRONG_DOCUMENT_TYPE(
            f"module_id of a document with {_PCR_FIELD[claims.document_type]}",
            got=repr(claims.module_id),
            expected=f"i-<hex>{mark}<hex>",
        )


def _check_values(claims: Claims, digest: str) -> None:
    if digest != "SHA384":
        raise Code.DIGEST("digest", got=repr(digest), expected="SHA384")
    if not 0 < claims.timestamp_ms <= MAX_TIMESTAMP_MS:
        raise Code.TIMESTAMP_RANGE(
            "timestamp", got=claims.timestamp_ms, expected=f"1 to {MAX_TIMESTAMP_MS} milliseconds"
        )
    _check_pcrs(claims.pcrs, limit=_PCR_COUNT[claims.document_type])


def _check_strict_values(claims: Claims) -> None:
    if not _MODULE_ID.fullmatch(claims.module_id):
        raise Code.MODULE_ID(
            "module_id",
            got=repr(claims.module_id),
            expected="i-<8 to 17 hex>-enc<16 hex> or i-<8 to 17 hex>-tpm<16 hex>",
        )
    for name, value in (
        ("public_key", claims.public_key),
        ("user_data", claims.user_data),
        ("nonce", claims.nonce),
    ):
        if value is not None and len(value) > MAX_FIELD_BYTES:
            raise Code.FIELD_LENGTH(
                name, got=f"{len(value)} bytes", expected=f"at most {MAX_FIELD_BYTES}"
            )


def _check_pcrs(pcrs: Mapping[int, bytes], *, limit: int) -> None:
    if not 1 <= len(pcrs) <= limit:
        raise Code.PCR_COUNT("number of PCRs", got=len(pcrs), expected=f"1 to {limit}")
    for index, value in pcrs.items():
        if not 0 <= index < limit:
            raise Code.PCR_INDEX("PCR index", got=index, expected=f"0 to {limit - 1}")
        if len(value) != PCR_BYTES:
            raise Code.PCR_LENGTH(
                f"PCR{index}", got=f"{len(value)} bytes", expected=f"{PCR_BYTES} bytes"
            )


def _wrong_type(name: str, value: object, kind: type) -> AttestationError:
    return Code.WRONG_TYPE(name, got=_type_name(value), expected=_TYPE_NAMES[kind])


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
        return Code.PAYLOAD_LIMIT(what)
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
