"""The content of a document for looking at: read strictly, or else as far as it can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from nitrosim.attestation import AttestationError, read_unverified
from nitrosim.cli.inspection.salvage import Entries, Value, salvage

if TYPE_CHECKING:
    from nitrosim.attestation import UnverifiedDocument

_TAG_18: Final = 0xD2
_INDEFINITE_MAP: Final = 0xBF
_PCR_FIELDS: Final = {"pcrs": "enclave", "nitrotpm_pcrs": "nitrotpm"}
_OTHER_FIELDS: Final = (
    "module_id",
    "digest",
    "timestamp",
    "certificate",
    "cabundle",
    "public_key",
    "user_data",
    "nonce",
)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a document says. Everything may be missing, because the document may be damaged.

    Attributes:
        document_type: ``enclave`` or ``nitrotpm``.
        module_id: as it stands.
        timestamp_ms: milliseconds since 1970, of any size.
        pcrs: index and value, ascending, of any length.
        certificates: DER of the chain, root first; the leaf is last if `has_leaf`.
        has_leaf: whether the field `certificate` could be read.
        public_key: bytes, or None for null, missing or unreadable.
        user_data: as `public_key`.
        nonce: as `public_key`.
        unknown_fields: names of fields that are not part of a document.
        payload_size: bytes of the payload.
        tagged: whether the envelope bears tag 18.
        indefinite_map: whether the payload is a map of indefinite length.
        signature: r and s, 96 bytes in a sound document.
        notes: what is odd about a damaged document, one line each.

    """

    document_type: str | None = None
    module_id: str | None = None
    timestamp_ms: int | None = None
    pcrs: tuple[tuple[int, bytes], ...] = ()
    certificates: tuple[bytes, ...] = ()
    has_leaf: bool = False
    public_key: bytes | None = None
    user_data: bytes | None = None
    nonce: bytes | None = None
    unknown_fields: tuple[str, ...] = ()
    payload_size: int | None = None
    tagged: bool = False
    indefinite_map: bool | None = None
    signature: bytes | None = None
    notes: tuple[str, ...] = ()


def read_content(data: bytes) -> tuple[Content, AttestationError | None]:
    """Read a document of either kind, and say why it is none if the strict reader refuses it."""
    try:
        return _sound(read_unverified(data)), None
    except AttestationError as error:
        return _damaged(data), error


def _sound(document: UnverifiedDocument) -> Content:
    claims, envelope = document.claims, document.envelope
    return Content(
        document_type=str(claims.document_type),
        module_id=claims.module_id,
        timestamp_ms=claims.timestamp_ms,
        pcrs=tuple(claims.pcrs.items()),
        certificates=(*claims.cabundle, claims.certificate),
        has_leaf=True,
        public_key=claims.public_key,
        user_data=claims.user_data,
        nonce=claims.nonce,
        unknown_fields=claims.unknown_fields,
        payload_size=len(envelope.payload),
        tagged=envelope.tagged,
        indefinite_map=document.indefinite_map,
        signature=envelope.r.to_bytes(48, "big") + envelope.s.to_bytes(48, "big"),
    )


def _damaged(data: bytes) -> Content:
    envelope = salvage(data, keep_cut=True)
    parts = envelope.value
    notes = [f"envelope: {envelope.flaw}"] if envelope.flaw else []
    if not isinstance(parts, list):
        # Not even the beginning of a document.
        return Content()
    if not envelope.flaw and envelope.end < len(data):
        notes.append(_trailing(data[envelope.end :]))
    payload = parts[2] if len(parts) > 2 else None
    signature = parts[3] if len(parts) > 3 else None
    if not isinstance(payload, bytes):
        return Content()
    inner = salvage(payload, keep_cut=False)
    if inner.flaw:
        notes.append(f"payload: {inner.flaw}")
    elif inner.end < len(payload):
        notes.append(f"{len(payload) - inner.end} bytes follow the map in the payload")
    entries = inner.value if isinstance(inner.value, Entries) else Entries(())
    return _from_entries(
        entries,
        Content(
            payload_size=len(payload),
            tagged=data[0] == _TAG_18,
            indefinite_map=payload[:1] == bytes((_INDEFINITE_MAP,)),
            signature=signature if isinstance(signature, bytes) else None,
            notes=tuple(notes),
        ),
    )


def _trailing(rest: bytes) -> str:
    note = f"{len(rest)} bytes follow the envelope"
    if not rest.strip(b"\xff"):
        return f"{note}, all ff: the padding of a NitroTPM's answer"
    if not rest.strip():
        return f"{note}, all white space: was it copied as text?"
    return note


def _from_entries(entries: Entries, envelope: Content) -> Content:
    notes = list(envelope.notes)
    names = [key for key, _ in entries.pairs if isinstance(key, str)]
    notes += [
        f"field {name} is there {names.count(name)} times; the first is shown"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    kind_field = next((name for name in _PCR_FIELDS if name in names), None)
    bundle = _typed(entries, "cabundle", list, notes) or []
    certificates = [entry for entry in bundle if isinstance(entry, bytes)]
    leaf = _typed(entries, "certificate", bytes, notes)
    if leaf is not None:
        certificates.append(leaf)
    digest = _typed(entries, "digest", str, notes)
    if digest not in (None, "SHA384"):
        notes.append(f"digest is {digest!r}")
    return Content(
        document_type=_PCR_FIELDS.get(kind_field or ""),
        module_id=_typed(entries, "module_id", str, notes),
        timestamp_ms=_typed(entries, "timestamp", int, notes),
        pcrs=_registers(entries, kind_field, notes),
        certificates=tuple(certificates),
        has_leaf=leaf is not None,
        public_key=_typed(entries, "public_key", bytes, notes),
        user_data=_typed(entries, "user_data", bytes, notes),
        nonce=_typed(entries, "nonce", bytes, notes),
        unknown_fields=tuple(
            name for name in names if name not in _PCR_FIELDS and name not in _OTHER_FIELDS
        ),
        payload_size=envelope.payload_size,
        tagged=envelope.tagged,
        indefinite_map=envelope.indefinite_map,
        signature=envelope.signature,
        notes=tuple(notes),
    )


def _registers(
    entries: Entries, field: str | None, notes: list[str]
) -> tuple[tuple[int, bytes], ...]:
    found = _typed(entries, field, Entries, notes) if field else None
    if found is None:
        return ()
    # The last pair is written first, so that of two with one index the first remains.
    registers = {
        index: value
        for index, value in reversed(found.pairs)
        if type(index) is int and isinstance(value, bytes)
    }
    if len(registers) < len(found.pairs):
        notes.append(f"{len(found.pairs) - len(registers)} entries of {field} are not shown")
    return tuple(sorted(registers.items()))


def _typed(entries: Entries, name: str, kind: type[_T], notes: list[str]) -> _T | None:
    value: Value = entries.first(name)
    # isinstance would take a bool for an integer.
    if type(value) is kind:
        return value
    if value is not None:
        notes.append(f"field {name} is of another type and not shown: {type(value).__name__}")
    return None
