"""A report for the terminal.

The document's own words must neither steer the terminal nor pass for ours. So everything
unprintable is escaped, and every line of ours that holds such words is broken here, with its
continuation indented: left to the terminal, a long line would go on in the first column, where
the verdicts stand.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from nitrosim.cli.documents import printable
from nitrosim.cli.inspection import words
from nitrosim.cli.inspection.report import PCR_BYTES
from nitrosim.cli.inspection.times import stamp
from nitrosim.cli.inspection.values import shown_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nitrosim.attestation import StepReport
    from nitrosim.cli.inspection.report import Field, Report

DEFAULT_WIDTH: Final = 100
_NARROWEST: Final = 40
_LABEL: Final = 12
_NAME: Final = 18
_HEX_BYTES: Final = 32
_MOST_BYTES: Final = 12 * _HEX_BYTES
_MOST_CHARACTERS: Final = 1200
_MOST_LINES: Final = 40

_BOXES: Final = ("└─ ", "│", "┆ ")
_ASCII: Final = ("`- ", "|", "| ")


def render_text(
    report: Report, *, width: int = DEFAULT_WIDTH, encoding: str = "utf-8", steps: bool = False
) -> str:
    """Return the report as lines for a terminal.

    Args:
        report: what to show.
        width: columns of the terminal; lines with words of the document are broken there.
        encoding: of the terminal; boxes are drawn if it has them, other characters that it
            lacks are escaped.
        steps: whether to list all steps of each verdict.

    """
    page = _Page(max(width, _NARROWEST), boxes=_encodes("".join(_BOXES), encoding))
    page.heading(report)
    page.registers(report)
    page.fields(report)
    page.chain(report)
    page.verdicts(report, steps=steps)
    text = "\n".join(page.lines) + "\n"
    return text.encode(encoding, "backslashreplace").decode(encoding)


class _Page:
    """Collects lines, broken and indented."""

    def __init__(self, width: int, *, boxes: bool) -> None:
        self.lines: list[str] = []
        self._width = width
        self._branch, self._trunk, self._gutter = _BOXES if boxes else _ASCII

    def heading(self, report: Report) -> None:
        word, sentence = words.headline(report)
        self._put("", f"{word}: {sentence}", hanging="  ")
        for caveat in words.caveats(report):
            self._put("", caveat, hanging="  ")
        self.lines.append("")
        for label, value in words.summary(report):
            self._put(f"{label:<{_LABEL}}", value)
        unknown = report.content.unknown_fields
        if unknown:
            self._put(f"{'unknown':<{_LABEL}}", f"fields {', '.join(unknown)}")

    def registers(self, report: Report) -> None:
        if not report.registers:
            return
        self.lines += ["", f"PCRs        {len(report.registers)}"]
        plain = words.unnamed_zero(report)
        for register in report.registers:
            if register in plain:
                continue
            said = words.register_words(register, report)
            if register.zero and register.index in report.zero_launch_registers:
                said = said.upper()
            # Digits cannot pass for words, and stay in one piece to be copied.
            value = "" if register.zero else _digits(register.value)
            shown = "  ".join(part for part in (value, said) if part)
            self.lines.append(f"  PCR{register.index:<3} {register.name:<{_NAME}} {shown}")
        if plain:
            self.lines.append(f"  {'zero':<{_NAME + 7}} {words.grouped(plain)}")

    def fields(self, report: Report) -> None:
        self.lines.append("")
        for field in report.fields:
            self._put(f"{field.name:<{_LABEL}}", words.field_words(field, report))
            if field.value is not None:
                self._value(field, field.value)

    def _value(self, field: Field, value: bytes) -> None:
        if field.text is not None:
            self._cut(shown_lines(field.text), f"{len(field.text)} characters")
        shown = value[:_MOST_BYTES]
        for at in range(0, len(shown), _HEX_BYTES):
            self.lines.append(f"{'':<{_LABEL}}{shown[at : at + _HEX_BYTES].hex()}")
        rest = len(value) - len(shown)
        if rest:
            self.lines.append(f"{'':<{_LABEL}}and {rest} more bytes, which --json shows")

    def _cut(self, lines: list[str], whole: str) -> None:
        """Show text behind a gutter, so much of it as people read."""
        gutter = f"{'':<{_LABEL}}{self._gutter}"
        left = _MOST_CHARACTERS
        for count, line in enumerate(lines):
            if left <= 0 or count >= _MOST_LINES:
                self.lines.append(f"{'':<{_LABEL}}... {whole} in all, which --json shows")
                return
            self._put(gutter, line[:left], hanging=gutter)
            left -= len(line)
        if left < 0:
            self.lines.append(f"{'':<{_LABEL}}... {whole} in all, which --json shows")

    def chain(self, report: Report) -> None:
        if not report.chain:
            return
        self.lines += ["", f"chain       {len(report.chain)} certificates, root first"]
        last = len(report.chain) - 1
        for depth, link in enumerate(report.chain):
            indent = "  " + "   " * max(depth - 1, 0)
            head = indent + (self._branch if depth else "")
            below = "  " + "   " * depth + (self._trunk if depth < last else " ") + "  "
            if link.problem is not None:
                self._put(head, f"{link.place}: NOT READABLE, {link.problem}", hanging=below)
                self._put(below, f"{link.size} bytes, SHA-256 {link.sha256.hex()}")
                continue
            self._put(head, f"{link.place}: {link.common_name}", hanging=below)
            assert link.begins is not None
            assert link.ends is not None
            self._put(below, f"{stamp(link.begins)} to {stamp(link.ends)}")
            self._put(below, words.life(link, report))
            if depth == 0:
                self.lines.append(f"{below}SHA-256 {link.sha256.hex()}")

    def verdicts(self, report: Report, *, steps: bool) -> None:
        self.lines += ["", "roots       each asked at the document's own time, and now"]
        spoken = words.spoken_verdicts(report)
        wide = max((len(printable(name)) for name, _ in spoken), default=0)
        name_width = min(wide, self._width // 2)
        for name, verdict in spoken:
            label = f"  {printable(name):<{name_width}}  "
            self._put(label, words.verdict_word(verdict), hanging="    ")
            self._put("    ", words.verdict_details(verdict))
            if steps:
                for line in _step_lines(verdict.steps):
                    self._put("    ", line, hanging=" " * 16)
        if any(verdict.genuine for verdict in report.verdicts):
            self._put("  ", words.NOT_JUDGED)

    def _put(self, head: str, text: str, *, hanging: str | None = None) -> None:
        """Add `head` and the escaped text, broken to the width, continued behind `hanging`."""
        lead = printable(head)
        follow = " " * len(lead) if hanging is None else hanging
        for piece in _broken(printable(text), self._width - max(_columns(lead), len(follow))):
            self.lines.append(f"{lead}{piece}".rstrip())
            lead = follow


def _digits(value: bytes) -> str:
    more = "..." if len(value) > PCR_BYTES else ""
    return f"{value[:PCR_BYTES].hex()}{more}"


def _step_lines(steps: Iterable[StepReport]) -> Iterator[str]:
    for step in steps:
        detail = f": {step.detail}" if step.detail else ""
        yield f"{step.number:>2} {step.outcome:<7} {step.name}{detail}"


def _broken(text: str, width: int) -> Iterator[str]:
    """Break printable text into pieces of at most `width` columns, at spaces where there are."""
    room = max(width, _NARROWEST // 2)
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[:_MOST_CHARACTERS]}... ({len(text)} characters)"
    while _columns(text) > room:
        end, columns = 0, 0
        while columns + _columns(text[end]) <= room:
            columns += _columns(text[end])
            end += 1
        space = text.rfind(" ", 1, end + 1)
        if space > end // 2:
            end = space
        yield text[:end].rstrip()
        text = text[end:].lstrip(" ")
    yield text


def _columns(text: str) -> int:
    """Return how many columns a terminal needs at most: East Asian characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WFA" else 1 for c in text)


def _encodes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
