from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nitrosim.attestation import read_unverified
from nitrosim.cli import inspect

ATTESTATION_TESTS = Path(__file__).resolve().parent.parent / "attestation"


@pytest.fixture
def forge():
    """Borrow the forge of the attestation tests, which are no package."""
    path = ATTESTATION_TESTS / "conftest.py"
    spec = importlib.util.spec_from_file_location("forge_for_inspect", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Forge()


@pytest.fixture
def nitrosim(tmp_path, monkeypatch):
    monkeypatch.setenv("NITROSIM_STATE", str(tmp_path / "state"))

    def run(*words):
        parser = argparse.ArgumentParser()
        parser.add_argument("--instance", default="default")
        parser.add_argument("--json", action="store_true")
        inspect.add_parser(parser.add_subparsers(required=True))
        args = parser.parse_args([str(word) for word in words])
        return args.run(args)

    return run


@pytest.fixture
def save(tmp_path):
    def save(document):
        path = tmp_path / "document.cbor"
        path.write_bytes(document)
        return path

    return save


def test_content_is_labelled_as_not_verified(forge, nitrosim, save, capsys):
    assert 0 == nitrosim("inspect", save(forge.document()))
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].startswith("NOT VERIFIED")
    assert any(line.startswith("module") and forge.module in line for line in lines)
    assert any("PCR0" in line and "image" in line for line in lines)
    assert any("as text: user data" in line for line in lines)
    assert any("no tag, definite-length map" in line for line in lines)


def test_unknown_root_is_refused_by_both_partitions(forge, nitrosim, save, capsys):
    nitrosim("inspect", save(forge.document()))
    verdicts = [s for s in capsys.readouterr().out.splitlines() if s.startswith("with root")]

    assert 2 == len(verdicts)
    assert all("REFUSED at step 14" in verdict for verdict in verdicts)


def test_root_of_the_instance_is_tried_when_it_exists(forge, nitrosim, save, tmp_path, capsys):
    folder = tmp_path / "state" / "default" / "ca"
    folder.mkdir(parents=True)
    (folder / "root.pem").write_bytes(forge.root)
    nitrosim("--json", "inspect", save(forge.document()))
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]

    assert ["aws", "aws-us-gov", "instance"] == list(verdicts)
    assert verdicts["instance"]["ok"] is True
    assert list(range(1, 29)) == [step["number"] for step in verdicts["instance"]["steps"]]


def test_given_root_is_the_only_one_tried(forge, nitrosim, save, tmp_path, capsys):
    root = tmp_path / "root.der"
    root.write_bytes(forge.root)
    nitrosim("--json", "inspect", save(forge.document()), "--root", root)
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]

    assert [str(root)] == list(verdicts)


def test_json_of_a_document(forge, nitrosim, save, capsys):
    nitrosim("--json", "inspect", save(forge.document()))
    shown = json.loads(capsys.readouterr().out)["unverified"]

    assert forge.module == shown["module_id"]
    assert forge.instance == shown["instance_id"]
    assert forge.pcrs()[0].hex() == shown["pcrs"]["0"]
    assert 5 == len(shown["certificates"])
    assert "2030-06-01T12:00:00.000Z" == shown["timestamp"]
    assert shown["tagged"] is False


def test_debug_mode_and_age_are_shown(forge):
    debug = forge.pcrs() | dict.fromkeys((0, 1, 2, 8), bytes(48))
    document = read_unverified(forge.document(pcrs=debug))
    now = datetime(2030, 6, 1, 13, 30, tzinfo=UTC)
    text = "\n".join(inspect.unverified_lines(document, now))

    assert "DEBUG MODE" in text
    assert "zero: 0 (image), 1 (kernel and boot), 2 (application), 5" in text
    assert "1 h 30 min ago" in text
    assert "3 h left at issue, 1 h 30 min left now" in text


def test_unknown_fields_and_a_document_from_the_future_are_shown(forge):
    document = read_unverified(b"\xd2" + forge.document(nitrogpu_pcrs={}))
    text = "\n".join(inspect.unverified_lines(document, forge.now - timedelta(seconds=90)))

    assert "nitrogpu_pcrs" in text
    assert "1 min 30 s from now" in text
    assert "tag 18" in text


def test_verdict_of_a_genuine_document_lists_all_steps(forge, nitrosim, save, tmp_path, capsys):
    root = tmp_path / "root.der"
    root.write_bytes(forge.root)
    nitrosim("inspect", save(forge.document()), "--root", root)
    lines = capsys.readouterr().out.splitlines()
    start = lines.index(
        f"with root {root}: GENUINE at its own time; PCRs and freshness were not judged"
    )

    assert 28 == len(lines) - start - 1


def test_broken_certificate_is_shown_as_such(forge):
    document = read_unverified(forge.document(certificate=b"junk"))
    text = "\n".join(inspect.unverified_lines(document, forge.now))

    assert "(not a certificate in strict DER)" in text


def test_names_cannot_steer_the_terminal(forge, nitrosim, save, capsys):
    forge.change("leaf", subject="evil\x1b[2J\nwith root aws: GENUINE")
    nitrosim("inspect", save(forge.document(module_id="i-1-enc\x1b[2J")))
    output = capsys.readouterr().out

    assert "\x1b" not in output
    assert "\nwith root aws: GENUINE" not in output


def test_bytes_that_are_no_document(nitrosim, save, capsys):
    assert 1 == nitrosim("inspect", save(b"hello"))
    output = capsys.readouterr()
    assert "" == output.out
    assert 1 == output.err.count("\n")


def test_missing_file(nitrosim, tmp_path, capsys):
    assert 2 == nitrosim("inspect", tmp_path / "missing")
    assert "missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module_id", "launched"),
    [
        ("i-1-enc0198bc571bf3e785", datetime(2025, 8, 18, 8, 41, 22, 163000, tzinfo=UTC)),
        ("i-1-tpm0000000000000000", None),
        ("i-1-enc198bc571bf3e785", None),
        ("i-1-encffffffffffffzzzz", datetime.max.replace(tzinfo=UTC)),
        ("", None),
    ],
)
def test_launch_time_out_of_the_module_id(module_id, launched):
    found = inspect.launch_time(module_id)

    # 48 bits of milliseconds reach beyond the year 9999, where Python's calendar ends.
    assert (None if launched and launched.year == 9999 else launched) == found


def test_spans_have_two_units():
    spans = [
        inspect._span(timedelta(seconds=seconds)) for seconds in (0, 59, 60, 3661, 86400, 90061)
    ]

    assert ["0 s", "59 s", "1 min", "1 h 1 min", "1 d", "1 d 1 h"] == spans


@pytest.mark.parametrize(
    ("name", "aws"),
    [
        ("2025-08-18-debug-indefinite-map.cbor", "passed"),
        ("2026-02-03-nitrotpm.cbor", "passed"),
        ("2022-11-09-INVALID-bad-signature.cbor", "failed"),
    ],
)
def test_real_documents(real_docs, nitrosim, name, aws, capsys):
    assert 0 == nitrosim("--json", "inspect", real_docs / name)
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]

    assert aws == verdicts["aws"]["steps"][-1]["outcome"]
    assert "failed" == verdicts["aws-us-gov"]["steps"][-1]["outcome"]
