"""How enclaves with the init of their image end, and that nothing of them is left."""

import contextlib
import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest

from nitrosim.instance import Instance

pytestmark = [
    pytest.mark.needs("userns", "cc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: so are the images"),
]

PATIENCE = 20
KILLED = 128 + signal.SIGKILL
SEGFAULT = 128 + signal.SIGSEGV


def status_of(enclave):
    return enclave.wait(timeout=PATIENCE)


@pytest.mark.parametrize("how", ["now", "halt", "off"])
def test_a_reboot_ends_an_enclave_well(run_probe, how):
    assert 0 == status_of(run_probe("reboot", how))


@pytest.mark.parametrize("status", [0, 1, 129, 130])
def test_an_init_that_exits_gives_its_status(run_probe, status):
    assert status == status_of(run_probe("exit", str(status)))


def test_an_init_that_crashes_says_so(run_probe):
    assert SEGFAULT == status_of(run_probe("crash"))


def test_an_init_that_ends_takes_its_processes_with_it(run_probe):
    enclave = run_probe("background", "say", "leaving", "exit", "3")

    assert 3 == status_of(enclave)
    assert b"leaving\r\n" == enclave.console.read_all(timeout=PATIENCE)


def test_sigterm_ends_an_enclave_whatever_its_init_does(run_probe):
    """As it does for the process that nitro-cli calls ProcessID."""
    enclave = run_probe("defy", "wait")
    enclave.console.wait_for(b"defiant", timeout=PATIENCE)
    os.kill(enclave.pid, signal.SIGTERM)

    assert KILLED == status_of(enclave)


def test_an_init_that_defies_everything_is_terminated(run_probe):
    enclave = run_probe("defy", "wait")
    enclave.console.wait_for(b"defiant", timeout=PATIENCE)

    assert KILLED == enclave.terminate()


def test_signals_of_an_init_stay_inside(run_probe, instance):
    enclave = run_probe("signal-all", "exit", "4")

    assert 4 == status_of(enclave)
    assert [] == instance.enclaves()


def test_an_init_ends_with_a_hypervisor_that_is_killed(probe_image, await_death):
    with Instance() as instance:
        enclave = instance.run_image(probe_image("defy", "wait"))
        enclave.console.wait_for(b"defiant", timeout=PATIENCE)
        with instance._asking() as ask:
            hypervisor = ask.request("hello")["pid"]
        # The init of the image is the child of the process that has the enclave's number.
        (inner,) = Path(f"/proc/{enclave.pid}/task/{enclave.pid}/children").read_text().split()
        pidfds = [os.pidfd_open(int(pid)) for pid in (inner, enclave.pid)]
        os.kill(hypervisor, signal.SIGKILL)
        for pidfd in pidfds:
            await_death(pidfd)
            os.close(pidfd)
        enclave.console.close()


def descriptors_of(pid):
    """Return the kinds of open descriptors, but for those kept for the next call of a thread."""
    kinds = Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        # The one that lists them is gone by now.
        with contextlib.suppress(FileNotFoundError):
            kinds[re.sub(r"\d+", "N", str(entry.readlink()))] += 1
    del kinds["anon_inode:[pidfd]"], kinds["/proc/N/fd"]
    return kinds


def test_enclaves_leave_nothing_in_the_hypervisor(probe_image):
    boots = ("mount", "proc", "/proc", "heartbeat", "0xb7", "reboot", "now")
    fails = ("heartbeat", "0", "mkdir", "/x", "mount", "devtmpfs", "/x", "exit", "1")
    images = [probe_image(*words)._replace(name="x") for words in (boots, fails)]
    with Instance() as instance:
        with instance._asking() as ask:
            hypervisor = ask.request("hello")["pid"]

        def round_of_enclaves():
            for image in images:
                enclave = instance.run_image(image)
                enclave.wait(timeout=PATIENCE)
                enclave.console.close()

        def left():
            # When the owner has its answer, the connections before it have been seen to end.
            for _ in range(2):
                instance._owner.request("hello")
            children = Path(f"/proc/{hypervisor}/task/{hypervisor}/children").read_text()
            return descriptors_of(hypervisor), children

        round_of_enclaves()
        before = left()
        for _ in range(20):
            round_of_enclaves()

        assert before == left()
        instance.listen(9000).close()
