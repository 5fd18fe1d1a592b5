"""The forms of the command line that users and scripts rely on, without starting anything."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from nitrosim.cli import compat, doctor, run, shutdown
from nitrosim.cli.main import _COMMANDS, _commands_of, build_parser, main
from nitrosim.errors import EnclaveError, HostNotSupportedError, InstanceError, Requirement
from nitrosim.instance import Instance

#: What the import of any of these costs is more than the rest of the command line together.
HEAVY = {
    *("cryptography", "cbor2", "docker", "pytest", "ssl", "asyncio"),
    *("subprocess", "tempfile", "socket", "ctypes", "hashlib", "logging"),
}


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("NITROSIM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.delenv("NITROSIM_INSTANCE", raising=False)


@pytest.fixture
def seen(monkeypatch):
    """Collect the arguments that a command is called with, in place of the command."""
    calls = []

    def record(args):
        calls.append(args)
        return 0

    for module in (run, shutdown, compat):
        monkeypatch.setattr(module, "run", record)
    return calls


def test_run_takes_every_option_of_the_documented_form(seen):
    words = [
        "run",
        "--name",
        "N",
        "--cid",
        "20",
        "--cpu-count",
        "4",
        "--memory",
        "1024",
        "--debug-mode",
        "--detach",
    ]
    words += ["--env", "A=1", "--env", "B=x=y", "--app-dir", "app", "--", "prog", "--name", "--"]

    assert 0 == main(words)

    (args,) = seen
    assert ("N", 20, 4, 1024) == (args.name, args.cid, args.cpu_count, args.memory)
    assert (True, True) == (args.debug_mode, args.detach)
    assert [("A", "1"), ("B", "x=y")] == args.env
    assert "app" == str(args.app_dir)
    assert ["prog", "--name", "--"] == args.program


def test_run_has_the_defaults_of_the_documentation(seen):
    main(["run", "--", "true"])

    (args,) = seen
    assert (None, None, 2, 512) == (args.name, args.cid, args.cpu_count, args.memory)
    assert (False, False, [], None) == (args.debug_mode, args.detach, args.env, args.app_dir)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["shutdown"], "default"),
        (["shutdown", "--instance", "a"], "a"),
        (["--instance", "a", "shutdown"], "a"),
        (["--instance=a", "shutdown"], "a"),
        (["--instance", "a", "shutdown", "--instance", "b"], "b"),
        (["--instance", "a", "run", "--", "true", "--instance", "b"], "a"),
        (["run", "--instance", "a", "--", "true"], "a"),
    ],
)
def test_instance_may_be_named_before_and_after_the_command(seen, words, expected):
    main(words)

    assert [expected] == [args.instance for args in seen]


@pytest.mark.parametrize(
    ("words", "expected"), [(["shutdown"], "fromenv"), (["shutdown", "--instance", "a"], "a")]
)
def test_variable_names_the_instance_and_the_option_wins(seen, monkeypatch, words, expected):
    monkeypatch.setenv("NITROSIM_INSTANCE", "fromenv")

    main(words)

    assert [expected] == [args.instance for args in seen]


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["compat"], False), (["--json", "compat"], True), (["compat", "--json"], True)],
)
def test_json_may_be_asked_for_before_and_after_the_command(seen, words, expected):
    main(words)

    assert [expected] == [args.json for args in seen]


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--det", "--", "true"],
        ["run", "--debug", "--", "true"],
        ["--inst=a", "shutdown"],
        ["shutdown", "--js"],
        ["verify", "x", "--unsafe"],
        ["attest", "--debug"],
    ],
)
def test_abbreviated_option_is_refused(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)

    assert 2 == caught.value.code
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["nosuch"],
        ["run", "--cid", "x", "--", "true"],
        ["run", "--cpu-count", "0", "--", "true"],
        ["run", "--memory", "-1", "--", "true"],
        ["run", "--env", "NAME", "--", "true"],
        ["run", "--env", "=x", "--", "true"],
        ["run", "true"],
        ["shutdown", "extra"],
        ["ca", "--", "x"],
    ],
)
def test_wrong_use_ends_with_status_2(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)

    assert 2 == caught.value.code
    assert "" == capsys.readouterr().out


@pytest.mark.parametrize("words", [["run"], ["run", "--"], ["parent"], ["parent", "--"]])
def test_missing_program_ends_with_status_2_and_says_where_it_goes(words, capsys):
    assert 2 == main(words)
    assert "no command: put it after --" in capsys.readouterr().err


def test_no_command_prints_help_to_standard_error(capsys):
    assert 2 == main([])
    captured = capsys.readouterr()
    assert "" == captured.out
    assert "usage: nitrosim" in captured.err


@pytest.mark.parametrize("name", ["", ".hidden", "with space", "a/b", "x" * 33])
def test_impossible_name_of_an_instance_ends_with_status_2(name, monkeypatch, capsys):
    monkeypatch.setenv("NITROSIM_INSTANCE", name)

    assert 2 == main(["shutdown"])
    assert "nitrosim: INSTANCE_NAME: " in capsys.readouterr().err


def fail_with(error):
    def fail(_args):
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InstanceError("x", code="HYPERVISOR_GONE"), 4),
        (InstanceError("x", code="INSTANCE_DIRECTORY"), 4),
        (EnclaveError("x", code="ENCLAVE_START"), 4),
        (EnclaveError("x", code="ENCLAVE_CID"), 2),
        (EnclaveError("x", code="APP_DIR"), 2),
        (EnclaveError("x", code="ENVIRONMENT"), 2),
        (EnclaveError("x", code="COMMAND_NOT_FOUND"), 127),
        (HostNotSupportedError([Requirement("userns", "no", "yes")]), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_error_has_its_exit_status(error, status, monkeypatch):
    monkeypatch.setattr(shutdown, "run", fail_with(error))

    assert status == main(["shutdown"])


def test_error_is_one_line_on_standard_error(monkeypatch, capsys):
    monkeypatch.setattr(shutdown, "run", fail_with(InstanceError("it broke", code="REQUEST")))

    main(["shutdown"])

    assert ("", "nitrosim: REQUEST: it broke\n") == capsys.readouterr()


def test_error_is_json_on_standard_output_when_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(shutdown, "run", fail_with(InstanceError("it broke", code="REQUEST")))

    main(["shutdown", "--json"])

    expected = {"ok": False, "code": "REQUEST", "message": "it broke"}
    assert expected == json.loads(capsys.readouterr().out)


def test_lack_of_the_machine_points_to_the_doctor(monkeypatch, capsys):
    error = HostNotSupportedError([Requirement("userns", "they are forbidden", "allow them")])
    monkeypatch.setattr(shutdown, "run", fail_with(error))

    main(["shutdown"])

    message = capsys.readouterr().err
    assert "userns: they are forbidden. Fix: allow them" in message
    assert "nitrosim doctor" in message


def test_shutdown_of_an_instance_that_does_not_run_is_no_error(capsys):
    assert 0 == main(["shutdown", "--json"])
    assert {"instance": "default", "ran": False} == json.loads(capsys.readouterr().out)


def test_every_command_has_help_and_a_line_in_the_list(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])

    assert 0 == caught.value.code
    listed = capsys.readouterr().out
    for name in [
        "demo",
        "run",
        "parent",
        "verify",
        "inspect",
        "attest",
        "ca",
        "doctor",
        "compat",
        "shutdown",
    ]:
        assert f"\n    {name} " in listed
        with pytest.raises(SystemExit) as caught:
            build_parser().parse_args([name, "--help"])
        assert 0 == caught.value.code


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["run", "--help"], ["compat"]])
def test_light_command_imports_nothing_heavy(words):
    code = "import sys; from nitrosim.cli.main import main\ntry: main(sys.argv[1:])\n"
    code += "except SystemExit: pass\nprint('modules', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )

    imported = set(done.stdout.rpartition("modules ")[2].split())
    ours = {name for name in imported if name.startswith("nitrosim.")}
    assert set() == imported & HEAVY
    assert {"nitrosim.errors", "nitrosim.directories"} < ours
    assert [] == sorted(n for n in ours if n.startswith(("nitrosim.hypervisor", "nitrosim.att")))


@pytest.mark.parametrize(
    ("words", "commands"),
    [
        (["run", "--eif", "x"], ["run"]),
        (["--json", "--instance", "run", "compat"], ["compat"]),
        (["--instance=run", "ca", "path"], ["ca"]),
        ([], _COMMANDS),
        (["--help"], _COMMANDS),
        (["--instance"], _COMMANDS),
        (["runn"], _COMMANDS),
    ],
)
def test_only_the_command_that_is_called_is_loaded(words, commands):
    assert commands == _commands_of(words)


def test_version_is_that_of_the_package(capsys):
    from nitrosim import __version__  # noqa: PLC0415 - what the command does

    assert 0 == main(["--version"])
    assert f"nitrosim {__version__}\n" == capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["--json", "--version"])
    assert 0 == caught.value.code
    assert f"nitrosim {__version__}\n" == capsys.readouterr().out


def test_doctor_reports_every_requirement_and_fails_when_one_is_missing(
    monkeypatch, tmp_path, capsys
):
    device = tmp_path / "nsm"
    device.touch()
    monkeypatch.setattr("nitrosim.sandbox.hardware._DEVICES", (str(device),))

    assert 3 == main(["doctor", "--json"])

    answer = json.loads(capsys.readouterr().out)
    requirements = {entry["name"]: entry for entry in answer["requirements"]}
    assert answer["ok"] is False
    assert requirements["no-real-hardware"]["ok"] is False
    assert str(device) in requirements["no-real-hardware"]["found"]
    assert {"linux", "machine", "launcher", "kernel", "seccomp-notify", "userns"} < {*requirements}
    assert doctor.EXIT_HOST == main(["doctor"])
    assert "MISSING  no-real-hardware" in capsys.readouterr().out


@pytest.mark.parametrize("name", [None, "default"])
def test_nothing_starts_beside_real_hardware(name, monkeypatch, tmp_path):
    device = tmp_path / "nitro_enclaves"
    device.touch()
    monkeypatch.setattr("nitrosim.sandbox.hardware._DEVICES", (str(device),))

    with pytest.raises(HostNotSupportedError, match="use nitro-cli here"):
        Instance(name)

    assert [] == [path for path in tmp_path.rglob("*") if path.name == "control.sock"]


def test_run_beside_real_hardware_ends_with_status_3(monkeypatch, tmp_path, capsys):
    device = tmp_path / "nsm"
    device.touch()
    monkeypatch.setattr("nitrosim.sandbox.hardware._DEVICES", (str(device),))

    assert 3 == main(["run", "--", "true"])
    assert "this is an enclave, or an instance that can run real ones" in capsys.readouterr().err


def test_compat_prints_the_same_rows_in_three_forms(capsys):
    main(["compat"])
    text = capsys.readouterr().out.splitlines()
    main(["compat", "--markdown"])
    markdown = capsys.readouterr().out.splitlines()[2:]
    main(["compat", "--json"])
    rows = json.loads(capsys.readouterr().out)

    assert [row["call"] for row in rows] == [line.split()[0] for line in text]
    assert [f"| `{row['call']}` |" for row in rows] == [
        line[: line.index("|", 1) + 1] for line in markdown
    ]
    assert {"call", "subject", "support", "note"} == set(rows[0])
