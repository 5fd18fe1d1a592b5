"""What a report says in words: the same sentences for the terminal, the page and programs.

Every string in here is one line. Text out of the document is in it as it stands, so
each renderer escapes the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nitrosim.cli.inspection.report import PCR_BYTES, Register, Report, Standing, Verdict
from nitrosim.cli.inspection.times import relative, remaining, span, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from nitrosim.attestation import AttestationError
    from nitrosim.cli.inspection.report import Field, Link

NOT_JUDGED: Final = (
    "A genuine document says who issued it and when. That these are the PCRs you want, and that "
    "nobody replays it, is another question: 'nitrosim verify' asks it."
)
_UNVOUCHED: Final = "Nothing below has been verified: anyone can write such a document."
_UNKNOWN_ROOT: Final = "UNKNOWN ROOT"
_KINDS: Final = {"enclave": "an enclave", "nitrotpm": "the NitroTPM"}


def headline(report: Report) -> tuple[str, str]:
    """Return the verdict in capitals, and a sentence about it."""
    word, sentence = _headline(report)
    voucher = report.voucher
    if voucher is not None and voucher.genuine and voucher.refusal is not None:
        return f"{word} BUT ODD", f"{sentence}; refused in strict mode: {voucher.refusal}"
    return word, sentence


def _headline(report: Report) -> tuple[str, str]:
    voucher = report.voucher
    root = voucher.root if voucher else "none"
    match report.standing:
        case Standing.GENUINE:
            return "GENUINE", f"issued by AWS Nitro hardware, judged at its own time (root {root})"
        case Standing.SIMULATED:
            return "SIMULATED", "issued by a simulated instance of this user, not by AWS hardware"
        case Standing.OTHER_ROOT:
            return "GENUINE UNDER A GIVEN ROOT", f"issued under {root}, which is no root of AWS"
        case Standing.REFUSED:
            return _refused(report, voucher.refusal if voucher else None)
        case Standing.DAMAGED:
            word = "NOT A DOCUMENT" if report.content.module_id is None else "DAMAGED"
            return word, str(report.problem)


def caveats(report: Report) -> list[str]:
    """Return what a reader must know before reading on, the gravest first."""
    found: list[str] = []
    if report.debug:
        zero = _enumerate(f"PCR{index}" for index in report.zero_launch_registers)
        verb = "is" if len(report.zero_launch_registers) == 1 else "are"
        found.append(
            f"DEBUG MODE: {zero} {verb} zero. The document does not say which program runs, and "
            "the parent instance can read its console."
        )
    if report.standing in (Standing.REFUSED, Standing.DAMAGED):
        found.append(_UNVOUCHED)
    if _is_foreign(report):
        found.append(f"Identity: the leaf is {report.chain[-1].common_name!r}, not this module.")
    if report.hint:
        found.append(f"Hint: {report.hint}.")
    elif headline(report)[0] == _UNKNOWN_ROOT:
        found.append(
            "Hint: --instance NAME asks the root of another simulated instance, --root FILE any."
        )
    found.extend(f"Damage: {note}." for note in report.content.notes)
    return found


def summary(report: Report) -> list[tuple[str, str]]:
    """Return who, when, how old and how big, as label and value."""
    content = report.content
    rows: list[tuple[str, str]] = []
    if content.module_id is not None:
        region = f" in {report.region}" if report.region else ""
        kind = _KINDS.get(content.document_type or "", "a module")
        preposition = "of" if content.document_type == "nitrotpm" else "on"
        rows.append(("who", f"{kind} {preposition} instance {report.instance_id}{region}"))
        rows.append(("module", content.module_id))
    if report.issued is not None and report.age is not None:
        rows.append(("when", stamp(report.issued)))
        rows.append(("how old", relative(report.age)))
    elif content.timestamp_ms is not None:
        rows.append(("when", f"{content.timestamp_ms} ms, which is no time"))
    if report.launched is not None:
        before = ""
        if report.issued is not None:
            word = "after" if report.launched > report.issued else "before"
            before = f", {span(report.issued - report.launched)} {word} the document"
        rows.append(("launched", f"{stamp(report.launched)}{before}"))
    voucher = report.voucher
    if voucher is not None and voucher.genuine:
        refusal = voucher.live_refusal
        fresh = "yes" if refusal is None else f"no, {refusal.code}"
        rows.append(("fresh now", fresh))
    rows.append(("size", _size(report)))
    rows.append(("SHA-256", f"{report.sha256.hex()} (of the file)"))
    return rows


def verdict_word(verdict: Verdict) -> str:
    """Return what one root says, in capitals."""
    if verdict.ok:
        return "GENUINE"
    last = verdict.steps[-1]
    odd = "GENUINE BUT ODD, " if verdict.genuine else ""
    return f"{odd}REFUSED at step {last.number}: {last.name}"


def verdict_details(verdict: Verdict) -> str:
    """Return why one root refuses, or what a live verifier would do with a genuine document."""
    return str(verdict.refusal) if verdict.refusal is not None else _live(verdict)


def spoken_verdicts(report: Report) -> list[tuple[str, Verdict]]:
    """Return the verdicts with a name for each root, or one if all roots say the same."""
    said = {str(verdict.refusal) for verdict in report.verdicts}
    if report.problem is not None and len(said) == 1 < len(report.verdicts):
        return [("each root", report.verdicts[0])]
    return [(verdict.root, verdict) for verdict in report.verdicts]


def field_words(field: Field, report: Report) -> str:
    """Return size and kind of an optional field, or that there is none."""
    if field.value is None:
        return "none" if report.problem is None else "none, or not readable"
    looks = f", {field.looks_like}" if field.looks_like else ""
    return f"{len(field.value)} bytes{looks}"


def register_words(register: Register, report: Report) -> str:
    """Return what there is to say about a register's value; may be empty."""
    if len(register.value) != PCR_BYTES:
        return f"{len(register.value)} bytes, not {PCR_BYTES}"
    if register.zero:
        if report.debug and register.index == 8:
            return "zero: debug mode, or the image is not signed"
        return f"zero: {register.zero_means}" if register.zero_means else "zero"
    return ""


def grouped(registers: Iterable[Register]) -> str:
    """Return indices as ranges: ``5-7, 9-15``."""
    ranges: list[list[int]] = []
    for register in registers:
        if ranges and register.index == ranges[-1][1] + 1:
            ranges[-1][1] = register.index
        else:
            ranges.append([register.index, register.index])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def unnamed_zero(report: Report) -> list[Register]:
    """Return the registers of which nothing can be said but that they are zero."""
    return [r for r in report.registers if r.zero and not r.zero_means and not r.name]


def life(link: Link, report: Report) -> str:
    """Return what was left of a certificate's life when the document was issued, and now."""
    assert link.ends is not None
    assert link.begins is not None
    parts = []
    if report.issued is not None:
        parts.append(f"at issue: {_left(link.begins, link.ends, report.issued)}")
    parts.append(f"now: {_left(link.begins, link.ends, report.now)}")
    return "; ".join(parts)


def _left(begins: datetime, ends: datetime, at: datetime) -> str:
    return f"begins in {span(begins - at)}" if at < begins else remaining(ends - at)


def _live(verdict: Verdict) -> str:
    if verdict.live_refusal is None:
        return "a live verifier would take it, too"
    return f"a live verifier would refuse it: {verdict.live_refusal}"


def _refused(report: Report, refusal: AttestationError | None) -> tuple[str, str]:
    if refusal is not None and refusal.code == "UNTRUSTED_ROOT":
        roots = _enumerate(verdict.root for verdict in report.verdicts)
        name = report.chain[0].common_name
        return (
            _UNKNOWN_ROOT,
            f"nobody known here vouches for it: its root, {name!r}, is not that of {roots}",
        )
    return "NOT GENUINE", str(refusal)


def _is_foreign(report: Report) -> bool:
    """Tell whether the leaf that vouches for a genuine document bears another module's name."""
    voucher = report.voucher
    return voucher is not None and voucher.genuine and report.region is None


def _size(report: Report) -> str:
    content = report.content
    parts = [f"{report.size} bytes"]
    if content.payload_size is not None:
        kind = "indefinite" if content.indefinite_map else "definite"
        parts.append(f"payload {content.payload_size} in a map of {kind} length")
        parts.append("tag 18" if content.tagged else "no tag")
    return ", ".join(parts)


def _enumerate(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
