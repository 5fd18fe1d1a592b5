"""nitro-cli in several processes at once, and processes that are killed in the middle of it."""

import contextlib
import itertools
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from nitrosim.instance import shut_down

pytestmark = pytest.mark.needs("userns", "cc")

PATIENCE = 30
WORKERS = 6
ROUNDS = 2
LACKS_CPUS_OR_MEMORY = (["E29", "E39"], ["E27", "E39"])
ANOTHER_ONE_BOOTS = ["E36", "E39"]

# Runs nitro-cli and kills it in its n-th call of a function of these names; 0 only counts them.
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
print(f"moments: {happened}", file=sys.stderr)
sys.exit(status)
"""


@pytest.fixture
def parent(nitro_cli):
    """nitro-cli with a pool for two or three enclaves; nothing runs before and after."""
    nitro_cli.set_pool(cpus="1-3,5-7", memory_mib=1024)
    yield nitro_cli
    shut_down(os.environ["NITROSIM_INSTANCE"])


@pytest.fixture
def words(parent):
    """Return the command line of run-enclave."""
    settings = ("--memory", 64, "--cpu-count", 2, "--debug-mode")
    return ("run-enclave", "--eif-path", parent.waiting, *settings)


def codes(done):
    return re.findall(r"^\[ (E\d\d) \]", done.errors, re.MULTILINE)


def in_threads(function, arguments):
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(function, arguments))


def assert_nothing_is_left(parent):
    assert [] == parent.described()
    assert [] == list(parent.sockets.iterdir())
    assert [] == parent.ask("list")["enclaves"]
    assert {"ok": True, "cpu_ids": [], "memory_mib": 0} == parent.ask("lent")


# ---- several processes ----


@dataclass
class Life:
    """An enclave, from when run-enclave had returned until terminate-enclave was called."""

    facts: dict
    began: float
    ended: float

    def overlaps(self, other):
        return self.began < other.ended and other.began < self.ended


def test_whoever_runs_at_once_shares_nothing_and_leaves_nothing(parent, words):
    together = threading.Barrier(WORKERS)
    lives, refusals = [], []

    def work(_number):
        for _round in range(ROUNDS):
            together.wait(PATIENCE)
            done = parent.run(*words)
            began = time.monotonic()
            if done.status:
                refusals.append((done.status, codes(done), done.output))
                continue
            facts = json.loads(done.output)
            seen = parent.run("describe-enclaves")
            assert (0, "") == (seen.status, seen.errors)
            assert 1 == [e["EnclaveID"] for e in json.loads(seen.output)].count(facts["EnclaveID"])
            life = Life(facts, began, time.monotonic())
            ended = parent.run("terminate-enclave", "--enclave-id", facts["EnclaveID"])
            assert 0 == ended.status, ended.errors
            lives.append(life)

    in_threads(work, range(WORKERS))

    expected = [(39, codes, "") for codes in (*LACKS_CPUS_OR_MEMORY, ANOTHER_ONE_BOOTS)]
    assert [] == [refusal for refusal in refusals if refusal not in expected]
    assert WORKERS * ROUNDS == len(lives) + len(refusals)
    assert lives
    for one, other in itertools.combinations(lives, 2):
        if one.overlaps(other):
            assert not {*one.facts["CPUIDs"]} & {*other.facts["CPUIDs"]}
            assert one.facts["EnclaveName"] != other.facts["EnclaveName"]
            assert one.facts["EnclaveCID"] != other.facts["EnclaveCID"]
    assert len(lives) == len({life.facts["EnclaveID"] for life in lives})
    for life in lives:
        with pytest.raises(ProcessLookupError):
            os.kill(life.facts["ProcessID"], 0)
    assert_nothing_is_left(parent)


def test_several_processes_may_terminate_the_same_enclave(parent, words):
    enclave_id = json.loads(parent.call(*words).output)["EnclaveID"]
    terminate = ("terminate-enclave", "--enclave-id", enclave_id)

    racers = [parent.start(*terminate) for _ in range(WORKERS)]
    outcomes = [(done.status, codes(done)) for done in map(parent.result, racers)]

    assert {(0, ()), (11, ("E11",))} >= {(status, tuple(found)) for status, found in outcomes}
    assert (0, []) in outcomes
    assert_nothing_is_left(parent)


@pytest.mark.parametrize("operation", ["name", "describe", "terminate", "console"])
def test_whoever_connected_before_the_end_and_asks_after_it_is_told_at_once(
    parent, words, operation
):
    facts = json.loads(parent.call(*words).output)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as early:
        early.settimeout(PATIENCE)
        early.connect(str(parent.socket_of(facts["EnclaveID"])))
        parent.call("terminate-enclave", "--all")
        with contextlib.suppress(BrokenPipeError):
            early.send(operation.encode())
        try:
            answer = early.recv(1000)
        except ConnectionResetError:
            answer = b""

    assert b"" == answer


def test_describing_and_terminating_at_once_are_never_in_each_others_way(parent, words):
    ending = threading.Event()

    def describe():
        seen = []
        while not ending.is_set():
            seen.append(parent.run("describe-enclaves"))
        return seen

    with ThreadPoolExecutor(2) as pool:
        watcher = pool.submit(describe)
        try:
            for _ in range(8):
                for _ in range(3):
                    assert 0 == parent.call(*words).status
                parent.call("terminate-enclave", "--all")
        finally:
            ending.set()

    seen = watcher.result()
    assert {(0, "")} == {(done.status, done.errors) for done in seen}
    assert_nothing_is_left(parent)


def test_everybody_who_watches_a_console_sees_it_to_the_end(parent, words):
    facts = json.loads(parent.call(*words).output)
    watchers = [
        parent.start("console", "--enclave-id", facts["EnclaveID"], text=False) for _ in range(3)
    ]
    # Two lines of nitro-cli, and that of the program: now all of them watch.
    begun = [[next(watcher.stdout) for _ in range(3)] for watcher in watchers]
    parent.call("terminate-enclave", "--all")

    first = f"Connecting to the console for enclave {facts['EnclaveCID']}...\n".encode()
    second = b"Successfully connected to the console.\n"
    assert [[first, second, b"up\r\n"]] * 3 == begun
    rest = [(*watcher.communicate(timeout=PATIENCE), watcher.returncode) for watcher in watchers]
    assert [(b"", b"", 0)] * 3 == rest


def test_instances_side_by_side_do_not_see_each_other(parent, words, monkeypatch):
    # Without these the folders are those of the instance.
    for name in ("NITRO_CLI_SOCKETS_PATH", "NITRO_CLI_LOGS_PATH"):
        monkeypatch.delenv(name)
    instances = ["one", "two"]
    environments = [{**os.environ, "NITROSIM_INSTANCE": name} for name in instances]

    racers = [parent.start(*words, env=environment) for environment in environments]
    facts = [json.loads(parent.result(racer).output) for racer in racers]
    for name, environment, fact in zip(instances, environments, facts, strict=True):
        assert ("waiting", 16) == (fact["EnclaveName"], fact["EnclaveCID"])
        assert facts[0]["CPUIDs"] == fact["CPUIDs"]
        seen = json.loads(parent.run("describe-enclaves", env=environment).output)
        assert [fact["EnclaveID"]] == [enclave["EnclaveID"] for enclave in seen]
        ended = json.loads(parent.run("terminate-enclave", "--all", env=environment).output)
        assert [fact["EnclaveID"]] == [enclave["EnclaveID"] for enclave in ended]
        shut_down(name)


# ---- processes that are killed ----


def killed_at(parent, moment, words):
    command = [sys.executable, "-c", SUICIDE, moment, *words]
    return parent.result(
        subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    )


def moments_of(parent, words):
    """Return in how many moments run-enclave can be killed, having run it."""
    counted = re.search(r"^moments: (\d+)$", killed_at(parent, 0, words).errors, re.MULTILINE)
    return int(counted[1])


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


def test_run_enclave_may_be_killed_at_any_moment(parent, words):
    parent.call(*words)
    moments = moments_of(parent, words)
    parent.call("terminate-enclave", "--all")

    ran = []
    for moment in range(1, moments + 1):
        assert -signal.SIGKILL == killed_at(parent, moment, words).status
        enclaves = running_when_settled(parent)
        cpus = sorted(cpu for enclave in enclaves for cpu in enclave["cpu_ids"])
        lent = parent.ask("lent")
        assert (cpus, 32 * len(cpus)) == (lent["cpu_ids"], lent["memory_mib"])
        assert [enclave["cid"] for enclave in enclaves] == [
            enclave["EnclaveCID"] for enclave in parent.described()
        ]
        ran.append(len(enclaves))
        assert 0 == parent.call("terminate-enclave", "--all").status
        assert_nothing_is_left(parent)
    # Sooner or later it is too late to stop the enclave.
    assert {0, 1} == set(ran)
    assert sorted(ran) == ran


def test_run_enclave_may_be_killed_while_it_starts_the_hypervisor(parent, words):
    shut_down(os.environ["NITROSIM_INSTANCE"])
    moments = moments_of(parent, words)

    for moment in range(1, moments, moments // 9):
        shut_down(os.environ["NITROSIM_INSTANCE"])
        assert -signal.SIGKILL == killed_at(parent, moment, words).status
        if parent.hypervisor_runs():
            running_when_settled(parent)
        # If the enclave was started all the same, the pool has enough for both.
        assert 0 == parent.call(*words).status
        assert 0 == parent.call("terminate-enclave", "--all").status
        assert_nothing_is_left(parent)


def test_after_the_hypervisor_was_killed_nothing_is_there_and_the_next_enclave_starts(
    parent, words
):
    facts = [json.loads(parent.call(*words).output) for _ in range(2)]
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
    assert (58, ["E58"], "") == (named.status, codes(named), named.output)
    done = parent.run("describe-enclaves")
    assert (0, "[]\n", "") == (done.status, done.output, done.errors)
    assert [] == list(parent.sockets.iterdir())
    again = json.loads(parent.run(*words).output)
    assert facts[0] == again | {key: facts[0][key] for key in ("EnclaveID", "ProcessID")}
