"""Look at a document: make the report.

Two questions are put to the verifier for each root, without demands on PCRs, nonce or
user_data: is the document genuine (at its own time, debug mode allowed), and would a live
verifier with default settings take it now? Neither says whether it is the *right* document.
"""

from __future__ import annotations

import contextlib
import hashlib
from functools import partial
from typing import TYPE_CHECKING, Final

from nitrosim.attestation import (
    AttestationError,
    DocumentType,
    Historic,
    Live,
    UnsafeSkipPcrs,
    Verifier,
)
from nitrosim.attestation.certificate import CertificateError, read_certificate
from nitrosim.cli.documents import FIELDS, MAX_FILE_BYTES, register_name
from nitrosim.cli.inspection.content import Content, read_content
from nitrosim.cli.inspection.report import Field, Link, Register, Report, Verdict
from nitrosim.cli.inspection.times import from_milliseconds, launch_time
from nitrosim.cli.inspection.values import describe_key, guess_key, readable_text, wrapping_hint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from nitrosim.attestation import StepReport

_PLACES: Final = ("root", "regional", "zonal", "instance", "leaf")
_STRICT_CODES: Final = ("UNKNOWN_FIELD", "MODULE_ID", "FIELD_LENGTH", "IDENTITY_MISMATCH")
"""Reasons of strict mode. The hardware may sign such documents, and has signed long nonces."""
_ZERO_MEANS: Final = {
    0: "debug mode, the image is not measured",
    1: "debug mode, kernel and boot are not measured",
    2: "debug mode, the application is not measured",
    3: "the parent instance has no IAM role",
    8: "the image is not signed",
}


def build_report(data: bytes, *, name: str, roots: Mapping[str, bytes], now: datetime) -> Report:
    """Look at a document, or at any bytes, as of `now`.

    Raises `ExpectationError` for an unusable root.
    """
    content, problem = read_content(data)
    issued = None
    if content.timestamp_ms is not None and content.timestamp_ms >= 0:
        issued = from_milliseconds(content.timestamp_ms)
    enclave = content.document_type != DocumentType.NITROTPM
    return Report(
        name=name,
        now=now,
        size=len(data),
        sha256=hashlib.sha256(data).digest(),
        problem=problem,
        hint=_hint(data) if problem and content.module_id is None else None,
        content=content,
        issued=issued,
        launched=launch_time(content.module_id or ""),
        region=_region(content),
        registers=tuple(_register(index, value, enclave=enclave) for index, value in content.pcrs),
        fields=tuple(_field(field, getattr(content, field)) for field in FIELDS),
        chain=_chain(content),
        verdicts=tuple(
            _verdict(root, anchor, data, content.document_type, now)
            for root, anchor in roots.items()
        ),
    )


def _hint(data: bytes) -> str | None:
    if len(data) == MAX_FILE_BYTES:
        return f"only the first {MAX_FILE_BYTES} bytes of the file have been read"
    return wrapping_hint(data)


def _register(index: int, value: bytes, *, enclave: bool) -> Register:
    return Register(
        index,
        register_name(index, enclave=enclave),
        value,
        _ZERO_MEANS.get(index) if enclave and not any(value) else None,
    )


def _field(name: str, value: bytes | None) -> Field:
    return Field(
        name,
        value,
        _looks_like(name, value) if value else None,
        readable_text(value) if value else None,
    )


def _looks_like(name: str, value: bytes) -> str | None:
    return describe_key(value) or (guess_key(value) if name == "public_key" else None)


def _chain(content: Content) -> tuple[Link, ...]:
    count = len(content.certificates)
    usual = content.has_leaf and count == len(_PLACES)
    links = []
    for depth, der in enumerate(content.certificates):
        if usual:
            place = _PLACES[depth]
        elif depth == 0:
            place = _PLACES[0]
        elif content.has_leaf and depth == count - 1:
            place = _PLACES[-1]
        else:
            place = f"issuer {depth}"
        links.append(_link(place, der))
    return tuple(links)


def _link(place: str, der: bytes) -> Link:
    digest = hashlib.sha256(der).digest()
    try:
        certificate = read_certificate(der)
    except CertificateError as error:
        return Link(place, len(der), digest, problem=str(error))
    return Link(
        place,
        len(der),
        digest,
        common_name=certificate.common_name,
        serial=certificate.serial,
        begins=certificate.begins,
        ends=certificate.ends,
    )


def _region(content: Content) -> str | None:
    """Return the region that the leaf's name tells, which begins with the module id."""
    if not content.has_leaf or not content.module_id:
        return None
    try:
        name = read_certificate(content.certificates[-1]).common_name
    except CertificateError:
        return None
    prefix = f"{content.module_id}."
    return (name.removeprefix(prefix).split(".", 1)[0] or None) if name.startswith(prefix) else None


def _verdict(
    root: str, anchor: bytes, data: bytes, document_type: str | None, now: datetime
) -> Verdict:
    steps: list[StepReport] = []
    verifier = Verifier([anchor], now=lambda: now)
    kind = DocumentType(document_type or DocumentType.ENCLAVE)
    look = partial(
        verifier.verify,
        data,
        UnsafeSkipPcrs(),
        time=Historic(),
        document_type=kind,
        allow_debug=True,
    )
    try:
        verified = look(observer=steps.append)
    except AttestationError as error:
        root_sha256 = None
        if error.code in _STRICT_CODES:
            with contextlib.suppress(AttestationError):
                root_sha256 = look(strict=False).root_sha256
        return Verdict(root, tuple(steps), error, root_sha256, error)
    live_refusal = None
    try:
        verifier.verify(data, UnsafeSkipPcrs(), time=Live(), document_type=kind)
    except AttestationError as error:
        live_refusal = error
    return Verdict(root, tuple(steps), None, verified.root_sha256, live_refusal)
