"""The report as a page: what is in it, and that nothing of the document gets out of its text."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise

import cbor2
import pytest

from forgery.forge import Forge
from nitrosim.cli.inspection.as_html import render_html
from nitrosim.cli.inspection.build import build_report
from nitrosim.cli.inspection.style import STYLE

FORGE = Forge("inspect html", nonce=b"a fresh nonce")
VOID = {"meta", "link", "wbr"}
ALLOWED = VOID | {
    "html",
    "head",
    "title",
    "style",
    "body",
    "main",
    "footer",
    "h1",
    "h2",
    "h3",
    "p",
    "strong",
    "section",
    "div",
    "bdi",
    "code",
    "pre",
    "span",
    "dl",
    "dt",
    "dd",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "ol",
    "li",
    "details",
    "summary",
    "time",
    "b",
}
ATTRIBUTES = {
    "lang",
    "charset",
    "http-equiv",
    "content",
    "name",
    "rel",
    "href",
    "class",
    "id",
    "scope",
    "value",
    "datetime",
    "tabindex",
    "aria-label",
    "role",
}
HOSTILE = (
    "</code></td></table></section><script>alert(1)</script><img src=x onerror=alert(1)>"
    "<svg onload=alert(1)>\"'><a href=javascript:alert(1)>&lt;&#60;&amp;<!-- --></style></title>"
    "]]><?x?>\x00\x1b[2J\u202e\u2066\ufeff"
)
HOSTILE_JSON = b'{"</pre><script>alert(1)</script>": ["<img src=x onerror=alert(1)>"]}'


class Page(HTMLParser):
    """Reads a page, checks that it is well-formed, and keeps its text by where it stands."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.ids, self.links = [], set(), set(), [], []
        self.text: dict[str, str] = {}
        self.feed(text)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_comment(self, data):
        pytest.fail(f"a comment: {data}")

    def handle_data(self, data):
        path = " ".join(self.open[2:])
        self.text[path] = self.text.get(path, "") + data


def page_of(document, *, name="document.cbor", roots=None, now=FORGE.now):
    report = build_report(document, name=name, roots=roots or {"ca": FORGE.root}, now=now)
    return render_html(report)


def visible(text):
    return " ".join(re.sub(r"<wbr>", "", "".join(Page(text).text.values())).split())


def test_page_says_who_when_and_how_old():
    text = page_of(FORGE.document(), now=FORGE.now + timedelta(seconds=90))
    summary = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    summary = {label: re.sub("<.*?>", "", value) for label, value in summary.items()}

    assert f"an enclave on instance {FORGE.instance} in eu-central-1" == summary["who"]
    assert FORGE.module == summary["module"]
    assert "2026-06-01 12:00:00 UTC" == summary["when"]
    assert "1 min 30 s ago" == summary["how old"]
    assert "yes" == summary["fresh now"]
    assert '<time datetime="2026-06-01T12:00:00.000Z">' in text


def test_page_names_every_register():
    rows = re.findall(r'<th scope="row">(PCR.*?)</th><td>(.*?)</td>', page_of(FORGE.document()))
    shown = {re.sub("<.*?>", " ", head).strip(): re.sub("<.*?>", "", v).strip() for head, v in rows}

    pcrs = FORGE.pcrs()
    assert {
        "PCR0 image": pcrs[0].hex(),
        "PCR1 kernel and boot": pcrs[1].hex(),
        "PCR2 application": pcrs[2].hex(),
        "PCR3 IAM role": pcrs[3].hex(),
        "PCR4 instance id": pcrs[4].hex(),
        "PCR8 signer": pcrs[8].hex(),
    } == shown
    assert "PCR5-7, 9-15 zero" in re.sub("<.*?>", " ", page_of(FORGE.document())).replace("  ", " ")


def test_page_shouts_debug_mode():
    zero = dict.fromkeys((0, 1, 2), bytes(48))
    text = page_of(FORGE.document(pcrs=FORGE.pcrs() | zero))

    assert '<div class="banner bad"><strong>DEBUG MODE</strong>' in text
    assert '<span class="says-bad">zero: debug mode, the image is not measured</span>' in text


def test_chain_is_a_nested_list():
    text = page_of(FORGE.document())

    assert 5 == text.count('<ol class="tree">')
    names = re.findall(r'<span class="soft">(\w+)</span> <code>(.*?)</code>', text)
    expected = [(level, plan.subject) for level, plan in FORGE.levels.items()]
    assert expected == names


def test_every_root_has_its_verdict_and_its_steps():
    roots = {"mine": FORGE.root, "other": bytes(32)}
    text = page_of(FORGE.document(), roots=roots)

    assert ["28", "14"] == re.findall(r"<summary>(\d+) steps</summary>", text)
    assert '<p class="says-good">GENUINE</p>' in text
    assert '<p class="says-bad">REFUSED at step 14: ' in text


def test_fields_are_shown_as_text_and_in_hexadecimal():
    text = page_of(FORGE.document(user_data=b'{"a": [1]}', public_key=bytes(600)))

    assert "{\n  &quot;a&quot;: [\n    1\n  ]\n}</pre>" in text
    assert f"{FORGE.nonce.hex()[:8]}<wbr>{FORGE.nonce.hex()[8:16]}<wbr>" in text
    # What is very long is folded.
    assert '<details class="value"><summary>in hexadecimal</summary>' in text


@pytest.mark.parametrize(
    "document",
    [FORGE.document(), FORGE.document()[:2000], FORGE.document(certificate=b"junk"), b"", b"hello"],
    ids=["sound", "cut", "bad leaf", "empty", "text"],
)
def test_page_is_well_formed_and_needs_nothing_from_elsewhere(document):
    text = page_of(document)
    page = Page(text)

    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert text.index("<meta charset=") < text.index("<title>") < 1024
    assert set() == page.tags - ALLOWED
    assert set() == page.attributes - ATTRIBUTES
    assert ["data:,"] == page.links
    assert sorted(set(page.ids)) == sorted(page.ids)
    assert "default-src 'none'; style-src 'unsafe-inline'" in text
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert "<" not in STYLE


def test_page_has_headings_in_order_and_headers_for_every_table():
    text = page_of(FORGE.document())
    levels = [int(level) for level in re.findall(r"<h(\d)", text)]

    assert 1 == levels[0]
    assert 1 == levels.count(1)
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert text.count("<table") * 2 == text.count('<th scope="col"')
    assert "<th>" not in text


def hostile_documents():
    yield "module_id", Forge("h").document(module_id=f"i-{HOSTILE}-enc0123456789abcdef")
    for field in ("user_data", "nonce", "public_key"):
        yield field, Forge("h").document(**{field: HOSTILE.encode()})
        yield f"{field}, long", Forge("h").document(**{field: (HOSTILE * 90).encode()[:11000]})
    yield "JSON", Forge("h").document(user_data=HOSTILE_JSON)
    yield "field name", Forge("h").document(**{HOSTILE: 1})
    yield "digest", Forge("h").document(digest=HOSTILE)
    for level in ("root", "regional", "instance", "leaf"):
        yield f"name of the {level}", Forge("h").change(level, subject=HOSTILE).document()
    entries = {"module_id": HOSTILE, "nonce": HOSTILE.encode(), HOSTILE: {HOSTILE: HOSTILE}}
    yield "everything, damaged", cbor2.dumps([b"", {}, cbor2.dumps(entries), HOSTILE.encode()])


@pytest.mark.parametrize(
    ("place", "document"), list(hostile_documents()), ids=lambda v: str(v)[:24]
)
def test_nothing_of_a_document_becomes_part_of_the_page(place, document):
    text = page_of(document, name=HOSTILE, roots={HOSTILE: FORGE.root})
    page = Page(text)

    assert place
    assert set() == page.tags - ALLOWED
    assert set() == page.attributes - ATTRIBUTES
    assert ["data:,"] == page.links
    assert text.replace("\n", "").isprintable()


def test_hostile_text_is_shown_as_it_is():
    text = visible(page_of(FORGE.document(user_data=b"<b>&amp;</b> \x1b[0m")))

    assert "<b>&amp;</b> \\x1b[0m" in text


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def schemes():
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block)) for block in blocks]
    return [
        {k: v if len(v) == 7 else "#" + "".join(c * 2 for c in v[1:]) for k, v in scheme.items()}
        for scheme in found
    ]


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark", "print"])
def test_every_text_has_contrast(scheme):
    pairs = [
        (t, g) for t in ("text", "soft", "good", "bad", "odd") for g in ("card", "page", "code")
    ]
    pairs += [(tone, f"{tone}-tint") for tone in ("good", "bad", "odd")]
    pairs += [("text", f"{tone}-tint") for tone in ("good", "bad", "odd")]

    for foreground, background in pairs:
        a, b = sorted((luminance(scheme[foreground]), luminance(scheme[background])))
        # WCAG 2.2, success criterion 1.4.3, level AA.
        assert 4.5 <= (b + 0.05) / (a + 0.05), (foreground, background)
