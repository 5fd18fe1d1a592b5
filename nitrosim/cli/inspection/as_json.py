"""A report for programs.

Keys are stable: new ones may come, none goes away or changes its meaning. What is missing is
null. Bytes are hexadecimal, times are ISO 8601 in UTC, lengths of time are seconds. ``unverified``
is what the document says, ``verdicts`` what the verifier says; only ``standing`` tells
whether to believe the former.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nitrosim.cli.documents import iso
from nitrosim.cli.inspection import words
from nitrosim.cli.verify import refusal_json

if TYPE_CHECKING:
    from datetime import datetime

    from nitrosim.attestation import AttestationError
    from nitrosim.cli.inspection.report import Link, Report, Verdict


def report_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        "file": report.name,
        "size": report.size,
        "sha256": report.sha256.hex(),
        "inspected_at": iso(report.now),
        "standing": str(report.standing),
        "summary": ": ".join(words.headline(report)),
        "caveats": words.caveats(report),
        "problem": _refusal(report.problem),
        "unverified": _unverified(report),
        "verdicts": {verdict.root: _verdict(verdict) for verdict in report.verdicts},
    }


def _unverified(report: Report) -> dict[str, Any]:
    content = report.content
    return {
        "document_type": content.document_type,
        "module_id": content.module_id,
        "instance_id": report.instance_id,
        "region": report.region,
        "timestamp": _iso(report.issued),
        "timestamp_ms": content.timestamp_ms,
        "age_seconds": None if report.age is None else report.age.total_seconds(),
        "launched": _iso(report.launched),
        "debug": report.debug,
        "pcrs": {str(register.index): register.value.hex() for register in report.registers},
        "pcr_names": {str(r.index): r.name for r in report.registers if r.name},
        "zero_pcrs": [r.index for r in report.registers if r.zero],
        **{field.name: _hex(field.value) for field in report.fields},
        "looks_like": {field.name: field.looks_like for field in report.fields},
        "text": {field.name: field.text for field in report.fields},
        "unknown_fields": list(content.unknown_fields),
        "size": report.size,
        "payload_size": content.payload_size,
        "tagged": content.tagged,
        "indefinite_map": content.indefinite_map,
        "signature": _hex(content.signature),
        "certificates": [_link(link, report) for link in report.chain],
    }


def _link(link: Link, report: Report) -> dict[str, Any]:
    return {
        "place": link.place,
        "problem": link.problem,
        "common_name": None if link.problem else link.common_name,
        "serial": None if link.serial is None else f"{link.serial:x}",
        "not_before": _iso(link.begins),
        "not_after": _iso(link.ends),
        "left_at_issue_seconds": _left(link, report.issued),
        "left_now_seconds": _left(link, report.now),
        "sha256": link.sha256.hex(),
        "size": link.size,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "ok": verdict.ok,
        "genuine": verdict.genuine,
        "refusal": _refusal(verdict.refusal),
        "live_ok": verdict.live_refusal is None,
        "live_refusal": _refusal(verdict.live_refusal),
        "root_sha256": _hex(verdict.root_sha256),
        "steps": [
            {
                "number": step.number,
                "name": step.name,
                "outcome": str(step.outcome),
                "detail": step.detail,
            }
            for step in verdict.steps
        ],
    }


def _refusal(error: AttestationError | None) -> dict[str, object] | None:
    return None if error is None else refusal_json(error)


def _left(link: Link, at: datetime | None) -> float | None:
    return None if at is None or link.ends is None else (link.ends - at).total_seconds()


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()
