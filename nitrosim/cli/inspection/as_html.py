"""A report as one page: HTML and CSS in one file, no script, nothing loaded from anywhere.

Whatever the document says is shown as text. It goes through `_text`, which escapes what a
terminal or a bidirectional algorithm would act on and then what HTML would, and there is no
other way into the page. Behind that stands the page's own Content-Security-Policy, under
which a browser runs no script and loads nothing even if something got through.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from nitrosim.cli.documents import iso, printable
from nitrosim.cli.inspection import words
from nitrosim.cli.inspection.report import Standing
from nitrosim.cli.inspection.style import STYLE
from nitrosim.cli.inspection.times import stamp
from nitrosim.cli.inspection.values import shown_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from nitrosim.cli.inspection.report import Field, Link, Register, Report, Verdict

POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
"""What the page allows its browser: its own style, and an icon of zero bytes."""

_FOLDED_BYTES: Final = 512
_BREAK_EVERY: Final = 8
_TONES: Final = {
    Standing.GENUINE: "good",
    Standing.SIMULATED: "odd",
    Standing.OTHER_ROOT: "odd",
    Standing.REFUSED: "bad",
    Standing.DAMAGED: "bad",
}


def render_html(report: Report) -> str:
    """Return the report as a complete page."""
    name = _text(report.name)
    sections = (_banner(report), _summary(report), _registers(report), _fields(report))
    body = "\n".join((*sections, _chain(report), _verdicts(report)))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{_text(words.headline(report)[0])}: attestation document {name}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>Attestation document <bdi>{name}</bdi></h1>
{body}
</main>
<footer>Looked at with nitrosim inspect on {_time(report.now)}.</footer>
</body>
</html>
"""


def _text(text: str) -> str:
    """Escape for a terminal and a reader's eyes, then for HTML, in and outside of attributes."""
    return html.escape(printable(text), quote=True)


def _banner(report: Report) -> str:
    word, sentence = words.headline(report)
    tone = "odd" if word.endswith("ODD") else _TONES[report.standing]
    parts = [_alert(tone, word, sentence)]
    quiet: list[str] = []
    for caveat in words.caveats(report):
        shout, colon, rest = caveat.partition(": ")
        if colon and shout.isupper():
            parts.append(_alert("bad", shout, rest))
        else:
            quiet.append(f"<p>{_text(caveat)}</p>")
    if quiet:
        parts.append(f'<div class="banner odd">{_lines(quiet)}</div>')
    return _lines(parts)


def _alert(tone: str, word: str, sentence: str) -> str:
    return (
        f'<div class="banner {tone}"><strong>{_text(word)}</strong><p>{_text(sentence)}</p></div>'
    )


def _summary(report: Report) -> str:
    rows = words.summary(report)
    unknown = report.content.unknown_fields
    if unknown:
        rows.append(("unknown fields", ", ".join(unknown)))
    items = "\n".join(
        f"<dt>{_text(label)}</dt><dd>{_summary_value(label, value, report)}</dd>"
        for label, value in rows
    )
    return f'<section>\n<h2>Who and when</h2>\n<dl id="summary">\n{items}\n</dl>\n</section>'


def _summary_value(label: str, value: str, report: Report) -> str:
    if label == "when" and report.issued is not None:
        return _time(report.issued)
    if label in ("module", "SHA-256"):
        return f"<code>{_text(value)}</code>"
    return f"<bdi>{_text(value)}</bdi>"


def _registers(report: Report) -> str:
    if not report.registers:
        return ""
    plain = words.unnamed_zero(report)
    rows = [_register(r, report) for r in report.registers if r not in plain]
    if plain:
        rows.append(
            f'<tr><th scope="row">PCR{words.grouped(plain)}</th><td class="soft">zero</td></tr>'
        )
    return (
        f"<section>\n<h2>{len(report.registers)} PCRs</h2>\n"
        '<table id="pcrs">\n<thead><tr><th scope="col">Register</th><th scope="col">Value</th></tr>'
        f"</thead>\n<tbody>\n{_lines(rows)}\n</tbody>\n</table>\n</section>"
    )


def _register(register: Register, report: Report) -> str:
    name = f"<span>{_text(register.name)}</span>" if register.name else ""
    said = _text(words.register_words(register, report))
    if register.index in report.zero_launch_registers:
        said = f'<span class="says-bad">{said}</span>'
    elif said:
        said = f'<span class="soft">{said}</span>'
    value = "" if register.zero else f"<code>{_hex(register.value)}</code> "
    return f'<tr><th scope="row">PCR{register.index}{name}</th><td>{value}{said}</td></tr>'


def _fields(report: Report) -> str:
    parts = [_field(field, report) for field in report.fields]
    return f'<section id="fields">\n<h2>Put in by the program</h2>\n{_lines(parts)}\n</section>'


def _field(field: Field, report: Report) -> str:
    said = _text(words.field_words(field, report))
    parts = [f'<h3>{_text(field.name)}</h3>\n<p class="soft">{said}</p>']
    if field.text is not None:
        lines = "\n".join(_text(line) for line in shown_lines(field.text))
        parts.append(
            f'<pre role="group" tabindex="0" aria-label="{field.name} as text">{lines}</pre>'
        )
    if field.value:
        label = f"{field.name} in hexadecimal"
        digits = f'<pre role="group" tabindex="0" aria-label="{label}">{_hex(field.value)}'
        if len(field.value) > _FOLDED_BYTES:
            parts.append(
                f'<details class="value"><summary>in hexadecimal</summary>{digits}</pre></details>'
            )
        else:
            parts.append(f"{digits}</pre>")
    return _lines(parts)


def _chain(report: Report) -> str:
    if not report.chain:
        return ""
    tree = ""
    for link in reversed(report.chain):
        tree = f'<ol class="tree">\n<li><div>{_link(link, report)}</div>\n{tree}</li>\n</ol>\n'
    title = f"Chain of {len(report.chain)} certificates, root first"
    return f'<section id="chain">\n<h2>{title}</h2>\n{tree}</section>'


def _link(link: Link, report: Report) -> str:
    place = f'<span class="soft">{_text(link.place)}</span>'
    digest = f'<p class="soft">SHA-256 <code>{_hex(link.sha256)}</code></p>'
    if link.begins is None or link.ends is None:
        problem = f"cannot be read: {link.problem} ({link.size} bytes)"
        return f'{place} <span class="says-bad">{_text(problem)}</span>{digest}'
    return (
        f"{place} <code>{_text(link.common_name)}</code>"
        f'<p class="soft">{_time(link.begins)} to {_time(link.ends)}</p>'
        f"<p>{_text(words.life(link, report))}</p>" + (digest if link is report.chain[0] else "")
    )


def _verdicts(report: Report) -> str:
    rows = [_verdict(name, verdict) for name, verdict in words.spoken_verdicts(report)]
    note = (
        f'\n<p class="soft">{_text(words.NOT_JUDGED)}</p>'
        if any(verdict.genuine for verdict in report.verdicts)
        else ""
    )
    return (
        '<section>\n<h2>What each root says</h2>\n<table id="verdicts">\n<thead><tr>'
        '<th scope="col">Root</th><th scope="col">At the document\'s own time, and now</th></tr>'
        f"</thead>\n<tbody>\n{_lines(rows)}\n</tbody>\n</table>{note}\n</section>"
    )


def _verdict(name: str, verdict: Verdict) -> str:
    tone = "good" if verdict.ok else "odd" if verdict.genuine else "bad"
    steps = "\n".join(
        f'<li value="{step.number}"><b>{_text(step.outcome)}</b> {_text(step.name)}'
        + (f'<span class="soft">: {_text(step.detail)}</span>' if step.detail else "")
        + "</li>"
        for step in verdict.steps
    )
    return (
        f'<tr><th scope="row"><bdi>{_text(name)}</bdi></th>'
        f'<td><p class="says-{tone}">{_text(words.verdict_word(verdict))}</p>'
        f"<p>{_text(words.verdict_details(verdict))}</p>"
        f'<details class="steps"><summary>{len(verdict.steps)} steps</summary>'
        f'<ol class="steps">\n{steps}\n</ol></details></td></tr>'
    )


def _time(moment: datetime) -> str:
    return f'<time datetime="{iso(moment)}">{stamp(moment)}</time>'


def _hex(value: bytes) -> str:
    """Return hexadecimal digits that a browser may break into even lines, and copies as one."""
    digits = value.hex()
    return "<wbr>".join(
        digits[at : at + _BREAK_EVERY] for at in range(0, len(digits), _BREAK_EVERY)
    )


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(parts)
