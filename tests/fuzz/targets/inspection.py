"""What `nitrosim inspect` shows: a report for people, of bytes that anybody may have sent.

Whatever the bytes, there is a report, and each of its three forms: lines without characters that
would do something to a terminal, JSON of numbers that exist, and a page with the page's own
elements only, that loads nothing and runs nothing. It says that a root vouches for the document if
and only if the verifier does.
"""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from fuzzing import library
from nitrosim.attestation import (
    AttestationError,
    DocumentType,
    Historic,
    UnsafeSkipPcrs,
    Verifier,
)
from nitrosim.cli.inspection.as_html import render_html
from nitrosim.cli.inspection.as_json import report_json
from nitrosim.cli.inspection.as_text import render_text
from nitrosim.cli.inspection.build import build_report

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT = library.root_called("corpus")
_NOW = datetime(2026, 6, 1, 12, 1, tzinfo=UTC)
_LOADING = {"src", "href", "srcset", "action", "data", "poster", "formaction"}


def seeds() -> Sequence[bytes]:
    """Return every sixth document of the corpus: showing one takes longer than verifying it."""
    return library.documents()[::6]


def target(data: bytes) -> None:
    """Look at the bytes in all forms."""
    report = build_report(data, name="fuzz", roots={"corpus": _ROOT}, now=_NOW)
    # Narrow and without boxes, or wide and with them.
    width, encoding = ((20, "ascii"), (100, "utf-8"))[len(data) % 2]
    text = render_text(report, width=width, encoding=encoding, steps=True)
    assert all(line.isprintable() for line in text.split("\n"))
    assert text == text.encode(encoding).decode(encoding)
    shown = json.loads(json.dumps(report_json(report), allow_nan=False))
    assert shown["size"] == len(data)
    page = _Page()
    page.feed(render_html(report))
    page.close()
    assert page.tags <= _usual_tags()
    assert shown["verdicts"]["corpus"]["ok"] == any(_genuine(data, kind) for kind in DocumentType)


class _Page(HTMLParser):
    """Collects the elements of a page; fails for one that loads or runs something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert name not in _LOADING or (value or "").startswith("data:")
            assert not name.startswith("on")


@functools.cache
def _usual_tags() -> frozenset[str]:
    """Return the elements that pages of well-known documents have."""
    tags: set[str] = {"html"}
    for data in library.documents()[::40]:
        page = _Page()
        report = build_report(data, name="fuzz", roots={"corpus": _ROOT}, now=_NOW)
        page.feed(render_html(report))
        tags |= page.tags
    assert "script" not in tags
    return frozenset(tags)


def _genuine(data: bytes, kind: DocumentType) -> bool:
    try:
        Verifier([_ROOT]).verify(
            data, UnsafeSkipPcrs(), time=Historic(), document_type=kind, allow_debug=True
        )
    except AttestationError:
        return False
    return True
