"""nitro-cli in several processes at once, and processes that are killed in the middle of it."""

import contextlib
import itertools
import json
import os
import socket
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


def in_threads(function, arguments):
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(function, arguments))


# ---- several processes ----


@dataclass
class Life:
    """An enclave, from when run-enclave had returned until terminate-enclave was called."""

    facts: dict
    began: float
    ended: float

    def overlaps(self, other):
        return self.began < other.ended and other.began < self.ended


def test_whoever_runs_at_once_shares_nothing_and_leaves_nothing(parent, run_words):
    together = threading.Barrier(WORKERS)
    lives, refusals = [], []

    def work(_number):
        for _round in range(ROUNDS):
            together.wait(PATIENCE)
            done = parent.run(*run_words)
            began = time.monotonic()
            if done.status:
                refusals.append((done.status, done.codes, done.output))
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

    expected = [(39, found, "") for found in (*LACKS_CPUS_OR_MEMORY, ANOTHER_ONE_BOOTS)]
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
    parent.assert_nothing_is_left()


def test_while_somebody_has_the_port_of_booting_enclaves_none_starts_and_nothing_is_lent(
    parent, run_words
):
    parent.call(*run_words)
    parent.call("terminate-enclave", "--all")
    _answer, listener = parent.ask_for_fd("listen", port=9000)

    done = parent.call(*run_words)

    assert (39, ANOTHER_ONE_BOOTS, "") == (done.status, done.codes, done.output)
    parent.assert_nothing_is_left()
    os.close(listener)
    assert 0 == parent.call(*run_words).status


def test_several_processes_may_terminate_the_same_enclave(parent, run_words):
    enclave_id = json.loads(parent.call(*run_words).output)["EnclaveID"]
    terminate = ("terminate-enclave", "--enclave-id", enclave_id)

    racers = [parent.start(*terminate) for _ in range(WORKERS)]
    outcomes = [(done.status, done.codes) for done in map(parent.result, racers)]

    assert {(0, ()), (11, ("E11",))} >= {(status, tuple(found)) for status, found in outcomes}
    assert (0, []) in outcomes
    parent.assert_nothing_is_left()


@pytest.mark.parametrize("operation", ["name", "describe", "terminate", "console"])
def test_whoever_connected_before_the_end_and_asks_after_it_is_told_at_once(
    parent, run_words, operation
):
    facts = json.loads(parent.call(*run_words).output)
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


def test_describing_and_terminating_at_once_are_never_in_each_others_way(parent, run_words):
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
                    assert 0 == parent.call(*run_words).status
                parent.call("terminate-enclave", "--all")
        finally:
            ending.set()

    seen = watcher.result()
    assert {(0, "")} == {(done.status, done.errors) for done in seen}
    parent.assert_nothing_is_left()


def test_everybody_who_watches_a_console_sees_it_to_the_end(parent, run_words):
    facts = json.loads(parent.call(*run_words).output)
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


def test_instances_side_by_side_do_not_see_each_other(parent, run_words, monkeypatch):
    # Without these the folders are those of the instance.
    for name in ("NITRO_CLI_SOCKETS_PATH", "NITRO_CLI_LOGS_PATH"):
        monkeypatch.delenv(name)
    instances = ["one", "two"]
    environments = [{**os.environ, "NITROSIM_INSTANCE": name} for name in instances]

    racers = [parent.start(*run_words, env=environment) for environment in environments]
    facts = [json.loads(parent.result(racer).output) for racer in racers]
    for name, environment, fact in zip(instances, environments, facts, strict=True):
        assert ("waiting", 16) == (fact["EnclaveName"], fact["EnclaveCID"])
        assert facts[0]["CPUIDs"] == fact["CPUIDs"]
        seen = json.loads(parent.run("describe-enclaves", env=environment).output)
        assert [fact["EnclaveID"]] == [enclave["EnclaveID"] for enclave in seen]
        ended = json.loads(parent.run("terminate-enclave", "--all", env=environment).output)
        assert [fact["EnclaveID"]] == [enclave["EnclaveID"] for enclave in ended]
        shut_down(name)
