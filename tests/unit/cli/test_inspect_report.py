"""What is found out about a document, sound or damaged, and how programs are told."""

from __future__ import annotations

import functools
import json
from datetime import datetime, timedelta
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgery.forge import Forge
from nitrosim.attestation.errors import ExpectationError
from nitrosim.attestation.roots import AWS_ROOTS
from nitrosim.cli.inspection import words
from nitrosim.cli.inspection.as_html import render_html
from nitrosim.cli.inspection.as_json import report_json
from nitrosim.cli.inspection.as_text import render_text
from nitrosim.cli.inspection.build import build_report
from nitrosim.cli.inspection.report import Standing

CORPUS = Path(__file__).resolve().parents[3] / "fixtures" / "attestation"
FORGE = Forge("inspect report")
SOUND = FORGE.document()
DEBUG = dict.fromkeys((0, 1, 2, 8), bytes(48))


@pytest.fixture
def forge():
    return Forge("inspect report")


def look(document, *, now=FORGE.now, **roots):
    return build_report(document, name="document.cbor", roots=roots or AWS_ROOTS, now=now)


def test_root_of_aws_makes_a_document_genuine(real_docs):
    report = look((real_docs / "2022-10-13-prod-signed-eif-pcr8.cbor").read_bytes())

    assert Standing.GENUINE == report.standing
    assert "aws" == report.voucher.root
    assert "us-east-1" == report.region
    assert "CERTIFICATE_EXPIRED" == report.voucher.live_refusal.code


def test_root_of_aws_is_recognised_by_its_hash_and_not_by_its_name(real_docs):
    aws = (real_docs / "aws-nitro-enclaves-root-g1.pem").read_bytes()
    real = (real_docs / "2022-11-09-prod-userdata-nonce.cbor").read_bytes()

    assert Standing.GENUINE == look(real, given=aws).standing
    assert Standing.OTHER_ROOT == look(SOUND, aws=FORGE.root).standing


def test_root_of_the_instance_makes_a_document_simulated():
    report = look(SOUND, **AWS_ROOTS, instance=FORGE.root)

    assert Standing.SIMULATED == report.standing
    assert ("SIMULATED", True) == (words.headline(report)[0], report.voucher.ok)


def test_unknown_root_is_named():
    report = look(SOUND)

    assert Standing.REFUSED == report.standing
    assert "'corpus.test.nitro-enclaves'" in words.headline(report)[1]
    assert words.headline(report)[1].endswith(" is not that of aws and aws-us-gov")
    assert words.caveats(report)[-1].startswith("Hint: --instance NAME asks")


def test_verdict_that_came_furthest_tells_why(forge):
    forged = forge.document(signature=b"\1" * 96)
    report = look(forged, **AWS_ROOTS, instance=forge.root)

    assert "BAD_SIGNATURE" in words.headline(report)[1]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"nonce": bytes(1025)}, "FIELD_LENGTH"),
        ({"nitrogpu_pcrs": {}}, "UNKNOWN_FIELD"),
        ({"module_id": "i-1-encXYZ"}, "MODULE_ID"),
        ({"pcrs": {0: b"\1" * 48, 4: b"\1" * 48}}, "IDENTITY_MISMATCH"),
    ],
)
def test_document_against_which_only_strict_mode_speaks_is_genuine_but_odd(forge, changes, code):
    report = look(forge.document(**changes), **AWS_ROOTS, instance=forge.root)

    word, sentence = words.headline(report)
    assert (Standing.SIMULATED, "SIMULATED BUT ODD") == (report.standing, word)
    assert f"refused in strict mode: {code}: " in sentence
    assert words.verdict_word(report.voucher).startswith("GENUINE BUT ODD, REFUSED at step ")
    assert ("fresh now", f"no, {code}") in words.summary(report)


def test_module_that_is_not_the_one_of_its_leaf_is_told(forge):
    report = look(forge.document(module_id="i-1-enc0123456789abcdef"), root=forge.root)
    leaf = forge.levels["leaf"].subject

    assert f"Identity: the leaf is {leaf!r}, not this module." in words.caveats(report)
    assert not any("Identity" in caveat for caveat in words.caveats(look(SOUND, root=forge.root)))


@pytest.mark.parametrize("changes", [{"nonce": bytes(1025)}, {"module_id": "i-1-encXYZ"}])
def test_oddness_does_not_excuse_a_wrong_signature(forge, changes):
    report = look(forge.document(signature=b"\1" * 96, **changes), instance=forge.root)

    assert Standing.REFUSED == report.standing


def test_roots_that_all_say_the_same_say_it_once():
    assert ["each root"] == [name for name, _ in words.spoken_verdicts(look(SOUND[:-1]))]
    assert ["aws", "aws-us-gov"] == [name for name, _ in words.spoken_verdicts(look(SOUND))]


def test_file_that_was_not_read_to_its_end_is_told():
    hints = [caveat for caveat in words.caveats(look(bytes(1 << 20))) if "Hint" in caveat]

    assert ["Hint: only the first 1048576 bytes of the file have been read."] == hints


def test_fresh_document_would_be_taken_now_and_an_old_one_not(forge):
    fresh = look(SOUND, now=forge.now + timedelta(minutes=4), root=forge.root)
    old = look(SOUND, now=forge.now + timedelta(minutes=6), root=forge.root)

    assert fresh.voucher.live_refusal is None
    assert "DOCUMENT_TOO_OLD" == old.voucher.live_refusal.code
    assert ("fresh now", "yes") in words.summary(fresh)
    assert ("fresh now", "no, DOCUMENT_TOO_OLD") in words.summary(old)


def test_debug_mode_is_genuine_and_shouted(forge):
    report = look(forge.document(pcrs=forge.pcrs() | DEBUG), root=forge.root)

    assert (0, 1, 2) == report.zero_launch_registers
    assert words.caveats(report)[0].startswith("DEBUG MODE: PCR0, PCR1 and PCR2 are zero.")
    assert "DEBUG_MODE" == report.voucher.live_refusal.code


def test_one_zero_launch_register_is_debug_mode(forge):
    report = look(forge.document(pcrs=forge.pcrs() | {1: bytes(48)}), root=forge.root)

    assert words.caveats(report)[0].startswith("DEBUG MODE: PCR1 is zero.")


def test_registers_of_a_tpm_have_their_own_names_and_no_debug_mode(real_docs):
    report = look((real_docs / "2026-02-03-nitrotpm.cbor").read_bytes())
    names = {register.index: register.name for register in report.registers if register.name}

    assert {4: "boot manager", 7: "Secure Boot policy", 12: "command line"} == names
    assert () == report.zero_launch_registers
    assert ("who", "the NitroTPM of instance i-01cfb383223e42522 in us-east-1") in words.summary(
        report
    )


def test_registers_of_an_enclave_are_named(forge):
    report = look(forge.document(pcrs=forge.pcrs() | {16: b"\1" * 48}))

    assert {
        0: "image",
        1: "kernel and boot",
        2: "application",
        3: "IAM role",
        4: "instance id",
        8: "signer",
        16: "custom",
    } == {register.index: register.name for register in report.registers if register.name}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2021-03-24-prod-rsa-public-key.cbor", "RSA 2048, public key in DER"),
        (
            "2024-12-13-prod-long-running.cbor",
            "a point on secp256k1, x and y without the leading 04",
        ),
        ("2025-04-29-prod-17-pcrs.cbor", "could be a raw X25519 or Ed25519 key, or a hash"),
        ("2026-02-03-nitrotpm.cbor", "a point on P-256, uncompressed"),
    ],
)
def test_public_keys_of_real_documents_are_recognised(real_docs, name, expected):
    report = look((real_docs / name).read_bytes())

    assert expected == report.fields[0].looks_like


def test_hash_in_user_data_is_not_taken_for_a_key(forge):
    report = look(forge.document(public_key=bytes(32), user_data=bytes(32)))

    assert "could be" in report.fields[0].looks_like
    assert report.fields[1].looks_like is None


def test_document_from_the_future_is_told():
    report = look(SOUND, now=FORGE.now - timedelta(seconds=90))

    assert ("how old", "1 min 30 s from now") in words.summary(report)


def test_certificate_that_cannot_be_read_keeps_its_place(forge):
    report = look(forge.document(certificate=b"junk"))

    assert ["root", "regional", "zonal", "instance", "leaf"] == [k.place for k in report.chain]
    assert "tag 6a at byte 0" in report.chain[-1].problem
    assert report.region is None


def test_life_of_a_certificate_is_told_at_issue_and_now(forge):
    report = look(SOUND, now=forge.now + timedelta(hours=4))

    assert "at issue: 3 h left; now: ended 1 h ago" == words.life(report.chain[-1], report)


def test_life_that_has_not_begun_is_told(forge):
    report = look(SOUND, now=forge.now - timedelta(hours=1))

    assert words.life(report.chain[-1], report).endswith("now: begins in 59 min 57 s")


def test_unusable_root_is_the_callers_mistake():
    with pytest.raises(ExpectationError):
        look(SOUND, root=b"no certificate")


# Damaged documents


def damaged(entries, *, end=b""):
    """Return a document whose payload is made of encoded keys and values."""
    payload = b"\xbf" + b"".join(cbor2.dumps(k) + cbor2.dumps(v) for k, v in entries) + b"\xff"
    return cbor2.dumps([b"\xa1\x01\x38\x22", {}, payload, bytes(96)]) + end


@pytest.mark.parametrize("end", [0, 1, 3, 10, 60, 200, 800, 1200, 1600, 2400, 3200, -97, -5])
def test_document_cut_short_is_shown_as_far_as_it_goes(end):
    report = look(SOUND[:end])
    whole = look(SOUND)

    assert Standing.DAMAGED == report.standing
    assert report.content.module_id in (None, FORGE.module)
    assert whole.registers[: len(report.registers)] == report.registers
    assert all(link.sha256 in {k.sha256 for k in whole.chain} for link in report.chain)


def test_last_byte_missing_loses_nothing_but_the_signature():
    report = look(SOUND[:-1])

    assert look(SOUND).registers == report.registers
    assert look(SOUND).chain == report.chain
    assert "a byte string of 96 bytes is cut off after 95" in report.content.notes[0]


@pytest.mark.parametrize(
    ("entries", "note"),
    [
        ([("nonce", b"1"), ("nonce", b"2")], "field nonce is there 2 times; the first is shown"),
        ([("nonce", "text")], "field nonce is of another type and not shown: str"),
        ([("timestamp", True)], "field timestamp is of another type and not shown: bool"),
        ([("pcrs", {0: b"", "1": b""})], "1 entries of pcrs are not shown"),
        ([("digest", "SHA256")], "digest is 'SHA256'"),
    ],
)
def test_what_is_odd_is_noted(entries, note):
    assert (note,) == look(damaged(entries)).content.notes


def test_first_of_two_values_is_shown():
    report = look(damaged([("module_id", "i-1-enc1"), ("nonce", b"1"), ("nonce", b"2")]))

    assert b"1" == report.content.nonce


@pytest.mark.parametrize(
    ("end", "note"),
    [
        (b"\xff" * 9, "9 bytes follow the envelope, all ff: the padding of a NitroTPM's answer"),
        (b"\n", "1 bytes follow the envelope, all white space: was it copied as text?"),
        (b"x", "1 bytes follow the envelope"),
    ],
)
def test_what_follows_a_document_is_noted_and_the_document_shown(end, note):
    report = look(SOUND + end)

    assert (note,) == report.content.notes
    assert look(SOUND).registers == report.registers
    assert "TRAILING_BYTES" == report.problem.code


def test_register_of_another_size_is_shown_as_it_is():
    entries = [("module_id", "i-1-enc1"), ("pcrs", {0: b"", 1: b"\1" * 32, 99: b"\1" * 48})]
    report = look(damaged(entries))

    said = [words.register_words(register, report) for register in report.registers]
    assert ["0 bytes, not 48", "32 bytes, not 48", ""] == said
    assert not report.debug


@pytest.mark.parametrize("timestamp", [-1, 1 << 63, 1 << 80])
def test_timestamp_that_is_no_time_is_shown_as_a_number(timestamp):
    entries = [("module_id", "i-1-enc1"), ("timestamp", timestamp)]
    report = look(damaged(entries))

    assert report.issued is None
    if timestamp < 1 << 64:
        assert ("when", f"{timestamp} ms, which is no time") in words.summary(report)


def test_document_in_text_form_gets_a_hint():
    report = look(SOUND.hex().encode())

    assert "NOT A DOCUMENT" == words.headline(report)[0]
    assert any("xxd -r -p" in caveat for caveat in words.caveats(report))


@given(at=st.integers(0, len(SOUND) - 1), byte=st.integers(0, 255))
def test_any_one_byte_may_be_wrong(at, byte):
    report = look(SOUND[:at] + bytes([byte]) + SOUND[at + 1 :], root=FORGE.root)

    assert Standing.OTHER_ROOT != report.standing or byte == SOUND[at]
    assert render_text(report).splitlines()
    assert render_html(report).endswith("</html>\n")
    assert json.dumps(report_json(report))


@given(st.binary(max_size=300))
def test_any_bytes_may_be_looked_at(data):
    report = look(data)

    assert Standing.DAMAGED == report.standing
    assert render_text(report).replace("\n", "").isprintable()
    assert render_html(report).endswith("</html>\n")
    assert json.dumps(report_json(report))


def corpus():
    return json.loads((CORPUS / "index.json").read_bytes())


@functools.cache
def roots_of_corpus():
    return {name: (CORPUS / root["der"]).read_bytes() for name, root in corpus()["roots"].items()}


# What the caller demands, and when, is not asked here.
_OF_THE_DOCUMENT = {*range(1, 20), 22, 23} - {11}


@pytest.mark.parametrize("case", corpus()["cases"], ids=lambda case: case["id"])
def test_every_document_of_the_corpus_is_shown_for_what_it_is(case):
    document = (CORPUS / case["document"]).read_bytes()
    root = roots_of_corpus()[case["root"]]
    report = look(document, now=datetime.fromisoformat(case["time"]), root=root)
    (verdict,) = report.verdicts

    if case["result"] == "accept":
        assert verdict.genuine
        assert case["content"]["module_id"] == report.content.module_id
        values = {str(register.index): register.value.hex() for register in report.registers}
        assert case["content"]["pcrs"] == values
    elif case["step"] in _OF_THE_DOCUMENT:
        assert case["code"] == verdict.refusal.code
    assert render_text(report, steps=True).replace("\n", "").isprintable()
    assert render_html(report).endswith("</html>\n")
    assert json.dumps(report_json(report))


# For programs

KEYS = [
    "file",
    "size",
    "sha256",
    "inspected_at",
    "standing",
    "summary",
    "caveats",
    "problem",
    "unverified",
    "verdicts",
    "document_type",
    "module_id",
    "instance_id",
    "region",
    "timestamp",
    "timestamp_ms",
    "age_seconds",
    "launched",
    "debug",
    "pcrs",
    "pcr_names",
    "zero_pcrs",
    "public_key",
    "user_data",
    "nonce",
    "looks_like",
    "text",
    "unknown_fields",
    "size",
    "payload_size",
    "tagged",
    "indefinite_map",
    "signature",
    "certificates",
]


@pytest.mark.parametrize("document", [SOUND, SOUND[:1000], b""], ids=["sound", "cut", "empty"])
def test_keys_for_programs_are_always_the_same(document):
    shown = report_json(look(document))

    assert KEYS == [*shown, *shown["unverified"]]
    assert all(
        ["ok", "genuine", "refusal", "live_ok", "live_refusal", "root_sha256", "steps"]
        == list(verdict)
        for verdict in shown["verdicts"].values()
    )


def test_values_for_programs(forge):
    document = b"\xd2" + forge.document(nitrogpu_pcrs={}, pcrs=forge.pcrs() | DEBUG, nonce=b"")
    shown = report_json(look(document, now=forge.now + timedelta(seconds=90), root=forge.root))
    content = shown["unverified"]

    assert "other-root" == shown["standing"]
    verdict = shown["verdicts"]["root"]
    assert (False, True) == (verdict["ok"], verdict["genuine"])
    assert "UNKNOWN_FIELD" == verdict["refusal"]["code"]
    assert forge.module == content["module_id"]
    assert forge.instance == content["instance_id"]
    assert forge.pcrs()[4].hex() == content["pcrs"]["4"]
    assert [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] == content["zero_pcrs"]
    assert "2026-06-01T12:00:00.000Z" == content["timestamp"]
    assert "2026-06-01T11:00:00.000Z" == content["launched"]
    assert 90.0 == content["age_seconds"]
    assert (None, "", "user data") == (
        content["public_key"],
        content["nonce"],
        content["text"]["user_data"],
    )
    assert ["nitrogpu_pcrs"] == content["unknown_fields"]
    assert (True, False, True) == (content["tagged"], content["indefinite_map"], content["debug"])
    leaf = content["certificates"][-1]
    assert ("leaf", 10800.0, 10710.0) == (
        leaf["place"],
        leaf["left_at_issue_seconds"],
        leaf["left_now_seconds"],
    )


def test_steps_are_told_to_programs(forge):
    shown = report_json(look(SOUND, root=forge.root))
    verdict = shown["verdicts"]["root"]

    assert list(range(1, 29)) == [step["number"] for step in verdict["steps"]]
    assert (True, True) == (verdict["ok"], verdict["live_ok"])
    assert verdict["root_sha256"] == shown["unverified"]["certificates"][0]["sha256"]
