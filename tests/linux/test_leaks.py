"""Nothing accumulates: descriptors, processes, files and tables return to where they were."""

import contextlib
import gc
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from nitrosim.backends.command import image_from_command
from nitrosim.errors import EnclaveError, EnclaveTimeoutError
from nitrosim.instance import Instance

pytestmark = pytest.mark.needs("userns")

PORT = 5000
MANY = 200


@pytest.fixture(autouse=True)
def collected():
    """Let nothing of other tests go away while descriptors are counted."""
    gc.collect()


def open_descriptors(pid):
    """Return the kinds of the descriptors that a process has open, with their numbers.

    Not those that a hypervisor keeps for the next call of a thread, up to a limit: they are of
    the threads, or of their ``/proc/TID/fd``.
    """
    kinds = Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        # The one that lists them is gone by now.
        with contextlib.suppress(FileNotFoundError):
            kinds[re.sub(r"\d+", "N", str(entry.readlink()))] += 1
    del kinds["anon_inode:[pidfd]"], kinds["/proc/N/fd"]
    return kinds


def pidfds_beyond_the_kept(glass):
    """Return how many processes are watched, beside the threads kept for their next call."""
    links = [entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    return links.count(Path("anon_inode:[pidfd]")) - len(glass.kept_pidfds())


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_200_enclaves_leave_nothing_in_the_hypervisor_or_the_client():
    with Instance() as instance:
        with instance._asking() as ask:
            pid = ask.request("hello")["pid"]
        sockets = instance._places.runtime / "v"

        def one_enclave():
            enclave = instance.run_enclave(["sh", "-c", "exit 3"])
            assert enclave.wait(timeout=20) == 3
            enclave.console.close()

        def descriptors():
            # When the owner has its answer, the connections before it have been seen to end.
            for _ in range(2):
                instance._owner.request("hello")
            return open_descriptors(pid), open_descriptors(os.getpid())

        one_enclave()
        before = descriptors()
        for _ in range(MANY):
            one_enclave()

        assert before == descriptors()
        assert [] == instance.enclaves()
        assert [] == children(pid)
        assert [] == list(sockets.iterdir())


def test_refused_starts_leave_nothing():
    image = image_from_command(["true"])._replace(command=("/etc/passwd",))

    with Instance() as instance:
        with instance._asking() as ask:
            pid = ask.request("hello")["pid"]

        def one_refusal():
            with pytest.raises(EnclaveError, match="cannot execute"):
                instance.run_image(image)

        one_refusal()
        before = open_descriptors(pid), open_descriptors(os.getpid())
        for _ in range(20):
            one_refusal()

        assert before == (open_descriptors(pid), open_descriptors(os.getpid()))
        assert [] == children(pid)


def sizes(glass):
    """Return the size of everything that grows while something runs."""
    glass.settle()
    return {
        "sockets": len(glass.network.table),
        "sides": len(glass.network._sides),
        "who wait for a port": len(glass.network._waiting),
        "programs": len(glass.supervisor._programs),
        "parked calls": len(glass.supervisor._parking),
        "watched descriptors": len(glass.loop._callbacks),
        "clients": len(glass.server),
        "enclaves": len(glass.operations._enclaves),
        "ends with the owner": len(glass.owner.on_close),
        "descriptors": open_descriptors(os.getpid()),
        "pidfds": pidfds_beyond_the_kept(glass),
    }


@pytest.mark.parametrize(
    "case",
    [
        ("talk_to_itself",),
        ("listen_again",),
        ("killed_in_accept",),
        ("exit_while_a_thread_accepts",),
        ("bind_any_port",),
        ("fill_a_backlog", "5"),
        ("fail_to_dial", "99", "1", "0.01"),
    ],
    ids=lambda case: case[0],
)
def test_what_a_program_leaves_is_forgotten(glass, program_image, case):
    def one_enclave():
        enclave = glass.instance.run_image(program_image("sockets", *case))
        enclave.wait(timeout=20)
        enclave.console.close()

    one_enclave()
    before = sizes(glass)
    one_enclave()

    assert before == sizes(glass)
    for name in ("sockets", "who wait for a port", "programs", "parked calls", "enclaves"):
        assert 0 == before[name], name


def test_what_a_client_waited_for_is_forgotten(glass, program_image):
    enclave = glass.instance.run_image(program_image("sockets", "listen_without_accepting", 5000))
    enclave.console.wait_for(b"listening", timeout=20)
    before = sizes(glass)

    for wait in (lambda: enclave.connect(5001, timeout=0.01), lambda: enclave.wait(timeout=0.01)):
        with pytest.raises(EnclaveTimeoutError):
            wait()
    enclave.connect(5000, timeout=600).close()

    now = sizes(glass)
    # The connection that nobody accepts is one of the program's to come.
    assert before["sockets"] + 1 == now.pop("sockets")
    del before["sockets"]
    assert before == now
    assert [] == [timer for _when, _order, timer in glass.loop._timers if timer.callback]
    enclave.console.close()
