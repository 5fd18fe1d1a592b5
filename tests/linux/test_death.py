"""Who dies with whom: programs, enclaves, the hypervisor, its client. Nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from nitrosim.errors import EnclaveError, HostNotSupportedError, InstanceError, Requirement
from nitrosim.hypervisor.client import Connection
from nitrosim.hypervisor.protocol import receive_message, send_message
from nitrosim.instance import Instance

pytestmark = pytest.mark.needs("userns")

PORT = 5000
REPOSITORY = Path(__file__).resolve().parent.parent.parent
KILLED = 128 + signal.SIGKILL


@pytest.fixture
def doomed():
    """Return an instance that does not outlive the test, and its hypervisor's process id."""
    with Instance() as instance, instance._asking() as ask:
        yield instance, ask.request("hello")["pid"]


@pytest.fixture
def watch():
    """Return a function that opens a pidfd, while the process lives."""
    pidfds = []

    def watch(pid):
        pidfds.append(os.pidfd_open(pid))
        return pidfds[-1]

    yield watch
    for pidfd in pidfds:
        os.close(pidfd)


def kill_hypervisor(pid, watch, await_death):
    pidfd = watch(pid)
    os.kill(pid, signal.SIGKILL)
    await_death(pidfd)


# ---- the program ----


def test_a_program_may_exit_while_a_thread_of_it_waits_in_accept(run_program):
    enclave = run_program("sockets", "exit_while_a_thread_accepts")

    assert 3 == enclave.wait(timeout=20)


def test_a_program_may_execute_another_while_a_thread_of_it_waits_in_accept(run_program, result):
    assert [True] == result(run_program("sockets", "execute_while_a_thread_accepts"))


def test_an_enclave_that_is_terminated_was_killed(run_enclave):
    enclave = run_enclave("sleep", "600")

    assert KILLED == enclave.terminate()
    assert KILLED == enclave.terminate() == enclave.wait(timeout=0)


def test_an_enclave_that_has_ended_keeps_its_status(run_enclave):
    enclave = run_enclave("sh", "-c", "exit 5")
    enclave.wait(timeout=20)

    assert 5 == enclave.terminate()


def test_every_process_of_an_enclave_ends_with_its_program(run_enclave, watch, await_death):
    enclave = run_enclave("sh", "-c", "sleep 600 & sleep 600 & echo started; exec sleep 600")
    enclave.console.wait_for(b"started", timeout=20)
    inits = watch(enclave.pid)
    enclave.terminate()

    await_death(inits)
    assert not Path(f"/proc/{enclave.pid}").exists()


def test_connections_of_an_enclave_end_with_it(run_program):
    enclave = run_program("sockets", "hold_a_listener", PORT)
    with enclave.connect(PORT, timeout=20) as connection:
        enclave.console.wait_for(b"accepted", timeout=20)
        enclave.terminate()
        connection.settimeout(20)

        assert b"" == connection.recv(1)
        with pytest.raises(BrokenPipeError):
            connection.sendall(b"x")


def test_an_enclave_that_has_ended_cannot_be_connected_to(run_enclave):
    enclave = run_enclave("true")
    enclave.wait(timeout=20)

    with pytest.raises(EnclaveError) as caught:
        enclave.connect(PORT)
    assert "ENCLAVE_ENDED" == caught.value.code


def test_who_waits_for_a_port_is_told_that_the_enclave_ended(instance, run_enclave):
    enclave = run_enclave("sleep", "600")
    number = next(one for one in instance.enclaves() if one.cid == enclave.cid)._number
    with instance._asking() as ask:
        send_message(ask._sock, {"op": "connect", "enclave": number, "port": PORT, "timeout": 20})
        enclave.terminate()
        answer, fds = receive_message(ask._sock)

    assert (False, "ENCLAVE_ENDED", []) == (answer["ok"], answer["code"], fds)


def test_who_waits_for_the_end_is_told_the_status(run_enclave):
    enclave = run_enclave("sleep", "600")
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(enclave.wait(timeout=20))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    enclave.terminate()
    for thread in threads:
        thread.join()

    assert [KILLED] * 3 == statuses


def test_the_port_of_an_enclave_is_gone_with_it_and_its_cid_may_be_used_again(run_program):
    first = run_program("sockets", "listen_without_accepting", PORT, cid=500)
    first.console.wait_for(b"listening", timeout=20)
    first.terminate()
    second = run_program("sockets", "listen_without_accepting", PORT, cid=500)
    second.console.wait_for(b"listening", timeout=20)

    second.connect(PORT, timeout=0).close()


# ---- the hypervisor ----


def test_enclaves_die_with_the_hypervisor(doomed, watch, await_death):
    instance, pid = doomed
    enclaves = [instance.run_enclave(["sleep", "600"]) for _ in range(3)]
    pidfds = [watch(enclave.pid) for enclave in enclaves]

    kill_hypervisor(pid, watch, await_death)

    for pidfd in pidfds:
        await_death(pidfd)


def test_a_client_is_told_that_the_hypervisor_is_gone(doomed, watch, await_death):
    instance, pid = doomed
    enclave = instance.run_enclave(["sleep", "600"])
    kill_hypervisor(pid, watch, await_death)

    for ask in (
        lambda: instance.run_enclave(["true"]),
        lambda: enclave.connect(PORT),
        enclave.wait,
        enclave.terminate,
        instance.enclaves,
        lambda: instance.listen(9000),
    ):
        with pytest.raises(InstanceError) as caught:
            ask()
        assert "HYPERVISOR_GONE" == caught.value.code


def test_who_waits_when_the_hypervisor_dies_is_told(doomed, watch, await_death):
    instance, pid = doomed
    enclave = instance.run_enclave(["sleep", "600"])
    with instance._asking() as ask:
        send_message(ask._sock, {"op": "wait", "enclave": enclave.name, "timeout": None})
        kill_hypervisor(pid, watch, await_death)
        waiting = Connection(ask._sock, instance._places)
        with pytest.raises(InstanceError) as caught:
            waiting.request("hello")

    assert "HYPERVISOR_GONE" == caught.value.code


def test_without_the_hypervisor_there_are_no_vsock_sockets(doomed, watch, await_death):
    instance, pid = doomed
    program = REPOSITORY / "tests" / "linux" / "programs" / "sockets.py"
    with instance.popen_parent(
        [sys.executable, "-S", "-E", program, "make_after_a_word"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NITROSIM_INSIDE": "1"},
    ) as parent:
        assert parent.stdout.readline() == "ready\n"
        parent.stdin.write("with the hypervisor\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "ready\n"
        kill_hypervisor(pid, watch, await_death)
        output, _errors = parent.communicate("without\n", timeout=20)

    assert ["", "ENOSYS"] == json.loads(output)


def test_the_directory_of_a_killed_hypervisor_is_removed_when_the_instance_is_closed(
    watch, await_death
):
    instance = Instance()
    runtime = instance._places.runtime
    with instance._asking() as ask:
        pid = ask.request("hello")["pid"]
    kill_hypervisor(pid, watch, await_death)
    assert runtime.exists()

    instance.close()

    assert not runtime.exists()


def test_an_instance_that_cannot_start_leaves_nothing(short_runtime, monkeypatch):
    # The hypervisor is a Python program: this is one that it cannot load.
    (short_runtime.parent / "json.py").write_text("raise ImportError('broken on purpose')\n")
    monkeypatch.setenv("PYTHONPATH", str(short_runtime.parent))
    before = set(Path("/proc/self/fd").iterdir())

    with pytest.raises(InstanceError, match="broken on purpose") as caught:
        Instance()

    assert "HYPERVISOR_GONE" == caught.value.code
    assert [] == list(short_runtime.iterdir())
    # What others have left may be collected meanwhile.
    assert set() == set(Path("/proc/self/fd").iterdir()) - before


def test_an_instance_that_may_not_start_leaves_nothing(short_runtime, monkeypatch):
    def refuse():
        raise HostNotSupportedError([Requirement("no-real-hardware", "/dev/nsm exists", "leave")])

    monkeypatch.setattr("nitrosim.hypervisor.client.refuse_real_hardware", refuse)

    with pytest.raises(HostNotSupportedError):
        Instance()

    assert [] == list(short_runtime.iterdir())


# ---- the client ----


def test_closing_an_instance_leaves_nothing(watch, await_death):
    instance = Instance()
    runtime = instance._places.runtime
    enclave = instance.run_enclave(["sleep", "600"])
    with instance._asking() as ask:
        hypervisor = watch(ask.request("hello")["pid"])
    init = watch(enclave.pid)

    instance.close()

    await_death(init)
    await_death(hypervisor)
    assert not runtime.exists()


def test_an_instance_may_be_closed_twice():
    instance = Instance()
    instance.close()
    instance.close()

    with pytest.raises(InstanceError) as caught:
        instance.run_enclave(["true"])
    assert "INSTANCE_CLOSED" == caught.value.code


@pytest.fixture
def short_runtime(monkeypatch):
    """Keep instances of this test in a directory of its own: its path has to be short."""
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp") as directory:
        monkeypatch.setenv("XDG_RUNTIME_DIR", directory)
        yield Path(directory, "nitrosim")


@pytest.fixture
def client(short_runtime):
    """Start a client of its own process; yield it with what it says."""
    assert not short_runtime.exists()
    with subprocess.Popen(
        [sys.executable, REPOSITORY / "tests" / "linux" / "programs" / "client.py"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path[1:]])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, json.loads(process.stdout.readline())
        process.kill()


def test_everything_ends_with_a_client_that_is_killed(client, short_runtime, watch, await_death):
    process, facts = client
    assert [Path(facts["runtime"])] == list(short_runtime.iterdir())
    pidfds = [watch(pid) for pid in (*facts["enclaves"], facts["hypervisor"])]

    process.kill()

    for pidfd in pidfds:
        await_death(pidfd)
    assert [] == list(short_runtime.iterdir())


def test_the_next_instance_removes_what_was_left_when_both_were_killed(
    client, short_runtime, watch, await_death
):
    process, facts = client
    pidfds = [watch(pid) for pid in (*facts["enclaves"], facts["hypervisor"])]
    os.kill(facts["hypervisor"], signal.SIGKILL)
    process.kill()
    for pidfd in pidfds:
        await_death(pidfd)
    assert [Path(facts["runtime"])] == list(short_runtime.iterdir())

    with Instance() as instance:
        assert [instance._places.runtime] == list(short_runtime.iterdir())

    assert [] == list(short_runtime.iterdir())


def test_an_instance_leaves_the_directories_of_living_ones_alone(client, short_runtime):
    process, facts = client
    with Instance() as one, Instance() as two:
        expected = {Path(facts["runtime"]), one._places.runtime, two._places.runtime}
        assert expected == set(short_runtime.iterdir())
        assert 0 == two.run_enclave(["true"]).wait(timeout=20)
        assert 0 == one.run_enclave(["true"]).wait(timeout=20)

    assert process.poll() is None
