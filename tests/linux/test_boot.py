"""Booting enclaves as nitro-cli does, on a real kernel: the port, the answer, requests, signals.

An enclave has booted when its init runs, before its program is executed; while one boots, port 9000
of the parent instance is in use.
"""

import contextlib
import os
import signal
import subprocess

import pytest

from nitrosim.backends.command import image_from_command
from nitrosim.errors import EnclaveError, InstanceError
from nitrosim.hypervisor.protocol import receive_message, send_message
from nitrosim.sandbox.operation import Operation

pytestmark = pytest.mark.needs("userns")

PATIENCE = 20
READY_PORT = 9000
CORES = ((1, 5), (2, 6), (3, 7))
NOTHING = {"cpu_ids": [], "memory_mib": 0}
KILLED = 128 + signal.SIGKILL


@pytest.fixture(scope="module")
def sleep():
    return image_from_command(["sleep", "600"])


@pytest.fixture
def ask(instance):
    with instance._asking() as connection:
        yield connection


def refused(error, caught):
    assert error == caught.value.code, caught.value


def boot_request(image):
    return {
        "op": "run",
        "name": "x",
        "memory_mib": 64,
        "memory_pool_mib": 4096,
        "debug_mode": False,
        "boot": True,
        "operations": [(o.name, *o.arguments) for o in image.operations],
        "command": image.command,
        "environment": {},
        "pcrs": {},
    }


# ---- booting ----


def test_an_enclave_does_not_boot_while_its_port_is_in_use(boot, instance, sleep, lent):
    with instance.listen(READY_PORT):
        with pytest.raises(EnclaveError, match="port 9000 of CID 3 is in use") as caught:
            boot(sleep, cid=5000)
        refused("ENCLAVE_BOOT", caught)
        assert NOTHING == lent()
        # Only who starts it as nitro-cli does waits there.
        boot(sleep, boot=False, sockets=None).terminate()

    assert 5000 == boot(sleep, cid=5000).cid


def test_an_enclave_does_not_boot_while_a_program_of_the_parent_has_its_port(
    boot, run_parent, sleep
):
    program = run_parent("sockets", "listen_without_accepting", READY_PORT, stdout=subprocess.PIPE)
    assert "listening\n" == program.stdout.readline()
    with pytest.raises(EnclaveError) as caught:
        boot(sleep)
    refused("ENCLAVE_BOOT", caught)
    program.kill()
    program.wait()

    boot(sleep)


def test_the_port_is_free_after_the_boot(boot, instance, sleep):
    boot(sleep)
    boot(sleep)

    instance.listen(READY_PORT).close()


def test_the_port_is_free_after_a_boot_that_failed(boot, instance, sleep):
    for operation in (
        Operation("no-such-operation", ()),
        Operation("ro-bind", ("/no/such/file", "/x")),
        Operation("dir", ("/usr/new",)),
    ):
        with pytest.raises(EnclaveError) as caught:
            boot(sleep._replace(operations=(*sleep.operations, operation)))
        refused("ENCLAVE_START", caught)
        instance.listen(READY_PORT).close()


def test_an_enclave_that_cannot_even_be_tried_leaves_nothing_behind(boot, instance, sleep, lent):
    # No program is executed with a string that is longer than 128 KiB.
    with pytest.raises(EnclaveError, match="Argument list too long") as caught:
        boot(sleep._replace(environment={"LONG": "x" * 200_000}), cid=5000)
    refused("ENCLAVE_START", caught)

    assert NOTHING == lent()
    instance.listen(READY_PORT).close()
    assert 5000 == boot(sleep, cid=5000).cid


def test_of_two_boots_at_the_same_time_the_second_fails(instance, sleep, lent):
    with instance._asking() as first, instance._asking() as second:
        for ask in (first, second):
            ask.request("reserve", cores=CORES, cpu_count=2)
        hypervisor = instance._pid
        os.kill(hypervisor, signal.SIGSTOP)
        os.waitid(os.P_PID, hypervisor, os.WSTOPPED)
        for ask in (first, second):
            send_message(ask._sock, boot_request(sleep))
        os.kill(hypervisor, signal.SIGCONT)
        answers = []
        for ask in (first, second):
            answer, fds = receive_message(ask._sock)
            answers.append(answer)
            for fd in fds:
                os.close(fd)

        assert [True, False] == sorted((answer["ok"] for answer in answers), reverse=True)
        (failed,) = [answer for answer in answers if not answer["ok"]]
        assert "ENCLAVE_BOOT" == failed["code"]
        assert 64 == lent()["memory_mib"]


def test_an_enclave_has_booted_whether_or_not_its_program_can_be_executed(boot, sleep):
    enclave = boot(sleep._replace(command=("/no/such/program",)))

    assert b"execvpe: /no/such/program: No such file or directory\r\n" == (
        enclave.console.read_all(timeout=PATIENCE)
    )
    assert 126 == enclave.wait(timeout=PATIENCE)


def test_who_does_not_boot_is_told_what_cannot_be_executed(boot, sleep):
    with pytest.raises(EnclaveError, match="cannot execute /no/such/program") as caught:
        boot(sleep._replace(command=("/no/such/program",)), boot=False)
    refused("ENCLAVE_START", caught)


# ---- requests that are none ----


@pytest.mark.parametrize(
    "fields",
    [
        {"memory_mib": "much"},
        {"memory_mib": None},
        {"memory_mib": float("inf")},
        {"sockets": 5},
        {"sockets": "/tmp/\0"},
        {"sockets": "\ud800"},
        {"log": ["x"]},
        {"pcrs": {"0": "no digits"}},
        {"pcrs": {"0": "00"}},
        {"pcrs": {"99": "00" * 48}},
        {"operations": [["dir", 5]]},
        {"operations": [5]},
        {"command": ["sleep\0"]},
        {"command": None},
        {"environment": {"NAME": 5}},
        {"environment": 5},
    ],
    ids=str,
)
def test_a_request_that_is_none_harms_nobody(instance, ask, sleep, lent, fields):
    ask.request("reserve", cores=CORES, cpu_count=2)
    send_message(ask._sock, boot_request(sleep) | fields)
    answer, _fds = receive_message(ask._sock)

    assert (False, "PROTOCOL") == (answer["ok"], answer["code"])
    assert NOTHING == lent()
    assert [] == instance.enclaves()


@pytest.mark.parametrize("kind", ["directory", "pipe", "unreadable"])
def test_metadata_come_in_a_file(ask, sleep, tmp_path, lent, kind):
    ask.request("reserve", cores=CORES, cpu_count=2)
    with contextlib.ExitStack() as ends:
        if kind == "pipe":
            fd, writer = os.pipe()  # nobody writes to it
            ends.callback(os.close, writer)
        elif kind == "directory":
            fd = os.open(tmp_path, os.O_RDONLY)
        else:
            fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
        ends.callback(os.close, fd)
        with pytest.raises(InstanceError) as caught:
            ask.request(
                "run",
                fds=(fd,),
                name="x",
                memory_mib=64,
                memory_pool_mib=4096,
                debug_mode=False,
                operations=[],
                command=sleep.command,
                environment={},
                pcrs={},
            )

    refused("PROTOCOL", caught)
    assert NOTHING == lent()


# ---- SIGTERM ----


def test_sigterm_ends_an_enclave(boot, sleep, lent):
    enclave = boot(sleep)
    os.kill(enclave.pid, signal.SIGTERM)

    assert KILLED == enclave.wait(timeout=PATIENCE)
    assert NOTHING == lent()


def test_sigterm_ends_an_enclave_whose_program_ignores_it(boot):
    enclave = boot(image_from_command(["sh", "-c", "trap '' TERM; echo ready; sleep 600"]))
    enclave.console.wait_for(b"ready", timeout=PATIENCE)
    os.kill(enclave.pid, signal.SIGTERM)

    assert KILLED == enclave.wait(timeout=PATIENCE)


def test_sigterm_from_inside_does_nothing_to_the_enclave(boot):
    """The init of a real enclave blocks all signals."""
    sent = "kill -TERM 1; while grep -q '^ShdPnd:.*4...$' /proc/1/status; do :; done; exit 3"

    assert 3 == boot(image_from_command(["sh", "-c", sent])).wait(timeout=PATIENCE)
