"""Starting enclaves: names, numbers, what cannot be started, and how a program ended."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nitrosim.backends.command import image_from_command
from nitrosim.backends.image import EnclaveImage
from nitrosim.errors import EnclaveError, EnclaveTimeoutError
from nitrosim.sandbox.operation import Operation

pytestmark = pytest.mark.needs("userns")


@pytest.mark.parametrize("status", [0, 1, 42, 126, 127, 128, 255])
def test_the_status_is_that_of_the_program(run_enclave, status):
    assert status == run_enclave("sh", "-c", f"exit {status}").wait(timeout=20)


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "KILL", "SEGV", "USR1", "PIPE"])
def test_a_program_that_a_signal_ends_has_the_status_a_shell_would_give_it(run_enclave, name):
    enclave = run_enclave("sh", "-c", f"kill -{name} $$")

    assert 128 + signal.Signals[f"SIG{name}"] == enclave.wait(timeout=20)


def test_the_end_is_not_waited_for_beyond_the_timeout(run_enclave):
    with pytest.raises(EnclaveTimeoutError):
        run_enclave("sleep", "600").wait(timeout=0.01)


def test_a_port_is_not_waited_for_beyond_the_timeout(run_enclave):
    enclave = run_enclave("sleep", "600")
    with pytest.raises(EnclaveTimeoutError):
        enclave.connect(5000, timeout=0.01)


def test_a_port_is_looked_at_once_without_timeout(run_enclave):
    with pytest.raises(EnclaveError) as caught:
        run_enclave("sleep", "600").connect(5000, timeout=0)
    assert "CONNECTION_RESET" == caught.value.code


def altered(image, *, command=None, operations=None):
    return EnclaveImage(
        name=image.name,
        operations=operations or image.operations,
        command=command or image.command,
        environment=image.environment,
        pcrs=image.pcrs,
    )


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("/etc/passwd", "Permission denied"),
        ("/usr", "Permission denied"),
        ("/no/such/program", "No such file or directory"),
        ("no-such-program", "No such file or directory"),
    ],
)
def test_what_cannot_be_executed_is_refused_with_the_reason(instance, command, reason):
    image = altered(image_from_command(["true"]), command=(command,))

    with pytest.raises(EnclaveError) as caught:
        instance.run_image(image)
    assert "ENCLAVE_START" == caught.value.code
    assert f"cannot execute {command}: {reason}" in str(caught.value)


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Operation("ro-bind", ("/no/such/source", "/x")), "/no/such/source: No such file"),
        (Operation("overlay", ("/etc/passwd", "/x")), "/etc/passwd: Not a directory"),
        (Operation("dir", ("/usr/new",)), "/usr/new: Read-only file system"),
        (Operation("no-such-operation", ()), "--no-such-operation: Invalid argument"),
    ],
)
def test_a_file_system_that_cannot_be_made_is_refused_with_the_reason(instance, operation, reason):
    image = image_from_command(["true"])
    image = altered(image, operations=(*image.operations, operation))

    with pytest.raises(EnclaveError) as caught:
        instance.run_image(image)
    assert "ENCLAVE_START" == caught.value.code
    assert reason in str(caught.value)


def test_an_enclave_that_did_not_start_leaves_nothing(instance, run_enclave):
    image = altered(image_from_command(["true"]), command=("/etc/passwd",))
    with pytest.raises(EnclaveError):
        instance.run_image(image, cid=900)

    assert [] == [one for one in instance.enclaves() if one.cid == 900]
    assert 900 == run_enclave("true", cid=900).cid


def test_a_script_whose_interpreter_is_missing_is_refused(run_enclave, tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)

    with pytest.raises(EnclaveError) as caught:
        run_enclave(script, app_dir=tmp_path)
    assert "ENCLAVE_START" == caught.value.code
    assert "/app/script" in str(caught.value)


def test_a_script_that_names_no_interpreter_is_run_by_the_shell(run_enclave, tmp_path):
    script = tmp_path / "script"
    script.write_text("echo run by $0 with $1\n")
    script.chmod(0o755)
    enclave = run_enclave(script, "argument", app_dir=tmp_path)

    assert b"run by /app/script with argument\r\n" == enclave.console.read_all(timeout=20)


def test_a_command_that_is_not_on_the_path_is_refused(run_enclave):
    with pytest.raises(EnclaveError) as caught:
        run_enclave("no-such-command-anywhere")
    assert "COMMAND_NOT_FOUND" == caught.value.code


@pytest.mark.parametrize("cid", [0, 1, 2, 3, -1, 2**32 - 1, 2**32])
def test_a_cid_that_is_somebody_elses_is_refused(run_enclave, cid):
    with pytest.raises(EnclaveError) as caught:
        run_enclave("true", cid=cid)
    assert "ENCLAVE_CID" == caught.value.code


def test_a_cid_that_is_taken_is_refused(run_enclave):
    run_enclave("sleep", "600", cid=700)
    with pytest.raises(EnclaveError) as caught:
        run_enclave("true", cid=700)
    assert "ENCLAVE_CID" == caught.value.code


def test_enclaves_are_numbered_one_after_the_other(run_enclave):
    first, second = run_enclave("true"), run_enclave("true")

    assert first.cid >= 16
    assert first.cid + 1 == second.cid


def test_names_are_made_unique_while_their_enclaves_run(instance, run_enclave):
    enclaves = [run_enclave("sleep", "600", name="same") for _ in range(3)]

    assert ["same", "same_1", "same_2"] == [enclave.name for enclave in enclaves]
    assert enclaves[1].cid == instance.enclave("same_1").cid
    enclaves[1].terminate()
    assert "same_1" == run_enclave("sleep", "600", name="same").name


def test_an_enclave_is_called_like_its_program(run_enclave):
    assert "sleep" == run_enclave(Path("/usr/bin/sleep"), "600").name


def test_running_enclaves_are_found_by_name_and_id(instance, run_enclave):
    enclave = run_enclave("sh", "-c", "echo said before; exec sleep 600", name="wanted")
    enclave.console.wait_for(b"before", timeout=20)

    for key in ("wanted", enclave.module_id):
        found = instance.enclave(key)
        assert enclave.cid == found.cid
        assert b"said before\r\n" in found.console.wait_for(b"before", timeout=20)
        found.console.close()
    assert enclave.cid in [one.cid for one in instance.enclaves()]
    enclave.terminate()
    with pytest.raises(EnclaveError) as caught:
        instance.enclave("wanted")
    assert "NO_SUCH_ENCLAVE" == caught.value.code


def test_the_measurements_are_those_of_the_image_unless_it_is_debugged(run_enclave):
    plain, again, debugged = (
        run_enclave("true"),
        run_enclave("true"),
        run_enclave("true", debug_mode=True),
    )

    assert plain.pcrs == again.pcrs
    assert dict(image_from_command(["true"]).pcrs) == {n: plain.pcrs[n] for n in range(3)}
    assert [bytes(48)] * 3 == [debugged.pcrs[n] for n in range(3)]
    assert plain.pcrs[4] == debugged.pcrs[4] != bytes(48)


def test_the_module_answers_the_parent_without_a_program(run_enclave):
    enclave = run_enclave("sleep", "600")

    answer = enclave.nsm_request(b"\x6bDescribeNSM")
    assert enclave.module_id.encode() in answer


def test_a_program_that_floods_its_console_loses_the_oldest_lines_only(run_enclave):
    enclave = run_enclave("seq", "-w", "0", "599999")
    assert 0 == enclave.wait(timeout=20)
    lines = enclave.console.read_all(timeout=20).splitlines()

    assert b"599999" == lines[-1]
    numbers = [int(line) for line in lines if line.isdigit() and len(line) == 6]
    assert sorted(numbers) == numbers


def test_nothing_of_the_callers_directory_is_executed(tmp_path):
    (tmp_path / "selectors.py").write_text("raise SystemExit('executed')\n")
    program = "from nitrosim import Instance\nwith Instance() as i: print(i.instance_id)"
    command = [sys.executable, "-P", "-c", program]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("i-")
