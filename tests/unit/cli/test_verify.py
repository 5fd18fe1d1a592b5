from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

from forgery.forge import Forge
from nitrosim.cli import verify


@pytest.fixture
def forge():
    return Forge("command line", nonce=b"a fresh nonce")


@pytest.fixture
def files(forge, tmp_path):
    """Return the path of a good document and that of its root."""
    document, root = tmp_path / "document.cbor", tmp_path / "root.der"
    document.write_bytes(forge.document())
    root.write_bytes(forge.root)
    return str(document), str(root)


def nitrosim(*words):
    """Run the command line with one command in it; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--instance", default="default")
    parser.add_argument("--json", action="store_true")
    verify.add_parser(parser.add_subparsers(required=True))
    try:
        args = parser.parse_args(words)
    except SystemExit as stop:
        return stop.code
    return args.run(args)


def test_verified_content_on_standard_output(forge, files, capsys):
    document, root = files
    pcr0 = forge.pcrs()[0].hex()

    assert 0 == nitrosim(
        "verify", document, "--root", root, "--pcr", f"0={pcr0}", "--at", "document"
    )
    output = capsys.readouterr()
    assert "" == output.err
    assert forge.module in output.out
    assert pcr0 in output.out
    assert b"user data".hex() in output.out


def test_json_of_a_verified_document(forge, files, capsys):
    document, root = files
    pcr0 = forge.pcrs()[0].hex()
    status = nitrosim(
        "--json", "verify", document, "--root", root, "--pcr", f"0={pcr0}", "--at", "document"
    )
    shown = json.loads(capsys.readouterr().out)

    assert 0 == status
    assert shown["ok"] is True
    assert shown["live"] is False
    assert pcr0 == shown["pcrs"]["0"]
    assert b"a fresh nonce".hex() == shown["nonce"]
    assert shown["public_key"] is None


def test_refusal_is_one_line_and_status_1(forge, files, capsys):
    document, root = files
    status = nitrosim(
        "verify", document, "--root", root, "--pcr", f"0={'ab' * 48}", "--at", "document"
    )
    output = capsys.readouterr()

    assert 1 == status
    assert "" == output.out
    pcr0 = forge.pcrs()[0].hex()
    assert f"PCR_MISMATCH: PCR0, got {pcr0}, expected {'ab' * 48}\n" == output.err


def test_refusal_as_json_keeps_the_line(files, capsys):
    document, _ = files
    status = nitrosim("--json", "verify", document, "--unsafe-skip-pcr-check")
    output = capsys.readouterr()
    shown = json.loads(output.out)

    assert 1 == status
    assert (False, "UNTRUSTED_ROOT", 14) == (shown["ok"], shown["code"], shown["step"])
    assert output.err.startswith("UNTRUSTED_ROOT: ")
    assert 1 == output.err.count("\n")


@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("2026-06-01T12:04:59Z", 0),
        ("2026-06-01T12:04:59", 0),
        ("2026-06-01T14:04:59+02:00", 0),
        ("2026-06-01T12:05:01Z", 1),
        ("2026-06-01T11:59:00Z", 1),
        ("now", 1),
        ("document", 0),
    ],
)
def test_time_of_judgement(files, at, status):
    document, root = files

    assert status == nitrosim(
        "verify", document, "--root", root, "--unsafe-skip-pcr-check", "--at", at
    )


def test_max_age_in_seconds(files):
    document, root = files
    common = ("verify", document, "--root", root, "--unsafe-skip-pcr-check")
    late = ("--at", "2026-06-01T12:10:00Z", "--max-age")

    assert 0 == nitrosim(*common, *late, "600")
    assert 1 == nitrosim(*common, *late, "599")


@pytest.mark.parametrize(
    ("option", "value", "status"),
    [
        ("--nonce", b"a fresh nonce", 0),
        ("--nonce", b"another nonce", 1),
        ("--user-data", b"user data", 0),
        ("--user-data", b"other data", 1),
        ("--public-key", b"key", 1),
    ],
)
def test_expected_fields(files, option, value, status):
    document, root = files
    common = ("verify", document, "--root", root, "--unsafe-skip-pcr-check", "--at", "document")

    assert status == nitrosim(*common, option, value.hex())


def test_debug_mode_needs_to_be_allowed(forge, tmp_path):
    document, root = tmp_path / "debug.cbor", tmp_path / "root.der"
    debug = forge.pcrs() | dict.fromkeys((0, 1, 2, 8), bytes(48))
    document.write_bytes(forge.document(pcrs=debug))
    root.write_bytes(forge.root)
    pcr4 = forge.pcrs()[4].hex()
    common = (
        "verify",
        str(document),
        "--root",
        str(root),
        "--pcr",
        f"4={pcr4}",
        "--at",
        "document",
    )

    assert 1 == nitrosim(*common)
    assert 0 == nitrosim(*common, "--allow-debug")


def test_document_from_standard_input(files, monkeypatch):
    document, root = files
    buffer = io.BytesIO(Path(document).read_bytes())
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=buffer))

    assert 0 == nitrosim(
        "verify", "-", "--root", root, "--unsafe-skip-pcr-check", "--at", "document"
    )


def test_several_roots(files):
    document, root = files
    roots = ("--root", "aws", "--root", root, "--root", "aws-us-gov")

    assert 0 == nitrosim("verify", document, *roots, "--unsafe-skip-pcr-check", "--at", "document")


def test_root_of_the_instance(files, tmp_path, monkeypatch, capsys):
    document, root = files
    monkeypatch.setenv("NITROSIM_STATE", str(tmp_path))
    common = ("--instance", "blue", "verify", document, "--root", "instance")
    demands = ("--unsafe-skip-pcr-check", "--at", "document")

    assert 2 == nitrosim(*common, *demands)
    assert "nitrosim --instance blue ca" in capsys.readouterr().err

    folder = tmp_path / "blue" / "ca"
    folder.mkdir(parents=True)
    (folder / "root.pem").write_bytes(Path(root).read_bytes())

    assert 0 == nitrosim(*common, *demands)


@pytest.mark.parametrize(
    ("words", "clue"),
    [
        ([], "--unsafe-skip-pcr-check"),
        (["--pcr", "0"], "N=HEX"),
        (["--pcr", "0=xyz"], "not hex"),
        (["--pcr", "x=00"], "N=HEX"),
        (["--pcr", "0=00"], "48 bytes"),
        (["--pcr", f"99={'ab' * 48}"], "0 to 31"),
        (["--pcr", f"0={'00' * 48}"], "ZERO_EXPECTATION"),
        (["--pcr", f"0={'ab' * 48}", "--pcr", f"0={'cd' * 48}"], "twice"),
        (["--pcr", f"0={'ab' * 48}", "--unsafe-skip-pcr-check"], "contradict"),
        (["--unsafe-skip-pcr-check", "--nonce", ""], "EMPTY_EXPECTATION"),
        (["--unsafe-skip-pcr-check", "--nonce", "0"], "not hex"),
        (["--unsafe-skip-pcr-check", "--at", "yesterday"], "document"),
        (["--unsafe-skip-pcr-check", "--max-age", "0"], "positive"),
        (["--unsafe-skip-pcr-check", "--max-age", "nan"], "positive"),
        (["--unsafe-skip-pcr-check", "--root", "/does/not/exist.pem"], "/does/not/exist.pem"),
        (["--unsafe-skip-pcr-check", "--root", __file__], "NO_ROOTS"),
        (["--unsafe-skip-pcr-check", "--type", "sgx"], "enclave"),
    ],
)
def test_unusable_command_is_status_2_with_a_clue(files, words, clue, capsys):
    document, _ = files

    assert 2 == nitrosim("verify", document, *words)
    assert clue in capsys.readouterr().err


def test_unreadable_file_is_status_2(tmp_path, capsys):
    missing = str(tmp_path / "missing.cbor")

    assert 2 == nitrosim("verify", missing, "--unsafe-skip-pcr-check")
    assert missing in capsys.readouterr().err


def build_output(pcrs):
    values = {f"PCR{index}": pcrs[index].hex() for index in (0, 1, 2)}
    return json.dumps({"Measurements": {"HashAlgorithm": "Sha384 { ... }", **values}})


@pytest.mark.parametrize(
    ("releases", "status"), [(["ours"], 0), (["other"], 1), (["other", "ours"], 0)]
)
def test_pcrs_of_one_of_several_builds(forge, files, tmp_path, releases, status):
    document, root = files
    outputs = {
        "ours": build_output(forge.pcrs()),
        "other": build_output(dict.fromkeys(range(3), b"\x01" * 48)),
    }
    words = ["verify", document, "--root", root, "--at", forge.now.isoformat()]
    for name in releases:
        (tmp_path / name).write_text(outputs[name])
        words += ["--build", str(tmp_path / name)]

    assert status == nitrosim(*words)


def test_pcrs_beside_a_build_are_demanded_too(forge, files, tmp_path):
    document, root = files
    build = tmp_path / "build.json"
    build.write_text(build_output(forge.pcrs()))
    words = ["verify", document, "--root", root, "--at", "document", "--build", str(build)]

    assert 0 == nitrosim(*words, "--pcr", f"3={forge.pcrs()[3].hex()}")
    assert 1 == nitrosim(*words, "--pcr", f"3={'aa' * 48}")


def test_a_build_that_is_none_is_a_usage_error(files, tmp_path, capsys):
    document, root = files
    build = tmp_path / "build.json"
    build.write_text('{"PCR0": "00"}')

    assert 2 == nitrosim("verify", document, "--root", root, "--build", str(build))
    assert "PCR_EXPECTATION: measurements" in capsys.readouterr().err


def test_text_of_a_document_cannot_steer_the_terminal(forge, tmp_path, capsys):
    document, root = tmp_path / "document.cbor", tmp_path / "root.der"
    document.write_bytes(forge.document(user_data=b"\x1b[2Jgone\r\n"))
    root.write_bytes(forge.root)
    nitrosim(
        "verify", str(document), "--root", str(root), "--unsafe-skip-pcr-check", "--at", "document"
    )
    output = capsys.readouterr().out

    assert "as text: \\x1b[2Jgone\\r\\n" in output
    assert "\x1b" not in output


def test_real_document(real_docs, capsys):
    name = str(real_docs / "2024-12-13-prod-long-running.cbor")
    pcr2 = (
        "6c3ef363c488a9a86faa63a44653fd806e645d4540b40540876f3b811fc1bcee"
        "cf036a4703f07587c501ee45bb56a1aa"
    )

    assert 0 == nitrosim("verify", name, "--pcr", f"2={pcr2}", "--at", "document")
    assert 1 == nitrosim("verify", name, "--pcr", f"2={pcr2}")
    assert capsys.readouterr().err.startswith("CERTIFICATE_EXPIRED: ")


def test_registering_the_command_loads_no_cryptography():
    program = (
        "import argparse, sys; from nitrosim.cli import inspect, verify; "
        "s = argparse.ArgumentParser().add_subparsers(); "
        "verify.add_parser(s); inspect.add_parser(s); "
        "sys.exit(any(name in sys.modules for name in ('cryptography', 'hashlib', 'cbor2')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).resolve().parents[3], check=False
    )

    assert 0 == done.returncode
