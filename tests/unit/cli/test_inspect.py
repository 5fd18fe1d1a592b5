"""The command: its arguments, what goes where, its exit status."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from forgery.forge import Forge
from nitrosim.cli import inspect
from nitrosim.cli.inspection import output

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def forge():
    return Forge("inspect command")


@pytest.fixture
def nitrosim(tmp_path, monkeypatch, forge):
    monkeypatch.setenv("NITROSIM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words):
        parser = argparse.ArgumentParser()
        parser.add_argument("--instance", default="default")
        parser.add_argument("--json", action="store_true")
        inspect.add_parser(parser.add_subparsers(required=True))
        args = parser.parse_args([str(word) for word in words])
        return inspect.run(args, clock=lambda: forge.now + timedelta(minutes=1))

    return run


@pytest.fixture
def save(tmp_path):
    def save(document):
        path = tmp_path / "document.cbor"
        path.write_bytes(document)
        return path

    return save


@pytest.fixture
def here(forge, save, tmp_path, monkeypatch):
    """Return a document in the working directory, beside a folder and a broken link."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "circle.html").symlink_to("circle.html")
    return save(forge.document())


@pytest.fixture
def root(tmp_path, forge):
    path = tmp_path / "root.der"
    path.write_bytes(forge.root)
    return path


def test_without_options_the_document_is_shown_as_text(forge, nitrosim, save, capsys):
    assert 0 == nitrosim("inspect", save(forge.document()))
    shown = capsys.readouterr()

    assert shown.out.startswith("UNKNOWN ROOT: ")
    assert f"module      {forge.module}\n" in shown.out
    assert "how old     1 min ago\n" in shown.out
    assert "" == shown.err


def test_both_partitions_are_asked(forge, nitrosim, save, capsys):
    nitrosim("inspect", save(forge.document()))
    refused = [s for s in capsys.readouterr().out.splitlines() if "REFUSED at step 14" in s]

    assert ["aws", "aws-us-gov"] == [line.split()[0] for line in refused]


def test_root_of_the_instance_is_asked_when_it_exists(forge, nitrosim, save, tmp_path, capsys):
    folder = tmp_path / "state" / "default" / "ca"
    folder.mkdir(parents=True)
    (folder / "root.pem").write_bytes(forge.root)
    nitrosim("--json", "inspect", save(forge.document()))
    shown = json.loads(capsys.readouterr().out)

    assert ["aws", "aws-us-gov", "instance"] == list(shown["verdicts"])
    assert "simulated" == shown["standing"]


def test_given_root_is_the_only_one_asked(forge, nitrosim, save, root, capsys):
    nitrosim("--json", "inspect", save(forge.document()), "--root", root)
    shown = json.loads(capsys.readouterr().out)

    assert [str(root)] == list(shown["verdicts"])
    assert "other-root" == shown["standing"]


def test_steps_are_listed_on_demand_only(forge, nitrosim, save, root, capsys):
    document = save(forge.document())
    nitrosim("inspect", document, "--root", root)
    short = capsys.readouterr().out
    nitrosim("inspect", document, "--root", root, "--steps")
    long = capsys.readouterr().out

    listed = re.findall(r"^ +(\d+) (?:passed|skipped)", long, re.MULTILINE)
    assert list(map(str, range(1, 29))) == listed
    assert [] == re.findall(r"^ +(\d+) (?:passed|skipped)", short, re.MULTILINE)


def test_bytes_that_are_no_document_are_status_1_with_one_line(nitrosim, save, capsys):
    assert 1 == nitrosim("inspect", save(b"hello"))
    shown = capsys.readouterr()

    assert shown.out.startswith("NOT A DOCUMENT: ")
    assert 1 == shown.err.count("\n")


def test_bytes_that_are_no_document_are_json_too(nitrosim, save, capsys):
    assert 1 == nitrosim("--json", "inspect", save(b"hello"))
    shown = json.loads(capsys.readouterr().out)

    assert "damaged" == shown["standing"]
    assert "CBOR_MALFORMED" == shown["problem"]["code"]


def test_document_from_standard_input(forge, nitrosim, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(forge.document())))

    assert 0 == nitrosim("--json", "inspect", "-")
    assert forge.module == json.loads(capsys.readouterr().out)["unverified"]["module_id"]


def test_page_goes_to_a_file_and_nothing_else_is_printed(forge, nitrosim, save, tmp_path, capsys):
    page = tmp_path / "page.html"

    assert 0 == nitrosim("inspect", save(forge.document()), "--html", page)
    assert ("", "") == capsys.readouterr()
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_page_goes_to_standard_output(forge, nitrosim, save, capfdbinary):
    assert 0 == nitrosim("inspect", save(forge.document()), "--html", "-")

    assert capfdbinary.readouterr().out.startswith(b"<!DOCTYPE html>")


def test_page_of_a_damaged_document_is_written_and_the_status_is_1(
    forge, nitrosim, save, tmp_path, capsys
):
    page = tmp_path / "page.html"

    assert 1 == nitrosim("inspect", save(forge.document()[:-1]), "--html", page)
    assert "DAMAGED" in page.read_text("utf-8")
    assert capsys.readouterr().err.startswith("CBOR_MALFORMED: ")


def test_page_replaces_an_older_one_and_leaves_nothing_beside_it(forge, nitrosim, save, tmp_path):
    page = tmp_path / "folder" / "page.html"
    page.parent.mkdir()
    page.write_text("old")
    nitrosim("inspect", save(forge.document()), "--html", page)

    assert [page] == list(page.parent.iterdir())
    assert "old" != page.read_text("utf-8")


def test_page_has_the_permissions_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        output.write_page(str(tmp_path / "page.html"), "page")
    finally:
        os.umask(before)

    assert 0o640 == stat.S_IMODE((tmp_path / "page.html").stat().st_mode)


def test_page_is_written_through_a_symbolic_link(tmp_path):
    (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
    output.write_page(str(tmp_path / "link.html"), "page")

    assert (tmp_path / "link.html").is_symlink()
    assert "page" == (tmp_path / "page.html").read_text()


def test_page_is_written_into_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    output.write_page(str(pipe), "page")
    received = os.read(reader, 100)
    os.close(reader)

    assert b"page" == received
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_older_page_survives_a_disk_that_is_full(tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("old")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(output.UsageError, match="No space left"):
        output.write_page(str(tmp_path / "page.html"), "page")

    assert [tmp_path / "page.html"] == list(tmp_path.iterdir())
    assert "old" == (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("words", "clue"),
    [
        (("--html", "page.html", "--json"), "--html and --json contradict each other"),
        (("--html", "page.html", "--steps"), "--steps goes with text only"),
        (("--html", ""), "expected the name of a file"),
        (("--html", "."), "Is a directory"),
        (("--html", "missing/page.html"), "No such file"),
        (("--html", "circle.html"), "Too many levels of symbolic links"),
        (("--html", "document.cbor"), "is the document itself"),
        (("--html", "./sub/../document.cbor"), "is the document itself"),
        (("--root", "missing.pem"), "cannot read missing.pem"),
        (("--root", "instance"), "has no root yet"),
        (("--root", "document.cbor"), "NO_ROOTS"),
    ],
)
def test_unusable_command_is_status_2_with_a_clue(nitrosim, here, capsys, words, clue):
    before = here.read_bytes()
    words = [w for w in words if w != "--json"]
    json_word = ["--json"] if "--json" in clue else []

    assert 2 == nitrosim(*json_word, "inspect", here, *words)
    shown = capsys.readouterr()
    assert clue in shown.err
    assert "" == shown.out
    assert before == here.read_bytes()
    assert not here.with_name("page.html").exists()


def test_missing_file_is_status_2(nitrosim, tmp_path, capsys):
    assert 2 == nitrosim("inspect", tmp_path / "missing")
    assert "missing" in capsys.readouterr().err


def test_terminal_without_boxes_gets_ascii(forge, save):
    done = subprocess.run(
        [sys.executable, "-m", "nitrosim.cli.main", "inspect", save(forge.document(user_data="é"))],
        cwd=REPOSITORY,
        env={"PYTHONIOENCODING": "ascii", "NITROSIM_STATE": "/nonexistent", "PATH": "/usr/bin"},
        capture_output=True,
        check=False,
    )

    assert b"`- " in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    ("name", "standing"),
    [
        ("2025-08-18-debug-indefinite-map.cbor", "genuine"),
        ("2026-02-03-nitrotpm.cbor", "genuine"),
        ("2022-11-09-INVALID-bad-signature.cbor", "refused"),
    ],
)
def test_real_documents(real_docs, nitrosim, name, standing, capsys):
    assert 0 == nitrosim("--json", "inspect", real_docs / name)
    shown = json.loads(capsys.readouterr().out)

    assert standing == shown["standing"]
    assert ("genuine" == standing) is shown["verdicts"]["aws"]["ok"]
    assert 14 == shown["verdicts"]["aws-us-gov"]["refusal"]["step"]
