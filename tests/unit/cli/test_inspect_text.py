"""The report on a terminal."""

from __future__ import annotations

import re
from datetime import timedelta

import cbor2
import pytest

from forgery.forge import Forge
from nitrosim.cli.inspection.as_text import render_text
from nitrosim.cli.inspection.build import build_report

FORGE = Forge("inspect text", nonce=b"a fresh nonce")
DEBUG = dict.fromkeys((0, 1, 2, 8), bytes(48))

GOLDEN = """\
GENUINE UNDER A GIVEN ROOT: issued under ca.pem, which is no root of AWS

who         an enclave on instance INSTANCE in eu-central-1
module      MODULE
when        2026-06-01 12:00:00 UTC
how old     1 min 30 s ago
launched    2026-06-01 11:00:00 UTC, 1 h before the document
fresh now   yes
size        4561 bytes, payload 4453 in a map of definite length, no tag
SHA-256     HEX (of the file)

PCRs        16
  PCR0   image              HEX
  PCR1   kernel and boot    HEX
  PCR2   application        HEX
  PCR3   IAM role           HEX
  PCR4   instance id        HEX
  PCR8   signer             HEX
  zero                      5-7, 9-15

public_key  none
user_data   9 bytes
            ┆ user data
            757365722064617461
nonce       13 bytes
            ┆ a fresh nonce
            61206672657368206e6f6e6365

chain       5 certificates, root first
  root: corpus.test.nitro-enclaves
  │  2019-10-28 13:28:05 UTC to 2049-10-28 14:28:05 UTC
  │  at issue: 23 y 149 d left; now: 23 y 149 d left
  │  SHA-256 HEX
  └─ regional: REGIONAL
     │  2026-05-27 12:00:00 UTC to 2026-06-16 13:00:00 UTC
     │  at issue: 15 d 1 h left; now: 15 d left
     └─ zonal: ZONAL
        │  2026-05-31 16:00:00 UTC to 2026-06-06 04:00:00 UTC
        │  at issue: 4 d 16 h left; now: 4 d 15 h left
        └─ instance: INSTANCE.eu-central-1.corpus.test.nitro-enclaves
           │  2026-06-01 00:00:00 UTC to 2026-06-02 00:00:00 UTC
           │  at issue: 12 h left; now: 11 h 58 min left
           └─ leaf: MODULE.eu-central-1.corpus.test
                 2026-06-01 11:59:57 UTC to 2026-06-01 15:00:00 UTC
                 at issue: 3 h left; now: 2 h 58 min left

roots       each asked at the document's own time, and now
  ca.pem  GENUINE
    a live verifier would take it, too
  A genuine document says who issued it and when. That these are the PCRs you want, and that nobody
  replays it, is another question: 'nitrosim verify' asks it.
"""


def show(document, *, width=100, encoding="utf-8", root=None, name="document.cbor"):
    roots = {"ca.pem": root or FORGE.root}
    now = FORGE.now + timedelta(seconds=90)
    report = build_report(document, name=name, roots=roots, now=now)
    return render_text(report, width=width, encoding=encoding)


def without_derived_values(text):
    """Put names in place of what comes out of the forge's derivation."""
    for value, name in (
        (FORGE.levels["regional"].subject, "REGIONAL"),
        (FORGE.levels["zonal"].subject, "ZONAL"),
        (FORGE.module, "MODULE"),
        (FORGE.instance, "INSTANCE"),
    ):
        text = text.replace(value, name)
    return re.sub(r"\b[0-9a-f]{64,96}\b", "HEX", text)


def test_whole_report():
    assert GOLDEN == without_derived_values(show(FORGE.document()))


def test_first_line_of_a_damaged_document_says_so():
    assert show(FORGE.document()[:-1]).startswith("DAMAGED: CBOR_MALFORMED: ")
    assert show(b"hello").startswith("NOT A DOCUMENT: CBOR_MALFORMED: ")


def test_debug_mode_is_shouted_at_once_and_at_the_registers():
    lines = show(FORGE.document(pcrs=FORGE.pcrs() | DEBUG)).splitlines()

    assert lines[1].startswith("DEBUG MODE: PCR0, PCR1 and PCR2 are zero.")
    assert "  PCR0   image              ZERO: DEBUG MODE, THE IMAGE IS NOT MEASURED" in lines
    assert "  PCR8   signer             zero: debug mode, or the image is not signed" in lines


def test_zero_registers_with_a_name_say_what_it_means():
    lines = show(FORGE.document(pcrs=FORGE.pcrs() | {3: bytes(48), 8: bytes(48)})).splitlines()

    assert "  PCR3   IAM role           zero: the parent instance has no IAM role" in lines
    assert "  PCR8   signer             zero: the image is not signed" in lines


def test_json_is_laid_out_behind_the_gutter():
    text = show(FORGE.document(user_data=b'{"channel": "tls", "key": [1]}'))

    assert (
        "            ┆ {\n"
        '            ┆   "channel": "tls",\n'
        '            ┆   "key": [\n'
        "            ┆     1\n"
        "            ┆   ]\n"
        "            ┆ }\n" in text
    )


def test_terminal_without_boxes_gets_ascii():
    text = show(FORGE.document(user_data="é✓".encode()), encoding="ascii")

    assert "  `- regional: " in text
    assert "            | \\xe9\\u2713\n" in text


def test_long_values_are_cut_with_their_size():
    text = show(FORGE.document(user_data=b"a" * 1000 + b"\n" * 24, nonce=bytes(1024)))

    assert "            and 640 more bytes, which --json shows\n" in text


def test_long_text_is_cut_with_its_size():
    many = show(FORGE.document(user_data=b"line\n" * 100))
    long = show(FORGE.document(user_data=b"long " * 2000))

    assert "            ... 500 characters in all, which --json shows\n" in many
    assert 40 == many.count("┆ line")
    assert "... 10000 characters in all, which --json shows\n" in long
    assert 20 > long.count("┆ ")


@pytest.mark.parametrize("width", [20, 60, 80, 100, 200])
def test_words_of_the_document_stay_within_the_width(width):
    text = show(FORGE.document(user_data=b"word " * 100), width=width)

    # Digits may be longer: they are to be copied, and cannot pass for words.
    wide = [s for s in text.splitlines() if len(s) > max(width, 60)]
    assert [] == [line for line in wide if not re.search(r"[0-9a-f]{32}", line)]


HOSTILE = (
    "\x1b[2J\x1b[H\nGENUINE: issued by AWS Nitro hardware\r\nGENUINE\x00\x07\x9b0m"
    "\u202eEDAM\u2066\u200f\u2028GENUINE\ufeff\x7f" + " " * 88 + "GENUINE: issued by AWS"
)


def hostile_documents():
    forge = Forge("inspect text", nonce=b"x")
    module = f"{HOSTILE}-enc0123456789abcdef"
    yield "module_id", forge.document(module_id=module)
    yield "module_id, long", forge.document(module_id=f"i-{'GENUINE ' * 400}-enc")
    for field in ("user_data", "nonce", "public_key"):
        yield field, forge.document(**{field: HOSTILE.encode()})
        yield f"{field}, 10 KiB", forge.document(**{field: (HOSTILE * 60).encode()[:10000]})
    yield "field name", forge.document(**{HOSTILE: 1})
    yield "field name, damaged", forge.document(**{HOSTILE: 1})[:-1]
    yield "digest", forge.document(digest=HOSTILE)
    for level in ("root", "regional", "instance", "leaf"):
        named = Forge("inspect text").change(level, subject=HOSTILE)
        yield f"name of the {level}", named.document()
    entries = {"module_id": HOSTILE, "user_data": HOSTILE.encode(), "pcrs": {HOSTILE: b""}}
    yield "everything, damaged", cbor2.dumps([b"", {}, cbor2.dumps(entries), HOSTILE.encode()])
    yield "envelope", HOSTILE.encode()


@pytest.mark.parametrize("width", [40, 80, 100])
@pytest.mark.parametrize(
    ("place", "document"), list(hostile_documents()), ids=lambda v: str(v)[:24]
)
def test_document_can_neither_steer_the_terminal_nor_speak_for_us(place, document, width):
    root = Forge("other", now=FORGE.now).change("root", subject="other").trust_own_root().root
    text = show(document, width=width, root=root, name=HOSTILE)

    assert place
    assert text.replace("\n", "").isprintable()
    assert [] == [line for line in text.splitlines() if line.startswith("GENUINE")]
    assert text.startswith(("UNKNOWN ROOT", "NOT GENUINE", "DAMAGED", "NOT A DOCUMENT"))


def test_names_of_roots_cannot_steer_the_terminal():
    report = build_report(FORGE.document(), name="x", roots={HOSTILE: FORGE.root}, now=FORGE.now)
    text = render_text(report)

    assert text.replace("\n", "").isprintable()
    assert text.startswith("GENUINE UNDER A GIVEN ROOT: issued under \\x1b[2J")
