"""nitro-cli with images whose init is none of its own: the heartbeat is waited for.

What the hypervisor makes of heartbeats is in tests/linux/own_init.
"""

import json
import os

import own_init_images
import pytest

pytestmark = [
    pytest.mark.needs("userns", "cc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: so are the images"),
]

PATIENCE = 30
HEARTBEAT = ("heartbeat", "0xb7")


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return own_init_images.compile_probe(tmp_path_factory.mktemp("own-init") / "init")


@pytest.fixture
def run(nitro_cli, tmp_path, probe):
    """Return a function that runs run-enclave with an image whose init does what it is told."""

    def run(*words, options=()):
        image = own_init_images.write_probe_image(tmp_path / "own.eif", probe, *words)
        sizes = ("--cpu-count", 2, "--memory", 64)
        return nitro_cli.call("run-enclave", "--eif-path", image, *sizes, *options)

    nitro_cli.set_pool(cpus="1,2,5,6", memory_mib=1024)
    yield run
    assert 0 == nitro_cli.call("terminate-enclave", "--all").status


def codes(done):
    """Return the error codes in what was printed."""
    return [line[2:5] for line in done.errors.splitlines() if line.startswith("[ E")]


def test_an_image_with_its_own_init_is_run_described_and_terminated(nitro_cli, run):
    done = run("say", "up", *HEARTBEAT, "wait", options=("--debug-mode",))

    assert 0 == done.status, done.errors
    started = json.loads(done.output)
    assert ["Start allocating memory...", "Started enclave with enclave-cid: "] == [
        line[:34] for line in done.errors.splitlines()
    ]
    (described,) = nitro_cli.described()
    assert (started["EnclaveID"], "own", "RUNNING") == (
        described["EnclaveID"],
        described["EnclaveName"],
        described["State"],
    )
    measured = json.loads(nitro_cli.call("pcr", "--input", os.devnull).output)
    assert measured["PCR"] == described["Measurements"]["PCR2"]
    console = nitro_cli.start("console", "--enclave-name", "own")
    lines = [console.stdout.readline() for _ in range(4)]
    assert ["up\n", "heartbeat: echoed\n"] == lines[2:]
    assert 0 == nitro_cli.call("terminate-enclave", "--enclave-name", "own").status
    assert 0 == nitro_cli.result(console).status


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("say", "no", "disk", "exit", "3"), "it ended with status"),
        (("heartbeat", "1", "wait"), "it sent 0x01, expected 0xb7"),
    ],
)
def test_an_init_that_does_not_report_is_e36_and_its_enclave_is_gone(nitro_cli, run, words, said):
    done = run(*words)

    assert (39, "", ["E36", "E39"]) == (done.status, done.output, codes(done))
    first, second, third = done.errors.splitlines()[:3]
    assert "Start allocating memory..." == first
    assert second.startswith("Started enclave with enclave-cid: ")
    assert "own.eif does not boot: ENCLAVE_HEARTBEAT: the init of the image, /init, " in third
    assert said in third
    assert [] == nitro_cli.described()
    assert {"cpu_ids": [], "memory_mib": 0} == {
        key: nitro_cli.ask("lent")[key] for key in ("cpu_ids", "memory_mib")
    }


def test_an_image_boots_after_one_that_did_not(run):
    assert 39 == run("heartbeat", "256", "wait").status
    assert 0 == run(*HEARTBEAT, "wait").status


def test_a_console_that_is_attached_begins_with_what_the_init_said_first(run):
    done = run("say", "up", *HEARTBEAT, "exit", "0", options=("--attach-console",))

    assert 0 == done.status, done.errors
    assert done.output.endswith("up\r\nheartbeat: echoed\r\n")
