"""nitro-cli when it is killed, and when the hypervisor is, or goes by itself."""

import contextlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys

import pytest

from nitrosim.hypervisor.client import connect
from nitrosim.instance import shut_down
from thoroughness import THOROUGH

pytestmark = pytest.mark.needs("userns", "cc")

PATIENCE = 30

# Runs nitro-cli and kills it before or after a call of a function of these names, the n-th time.
SUICIDE = """
import os, signal, sys
import nitrosim.cli.nitro_cli.run, nitrosim.hypervisor.client, nitrosim.places
from nitrosim.cli.nitro_cli.main import main

wanted, happened = int(sys.argv[1]), 0
names = {
    *("bind", "close", "connect", "flock", "listen", "memfd_create", "open", "posix_spawn"),
    *("recv", "recvmsg", "send", "sendmsg", "unlink", "write"),
}

def note(_frame, event, function):
    global happened
    if event in ("c_call", "c_return") and function.__name__ in names:
        happened += 1
        if happened == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

sys.setprofile(note)
status = main(sys.argv[2:])
sys.setprofile(None)
sys.exit(status)
"""


# ---- a hypervisor that goes ----


def test_a_hypervisor_on_its_way_out_is_not_taken_for_one_that_serves(
    parent, run_words, monkeypatch
):
    parent.call(*run_words)
    parent.call("terminate-enclave", "--all")
    before = parent.ask("hello")["pid"]
    os.kill(before, signal.SIGSTOP)
    os.waitid(os.P_PID, before, os.WSTOPPED)
    os.kill(before, signal.SIGTERM)

    def connect_and_let_it_go_on(places):
        connection = connect(places)
        with contextlib.suppress(ProcessLookupError):
            os.kill(before, signal.SIGCONT)
        return connection

    monkeypatch.setattr("nitrosim.hypervisor.client.connect", connect_and_let_it_go_on)

    done = parent.call(*run_words)

    assert (0, []) == (done.status, done.codes), done.errors
    assert before != parent.ask("hello")["pid"]


# ---- processes that are killed ----


def killed_at(parent, moment, run_words):
    command = [sys.executable, "-c", SUICIDE, moment, *run_words]
    return parent.result(
        subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    )


def killed_ever_later(parent, words, *, step=1):
    """Kill run-enclave at one moment after the other, until it is done before its moment comes."""
    for moment in itertools.count(1, step):
        status = killed_at(parent, moment, words).status
        if status == 0:
            return
        assert -signal.SIGKILL == status
        yield


def running_when_settled(parent):
    """Return what runs when the hypervisor has done all that the dead have asked for."""
    # The end of a connection may be found in the same round as a request, and after it.
    for _ in range(2):
        parent.ask("hello")
    enclaves = parent.ask("list")["enclaves"]
    for enclave in enclaves:
        _answer, console = parent.ask_for_fd("console", enclave=enclave["number"])
        with os.fdopen(console, "rb") as lines:
            assert b"up\r\n" == next(lines)
    return enclaves


def test_run_enclave_may_be_killed_at_any_moment(parent, run_words):
    parent.call(*run_words)
    parent.call("terminate-enclave", "--all")

    ran = set()
    for _moment in killed_ever_later(parent, run_words, step=1 if THOROUGH else 3):
        enclaves = running_when_settled(parent)
        cpus = sorted(cpu for enclave in enclaves for cpu in enclave["cpu_ids"])
        lent = parent.ask("lent")
        assert (cpus, 32 * len(cpus)) == (lent["cpu_ids"], lent["memory_mib"])
        assert [enclave["cid"] for enclave in enclaves] == [
            enclave["EnclaveCID"] for enclave in parent.described()
        ]
        ran.add(len(enclaves))
        assert 0 == parent.call("terminate-enclave", "--all").status
        parent.assert_nothing_is_left()
    # Sooner or later it is too late to stop the enclave.
    assert {0, 1} == ran


def test_run_enclave_may_be_killed_while_it_starts_the_hypervisor(parent, run_words):
    for _moment in killed_ever_later(parent, run_words, step=7):
        if parent.hypervisor_runs():
            running_when_settled(parent)
        # If the enclave was started all the same, the pool has enough for both.
        assert 0 == parent.call(*run_words).status
        assert 0 == parent.call("terminate-enclave", "--all").status
        parent.assert_nothing_is_left()
        shut_down(os.environ["NITROSIM_INSTANCE"])


def test_after_the_hypervisor_was_killed_nothing_is_there_and_the_next_enclave_starts(
    parent, run_words
):
    facts = [json.loads(parent.call(*run_words).output) for _ in range(2)]
    processes = [os.pidfd_open(fact["ProcessID"]) for fact in facts]
    watcher = parent.start("console", "--enclave-id", facts[0]["EnclaveID"])
    assert watcher.stdout.readline()

    parent.kill_hypervisor()

    for process in processes:
        assert select.select([process], [], [], PATIENCE)[0]
        os.close(process)
    assert 0 == parent.result(watcher).status
    assert 2 == len(list(parent.sockets.iterdir()))
    named = parent.run("terminate-enclave", "--enclave-name", "waiting")
    assert (58, ["E58"], "") == (named.status, named.codes, named.output)
    done = parent.run("describe-enclaves")
    assert (0, "[]\n", "") == (done.status, done.output, done.errors)
    assert [] == list(parent.sockets.iterdir())
    again = json.loads(parent.run(*run_words).output)
    assert facts[0] == again | {key: facts[0][key] for key in ("EnclaveID", "ProcessID")}
