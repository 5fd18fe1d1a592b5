from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from nitrosim.cli.nitro_cli.commands import COMMANDS
from nitrosim.cli.nitro_cli.main import SUB_COMMANDS, main, run
from nitrosim.errors import HostNotSupportedError, Requirement

REPOSITORY = Path(__file__).resolve().parents[4]


def test_a_line_of_the_log_precedes_every_sub_command(nitro_cli, logs):
    assert 0 == nitro_cli("explain", "--error-code", "E01")[0]

    assert re.fullmatch(
        r"\[nitro-cli:77\]\[INFO\]\[2024-01-02T03:04:05\.678Z\]"
        r"\[nitrosim/cli/nitro_cli/main\.py:\d+\] Start Nitro CLI\n",
        (logs / "nitro_enclaves.log").read_text(),
    )


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "--error-code", "E01"),
        ("describe-eif", "--eif-path", "missing"),
        ("pcr", "--input", "missing"),
        ("sign-eif",),
        ("describe-enclaves",),
    ],
)
def test_trap_4_without_a_folder_for_the_log_every_sub_command_is_e19(nitro_cli, tmp_path, words):
    folder = tmp_path / "missing"
    status, output, errors = nitro_cli(*words, NITRO_CLI_LOGS_PATH=str(folder))

    assert (19, "") == (status, output)
    assert f"\nFile: '{folder}/nitro_enclaves.log', failing operation: 'Open'.\n\n" in errors
    assert errors.endswith("cli-errors.html#E19\n")


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("pcr", "--help"), (), ("x",)])
def test_what_needs_no_sub_command_needs_no_log(nitro_cli, tmp_path, words):
    status, _output, errors = nitro_cli(*words, NITRO_CLI_LOGS_PATH=str(tmp_path / "missing"))

    assert status in (0, 2)
    assert "E19" not in errors


def test_wrong_version_to_imitate_is_status_125(nitro_cli):
    status, output, errors = nitro_cli("--version", NITROSIM_NITRO_CLI_VERSION="new")

    assert (125, "") == (status, output)
    assert errors.startswith("nitro-cli: ENVIRONMENT: NITROSIM_NITRO_CLI_VERSION is 'new'")


def test_nothing_runs_beside_real_enclaves(make_machine, logs, capsys):
    def guard():
        raise HostNotSupportedError([Requirement("no-real-hardware", "it is real", "go away")])

    machine = make_machine()
    machine = type(machine)(environment=machine.environment, guard=guard)

    assert 125 == run(["explain", "--error-code", "E01"], machine)
    assert "it is real" in capsys.readouterr().err
    assert [] == [*logs.iterdir()]


def test_every_sub_command_of_the_command_line_has_a_function():
    assert {command.name for command in COMMANDS} == set(SUB_COMMANDS)
    assert all(
        callable(getattr(import_module(module), name)) for module, name in SUB_COMMANDS.values()
    )


def test_interrupt_is_status_130(monkeypatch):
    def interrupt(_words, _machine):
        raise KeyboardInterrupt

    monkeypatch.setattr("nitrosim.cli.nitro_cli.main.run", interrupt)

    assert 130 == main(["--version"])


def test_reader_that_has_seen_enough_is_no_traceback(monkeypatch, tmp_path):
    def broken(_words, _machine):
        raise BrokenPipeError

    monkeypatch.setattr("nitrosim.cli.nitro_cli.main.run", broken)
    with (tmp_path / "output").open("wb") as file:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file))
        assert 141 == main(["--version"])
        sys.stdout.detach()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("words", [["--version"], ["pcr", "--input", "README.md"]])
def test_full_disk_is_said_and_status_101(words, tmp_path):
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "nitrosim.cli.nitro_cli.main", *words],
            cwd=REPOSITORY,
            env={**os.environ, "NITRO_CLI_LOGS_PATH": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (101, "nitro-cli: cannot write: No space left on device\n") == (
        done.returncode,
        done.stderr,
    )


#: Says what a command line loads beyond what Python starts with. The word before it says whether
#: ``pcr`` is the real one or ``nothing``, which loads nothing itself.
LOADING = """
import sys
before = {*sys.modules}
from nitrosim.cli.nitro_cli import main as program

def nothing(parsed, context):
    context.log.write("INFO", f"{parsed.command} in {context.environment.sockets()}")

if sys.argv[1] == "nothing":
    program.SUB_COMMANDS["pcr"] = ("__main__", "nothing")
status = program.main(sys.argv[2:])
print(status, *({*sys.modules} - before), file=sys.stderr)
"""


def loaded_by(words, tmp_path, *, pcr="real"):
    folders = {f"NITRO_CLI_{kind}_PATH": str(tmp_path) for kind in ("LOGS", "SOCKETS")}
    done = subprocess.run(
        [sys.executable, "-c", LOADING, pcr, *words],
        cwd=REPOSITORY,
        env={**os.environ, **folders},
        capture_output=True,
        text=True,
        check=True,
    )
    status, *modules = done.stderr.splitlines()[-1].split()
    return int(status), set(modules)


#: All that a call may load before its sub-command.
LIGHT = {"__future__", "importlib", "warnings", "nitrosim"}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--version"],
        ["--help"],
        ["help", "console"],
        ["pcr", "--help"],
        ["run-enclave"],
        ["describe-enclave"],
        ["console", "--enclave-id", "i", "--disconnect", "1"],
    ],
)
def test_reading_a_command_line_loads_next_to_nothing(words, tmp_path):
    status, modules = loaded_by(words, tmp_path)

    assert status in (0, 2)
    assert set() == {name.partition(".")[0] for name in modules} - LIGHT


def test_starting_a_sub_command_loads_next_to_nothing(tmp_path):
    status, modules = loaded_by(["pcr", "--input", "x"], tmp_path, pcr="nothing")

    assert 0 == status
    assert f"pcr in {tmp_path}\n" in (tmp_path / "nitro_enclaves.log").read_text()
    assert set() == {name.partition(".")[0] for name in modules} - LIGHT


#: What takes a considerable part of the time in which Python starts, or more.
HEAVY = {
    *("argparse", "collections", "ctypes", "dataclasses", "enum", "functools", "json", "logging"),
    *("inspect", "pathlib", "re", "shutil", "socket", "subprocess", "tempfile"),
    *("typing", "cbor2", "cryptography"),
    *("nitrosim.hypervisor.client", "nitrosim.instance", "nitrosim.places"),
}


@pytest.mark.parametrize(
    "words",
    [["describe-enclaves"], ["describe-enclaves", "--metadata"], ["terminate-enclave", "--all"]],
)
def test_where_no_enclave_runs_nothing_heavy_is_loaded(words, tmp_path):
    status, modules = loaded_by(words, tmp_path)

    assert 0 == status
    assert set() == HEAVY & modules


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["terminate-enclave", "--enclave-id", "i-0-enc1"], 11),
        (["terminate-enclave", "--enclave-name", "n"], 58),
        (["console", "--enclave-id", "i-0-enc1"], 11),
        (["console", "--enclave-name", "n", "--disconnect-timeout", "1"], 58),
    ],
)
def test_enclave_that_is_not_there_loads_the_codes_and_what_an_enum_needs(words, code, tmp_path):
    status, modules = loaded_by(words, tmp_path)

    assert code == status
    assert set() == HEAVY & modules - {"collections", "enum", "functools"}


def test_error_loads_the_codes_and_what_an_enum_needs(tmp_path):
    status, modules = loaded_by(["pcr", "--input", "x"], tmp_path / "missing", pcr="nothing")

    assert 19 == status
    assert set() == HEAVY & modules - {"collections", "enum", "functools"}


def test_unsigned_image_is_described_without_the_cryptography_library(tmp_path):
    status, modules = loaded_by(
        ["describe-eif", "--eif-path", "fixtures/eif/hello-unsigned.eif"], tmp_path
    )

    assert 0 == status
    assert "nitrosim.eif.reader" in modules
    assert set() == {"cryptography", "cbor2", "ctypes", "nitrosim.images"} & modules


def test_file_is_measured_without_the_cryptography_library(tmp_path):
    status, modules = loaded_by(["pcr", "--input", "README.md"], tmp_path)

    assert 0 == status
    assert set() == {"cryptography", "cbor2", "nitrosim.eif.reader"} & modules
