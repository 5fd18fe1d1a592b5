"""The page of `nitrosim inspect --html`, looked at in a real browser: Chromium without a window.

The page comes from a server on the loopback interface that writes down what is asked of it, so
that everything the page makes the browser load is seen. All other names are unknown to
this browser, and every start has a profile of its own.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import re
import struct
import subprocess
import sys
import threading
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from forgery.forge import Forge
from thoroughness import part

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FORGE = Forge("inspect browser")
OPTIONS = (
    "--headless",
    # Chromium's own sandbox needs rights that root in a container does not have.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
ATTACK = (
    "<img src=x onerror=document.title='owned'>"
    "<script>document.title='owned'</script>"
    "<svg/onload=document.title='owned'><link rel=stylesheet href=/loaded.css>"
    "<iframe src=/frame></iframe><meta http-equiv=refresh content='0;url=/moved'>"
)
INJECTED = (
    "<script>document.title='owned'</script>"
    "<img src=/loaded.png onerror=\"document.title='owned'\">"
    "<link rel=stylesheet href=/loaded.css><iframe src=/frame></iframe>"
)

ACTIVE = frozenset({"script", "img", "svg", "iframe", "object", "embed", "form", "base"})

pytestmark = pytest.mark.needs("chromium")


class Dom(HTMLParser):
    """What the browser made of the page: its elements, and the text of some of them."""

    VOID = frozenset({"meta", "link", "wbr", "img", "br", "input"})

    def __init__(self, text):
        super().__init__()
        self.elements: list[str] = []
        self.title, self.all, self.rows, self.items = "", "", [], []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002 - the parser's interface
        self.elements.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
        if tag in ("dt", "dd"):
            self.items.append("")
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self._open.pop()

    def handle_data(self, data):
        if "title" in self._open:
            self.title += data
        if "body" in self._open:
            self.all += data
        if "dl" in self._open and self._open[-1] != "dl":
            self.items[-1] += data
        if self._open[-1:] and ("th" in self._open or "td" in self._open):
            self.rows[-1][-1] += data

    @property
    def summary(self):
        return dict(zip(self.items[::2], self.items[1::2], strict=True))


@contextlib.contextmanager
def served(page, /, **more):
    """Serve a page at / and `more` by name; yield the address and the paths asked for."""
    pages = {"/": page} | {f"/{name}": content for name, content in more.items()}
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = pages.get(self.path, b"")
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args):
            """Say nothing: what was asked is in the list."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def inspect(tmp_path):
    """Return a function that makes the page of a document with the command line."""

    def inspect(document, *words):
        (tmp_path / "document.cbor").write_bytes(document)
        (tmp_path / "ca.der").write_bytes(FORGE.root)
        command = (sys.executable, "-m", "nitrosim.cli.main", "inspect", "document.cbor")
        subprocess.run(
            (*command, "--root", "ca.der", "--html", "page.html", *words),
            cwd=tmp_path,
            env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
            stderr=subprocess.PIPE,
            # 1 stands for a document that is none, whose page is wanted all the same.
            check=False,
        )
        return (tmp_path / "page.html").read_bytes()

    return inspect


@pytest.fixture
def chromium(tmp_path_factory):
    """Return a function that runs the browser once and returns what it prints."""

    def chromium(*words):
        profile = tmp_path_factory.mktemp("profile")
        done = subprocess.run(
            ("chromium", *OPTIONS, f"--user-data-dir={profile}", *words),
            env={"HOME": str(profile), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
        return done.stdout

    return chromium


def pixels(png):
    """Return the size of a PNG with 8 bits per channel, its first pixel, and its different rows.

    The first pixel is as it stands under each of the filters that a row can have.
    """
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert (8, True) == (depth, colour in (2, 6))
    data, at = b"", 8
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    rows = zlib.decompress(data)
    stride = 1 + width * (4 if colour == 6 else 3)
    different = {rows[at : at + stride] for at in range(0, len(rows), stride)}
    return (width, height), tuple(rows[1:4]), different


def test_browser_shows_who_when_and_every_register(inspect, chromium):
    with served(inspect(FORGE.document())) as (address, _):
        dom = Dom(chromium("--dump-dom", address))

    assert "GENUINE UNDER A GIVEN ROOT: attestation document document.cbor" == dom.title
    assert FORGE.module == dom.summary["module"]
    assert "2026-06-01 12:00:00 UTC" == dom.summary["when"]
    shown = {row[0]: row[1].strip() for row in dom.rows if len(row) == 2}
    pcrs = FORGE.pcrs()
    assert pcrs[0].hex() == shown["PCR0image"]
    assert pcrs[1].hex() == shown["PCR1kernel and boot"]
    assert pcrs[2].hex() == shown["PCR2application"]
    assert pcrs[3].hex() == shown["PCR3IAM role"]
    assert pcrs[4].hex() == shown["PCR4instance id"]
    assert pcrs[8].hex() == shown["PCR8signer"]
    assert "zero" == shown["PCR5-7, 9-15"]
    assert 5 == dom.all.count("at issue: ")


def test_browser_shows_debug_mode(inspect, chromium):
    document = FORGE.document(pcrs=FORGE.pcrs() | dict.fromkeys((0, 1, 2), bytes(48)))
    with served(inspect(document)) as (address, _):
        dom = Dom(chromium("--dump-dom", address))

    assert "DEBUG MODE" in dom.all
    assert ["PCR0image", "zero: debug mode, the image is not measured"] in dom.rows


@pytest.mark.parametrize("cut", [None, -1], ids=["sound", "damaged"])
def test_no_word_of_a_hostile_document_is_acted_upon(inspect, chromium, cut):
    fields = {name: ATTACK.encode() for name in ("user_data", "public_key", "nonce")}
    document = FORGE.document(module_id=f"i-{ATTACK}-enc0123", **fields, **{ATTACK: 1})[:cut]
    with served(inspect(document)) as (address, asked):
        dom = Dom(chromium("--dump-dom", address))

    assert ["/"] == asked
    assert "owned" not in dom.title
    assert [] == [name for name in dom.elements if name in ACTIVE]
    # Once as module and once as the name of a field, and as text of the three fields.
    assert 5 <= dom.all.count(ATTACK)


def test_certificate_names_are_not_acted_upon(inspect, chromium):
    forge = Forge("inspect browser, names")
    for level in ("regional", "leaf"):
        forge.change(level, subject=ATTACK)
    with served(inspect(forge.document())) as (address, asked):
        dom = Dom(chromium("--dump-dom", address))

    assert ["/"] == asked
    assert "owned" not in dom.title
    assert 2 <= dom.all.count(ATTACK)


def test_what_got_into_the_page_would_be_stopped_by_its_policy(inspect, chromium):
    page = inspect(FORGE.document()).replace(b"</main>", INJECTED.encode() + b"</main>")
    with served(page) as (address, asked):
        dom = Dom(chromium("--dump-dom", address))

    assert "script" in dom.elements
    assert "owned" not in dom.title
    assert ["/"] == asked


def test_these_tests_would_notice_an_attack(inspect, chromium):
    page = inspect(FORGE.document()).replace(b"</main>", INJECTED.encode() + b"</main>")
    page = re.sub(rb'<meta http-equiv="Content-Security-Policy"[^>]*>', b"", page)
    with served(page) as (address, asked):
        dom = Dom(chromium("--dump-dom", address))

    assert "owned" == dom.title
    assert {"/", "/loaded.css", "/frame"} <= set(asked)


@pytest.mark.parametrize(
    ("width", "scheme"),
    part([(500, "light"), (500, "dark"), (1200, "light"), (1200, "dark")], 3),
)
def test_page_can_be_seen(inspect, chromium, tmp_path, width, scheme):
    picture = tmp_path / "page.png"
    preference = {"light": 1, "dark": 0}[scheme]
    with served(inspect(FORGE.document())) as (address, asked):
        chromium(
            f"--screenshot={picture}",
            f"--window-size={width},900",
            f"--blink-settings=preferredColorScheme={preference}",
            address,
        )
    size, corner, rows = pixels(picture.read_bytes())

    assert (width, 900) == size
    assert {"light": (0xF6, 0xF7, 0xF9), "dark": (0x12, 0x15, 0x1A)}[scheme] == corner
    # A blank page has one kind of row; text makes nearly every row another one.
    assert 100 < len(rows)
    assert ["/"] == asked


@pytest.mark.parametrize("width", part([320, 360, 500], 2))
def test_page_is_no_wider_than_a_phone(inspect, chromium, width):
    # Chromium's own windows are at least 500 wide, so the phone is a frame in one.
    phone = (
        f"<iframe id=phone src=/page width={width} height=700 onload="
        '"document.title = phone.contentDocument.documentElement.scrollWidth"></iframe>'
    )
    page = inspect(FORGE.document(user_data=b"x" * 900, public_key=b"y" * 900))
    with served(phone.encode(), page=page) as (address, _):
        dom = Dom(chromium("--dump-dom", address))

    assert str(width) == dom.title


def test_page_can_be_printed(inspect, chromium, tmp_path):
    printed = tmp_path / "page.pdf"
    with served(inspect(FORGE.document())) as (address, _):
        chromium("--no-pdf-header-footer", f"--print-to-pdf={printed}", address)

    data = printed.read_bytes()
    assert data.startswith(b"%PDF-")
    # The page tree of a document with few pages is one node. How many depends on the fonts.
    (pages,) = re.findall(rb"/Type /Pages\s+/Count (\d+)", data)
    assert int(pages) in (2, 3, 4)
