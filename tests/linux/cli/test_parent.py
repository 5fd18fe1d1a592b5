"""nitrosim parent: the program is as if it had been started without."""

import signal
import subprocess

import pytest

pytestmark = pytest.mark.needs("userns")
PATIENCE = 30

ASK_CID = """
import fcntl, struct
with open("/dev/vsock", "rb") as device:
    print(struct.unpack("I", fcntl.ioctl(device, 0x7B9, bytes(4)))[0])
"""


def test_standard_streams_pass_through(nitrosim):
    done = nitrosim("parent", "--", "sh", "-c", "cat; echo oops >&2", input="through and through")

    assert ("through and through", "oops\n") == (done.stdout, done.stderr)


@pytest.mark.parametrize("status", [0, 1, 42, 255])
def test_exit_status_passes_through(nitrosim, status):
    assert status == nitrosim("parent", "--", "sh", "-c", f"exit {status}").returncode


def test_program_takes_the_place_of_the_command(start_nitrosim):
    process = start_nitrosim("parent", "--", "sh", "-c", "echo $$")

    output, _nothing = process.communicate(timeout=PATIENCE)

    assert process.pid == int(output)


def test_signals_reach_the_program(start_nitrosim):
    script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do read line; done"
    process = start_nitrosim("parent", "--", "sh", "-c", script, stdin=subprocess.PIPE)
    process.stdout.readline()

    process.send_signal(signal.SIGTERM)
    output, _nothing = process.communicate(timeout=PATIENCE)

    assert (b"caught\n", 5) == (output, process.returncode)


def test_signal_without_a_handler_ends_the_program_as_a_signal(start_nitrosim):
    process = start_nitrosim("parent", "--", "sh", "-c", "echo ready; exec cat", stdin=-1)
    process.stdout.readline()

    process.terminate()

    assert -signal.SIGTERM == process.wait(PATIENCE)


def test_program_writing_to_a_closed_pipe_gets_sigpipe(start_nitrosim):
    process = start_nitrosim("parent", "--", "yes")
    process.stdout.readline()

    process.stdout.close()

    assert -signal.SIGPIPE == process.wait(PATIENCE)


def test_directory_and_environment_pass_through(nitrosim, home):
    done = nitrosim("parent", "--", "sh", "-c", 'pwd; echo "$COLOUR"', env={"COLOUR": "green"})

    assert f"{home}\ngreen\n" == done.stdout


def test_options_after_the_dashes_belong_to_the_program(nitrosim):
    done = nitrosim("parent", "--", "echo", "--instance", "x", "--", "--json")

    assert "--instance x -- --json\n" == done.stdout


def test_program_and_its_children_are_cid_3(nitrosim):
    done = nitrosim("parent", "--", "sh", "-c", 'python3 -c "$0"; echo end', ASK_CID)

    assert "3\nend\n" == done.stdout


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("no-such-program", 127, "No such file or directory"),
        ("/no/such/program", 127, "No such file or directory"),
        ("/etc/passwd", 126, "Permission denied"),
        ("/etc", 126, "Permission denied"),
    ],
)
def test_program_that_cannot_be_executed_has_the_status_of_a_shell(
    nitrosim, command, status, message
):
    done = nitrosim("parent", "--", command)

    expected = f"nitrosim parent: {command}: {message}\n"
    assert (status, "", expected) == (done.returncode, done.stdout, done.stderr)


def test_parent_inside_a_parent_says_why_not(nitrosim):
    inner = ["python3", "-m", "nitrosim.cli.main", "parent", "--", "true"]

    done = nitrosim("parent", "--", *inner)

    assert 126 == done.returncode
    expected = "nitrosim parent: cannot install the system call filter: Device or resource busy\n"
    assert expected == done.stderr
