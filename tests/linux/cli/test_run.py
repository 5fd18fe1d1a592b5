"""nitrosim run: console, exit status, options, and that it leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nitrosim.errors import EnclaveError
from nitrosim.instance import Instance

pytestmark = pytest.mark.needs("userns")
PATIENCE = 30
EIFS = Path(__file__).resolve().parents[3] / "fixtures" / "eif"


@pytest.fixture
def instance(home):  # noqa: ARG001 - where the instance is
    with Instance("cli") as instance:
        yield instance


def test_console_is_shown_and_standard_error_with_it(nitrosim):
    done = nitrosim("run", "--", "sh", "-c", "echo out; echo err >&2")

    assert (0, "out\nerr\n", "") == (done.returncode, done.stdout, done.stderr)


def test_console_is_shown_while_the_program_runs(start_nitrosim):
    process = start_nitrosim("run", "--", "sh", "-c", "echo ready; exec cat")

    assert b"ready\r\n" == process.stdout.readline()
    assert process.poll() is None


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: so is the image")
def test_image_file_is_run_with_what_it_brings(nitrosim):
    done = nitrosim("run", "--eif", EIFS / "hello-unsigned.eif")

    assert (3, "") == (done.returncode, done.stderr)
    assert "argv 2=two words" in done.stdout
    assert "env EQ=a=b=c" in done.stdout


def test_image_file_that_would_not_boot_is_refused(nitrosim):
    done = nitrosim("run", "--eif", EIFS / "bad-crc.eif")

    assert (4, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("nitrosim: CRC: ")


@pytest.mark.parametrize(
    "words", [(), ("--eif", "x.eif", "--", "true"), ("--eif", "x.eif", "--env", "A=1")]
)
def test_either_a_command_or_an_image_file_is_run(nitrosim, words):
    done = nitrosim("run", *words)

    assert (2, "") == (done.returncode, done.stdout)
    assert "--eif" in done.stderr


@pytest.mark.parametrize("status", [0, 1, 3, 126, 255])
def test_exit_status_is_that_of_the_program(nitrosim, status):
    assert status == nitrosim("run", "--", "sh", "-c", f"exit {status}").returncode


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_program_ended_by_a_signal_gives_128_and_its_number(nitrosim, number):
    done = nitrosim("run", "--", "sh", "-c", f"kill -{int(number)} $$")

    assert 128 + number == done.returncode


def test_environment_is_a_path_and_what_is_given(nitrosim):
    done = nitrosim("run", "--env", "A=1", "--env", "B=x=y", "--", "env", env={"SECRET": "s"})

    variables = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert {"PATH", "A", "B"} == set(variables)
    assert ("1", "x=y") == (variables["A"], variables["B"])


@pytest.mark.parametrize("command", ["/app/greet", "app/greet"])
def test_program_of_the_application_directory_runs_under_app(nitrosim, home, command):
    app = home / "app"
    app.mkdir(exist_ok=True)
    (app / "greet").write_text("#!/bin/sh\necho $0; echo new > /app/file; cat /app/file\n")
    (app / "greet").chmod(0o755)

    done = nitrosim("run", "--app-dir", "app", "--", command)

    assert (0, "/app/greet\nnew\n") == (done.returncode, done.stdout)
    assert ["greet"] == [path.name for path in app.iterdir()]


def test_argument_that_names_a_file_of_the_application_is_remarked_upon(nitrosim, home):
    app = home / "remarks"
    app.mkdir()
    (app / "data").write_text("x")

    done = nitrosim("run", "--app-dir", app, "--", "cat", "data")

    assert 1 == done.returncode
    assert "nitrosim run: note: data is a file of the application directory" in done.stderr
    assert "write /app/data" in done.stderr


def test_slow_reader_loses_nothing(start_nitrosim, instance):
    lines = 1_200_000  # three times what is kept for readers who may lose some
    process = start_nitrosim("run", "--name", "counter", "--", "seq", lines)
    first = process.stdout.readline()
    # Some megabytes further nobody has read anything yet, and the program is held back.
    instance.enclave("counter").console.wait_for(b"\n100000\r\n", PATIENCE)

    output = first + process.stdout.read()

    assert lines == len(output.split())
    assert b"".join(b"%d\r\n" % n for n in range(1, lines + 1)) == output
    assert 0 == process.wait(PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_the_enclave(start_nitrosim, instance, number):
    process = start_nitrosim("run", "--name", "signalled", "--", "sh", "-c", "echo up; exec cat")
    process.stdout.readline()
    enclave = instance.enclave("signalled")

    process.send_signal(number)

    assert 128 + number == process.wait(PATIENCE)
    assert 137 == enclave.wait(PATIENCE)


def test_killed_command_takes_its_enclave_along(start_nitrosim, instance):
    process = start_nitrosim("run", "--name", "orphan", "--", "sh", "-c", "echo up; exec cat")
    process.stdout.readline()
    enclave = instance.enclave("orphan")

    process.kill()

    assert 137 == enclave.wait(PATIENCE)


def test_reader_that_goes_away_ends_the_enclave_quietly(start_nitrosim, instance):
    process = start_nitrosim("run", "--name", "yes", "--", "yes", stderr=subprocess.PIPE)
    process.stdout.readline()
    enclave = instance.enclave("yes")

    process.stdout.close()

    assert 137 == enclave.wait(PATIENCE)
    assert 141 == process.wait(PATIENCE)
    assert b"" == process.stderr.read()


def test_detached_enclave_is_described_as_nitro_cli_does(nitrosim, instance):
    words = ["--name", "bg", "--cid", 77, "--cpu-count", 4, "--memory", 256]
    done = nitrosim("run", "--detach", *words, "--", "cat")

    enclave = instance.enclave("bg")
    prefix, _enc, number = enclave.module_id.partition("-enc")
    expected = {
        "EnclaveName": "bg",
        "EnclaveID": f"{prefix}-enc{number.lstrip('0')}",
        "ProcessID": enclave.pid,
        "EnclaveCID": 77,
        "NumberOfCPUs": 4,
        "CPUIDs": list(enclave.cpu_ids),
        "MemoryMiB": 256,
    }
    assert (0, json.dumps(expected, indent=2) + "\n") == (done.returncode, done.stdout)
    assert 4 == len(enclave.cpu_ids)
    enclave.terminate()


def test_detached_enclaves_of_the_same_command_get_names_of_their_own(nitrosim, instance):
    names = [
        json.loads(nitrosim("run", "--detach", "--", "cat").stdout)["EnclaveName"] for _ in range(2)
    ]

    assert ["cat", "cat_1"] == names
    for name in names:
        instance.enclave(name).terminate()


def test_detached_enclave_is_found_by_nitro_cli(nitrosim, home):
    printed = json.loads(nitrosim("run", "--detach", "--name", "seen", "--", "cat").stdout)

    def nitro_cli(*words):
        command = [sys.executable, "-m", "nitrosim.cli.nitro_cli.main", *words]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    found = {enclave["EnclaveName"]: enclave for enclave in nitro_cli("describe-enclaves")}
    assert printed.items() <= found["seen"].items()
    assert "RUNNING" == found["seen"]["State"]
    ended = nitro_cli("terminate-enclave", "--enclave-id", printed["EnclaveID"])
    assert ended["Terminated"]
    assert "seen" not in str(nitro_cli("describe-enclaves"))


def test_debug_mode_zeroes_the_measurements_in_documents(nitrosim, instance):
    nitrosim("run", "--detach", "--debug-mode", "--name", "debug", "--", "cat")
    nitrosim("attest", "--enclave", "debug", "-o", "debug.cbor")

    done = nitrosim("inspect", "--json", "debug.cbor")

    document = json.loads(done.stdout)["unverified"]
    assert document["debug"] is True
    assert ["00" * 48] * 3 == [document["pcrs"][index] for index in "012"]
    assert "00" * 48 != document["pcrs"]["4"]
    instance.enclave("debug").terminate()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--", "no-such-program"], 127, "COMMAND_NOT_FOUND: command not found: no-such-program"),
        (["--", "/etc/passwd"], 127, "COMMAND_NOT_FOUND: "),
        (["--app-dir", "/no/such", "--", "true"], 2, "APP_DIR: "),
        (["--cid", "3", "--", "true"], 2, "ENCLAVE_CID: an enclave cannot have CID 3"),
        (["--cpu-count", "5000", "--", "true"], 4, "ENCLAVE_CPUS: "),
    ],
)
def test_what_cannot_be_started_is_one_line(nitrosim, words, status, message):
    done = nitrosim("run", *words)

    assert (status, "", 1) == (done.returncode, done.stdout, done.stderr.count("\n"))
    assert done.stderr.startswith(f"nitrosim: {message}")


def test_taken_cid_is_refused(nitrosim, instance):
    enclave = instance.run_enclave(["cat"], cid=99)

    done = nitrosim("run", "--cid", 99, "--", "true")

    assert 2 == done.returncode
    assert "CID 99 is taken by another enclave" in done.stderr
    enclave.terminate()


@pytest.mark.parametrize("mode", [[], ["--detach"]])
def test_program_with_a_missing_interpreter_is_an_error_and_leaves_no_enclave(
    nitrosim, instance, home, mode
):
    app = home / "broken"
    app.mkdir(exist_ok=True)
    (app / "program").write_text("#!/no/such/interpreter\n")
    (app / "program").chmod(0o755)

    done = nitrosim("run", *mode, "--name", "broken", "--app-dir", app, "--", "/app/program")

    assert (4, "") == (done.returncode, done.stdout)
    assert "ENCLAVE_START: cannot execute /app/program: No such file or directory" in done.stderr
    with pytest.raises(EnclaveError, match="broken"):
        instance.enclave("broken")
