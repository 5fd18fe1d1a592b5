"""nitro-cli with real enclaves: errors in their order, consoles, and what a call loads.

What is printed word for word is in test_nitro_cli_golden.py.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nitrosim.instance import Instance

pytestmark = [
    pytest.mark.needs("userns", "cc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: so are the images"),
]

REPOSITORY = Path(__file__).resolve().parents[3]
EIFS = REPOSITORY / "fixtures" / "eif"
PATIENCE = 30
WAITED = "Start allocating memory...\n"
FACTS = (
    *("EnclaveName", "EnclaveID", "ProcessID", "EnclaveCID", "NumberOfCPUs", "CPUIDs"),
    "MemoryMiB",
)


@pytest.fixture(autouse=True)
def cli(nitro_cli):
    """Give each test a pool of two cores, and no enclave of another one."""
    nitro_cli.set_pool(cpus="1,2,5,6", memory_mib=1024)
    yield nitro_cli
    assert 0 == nitro_cli.call("terminate-enclave", "--all").status


@pytest.fixture
def run(cli):
    """Return a function that runs run-enclave; what is not given is in order."""

    def run(*words, image=cli.waiting, memory=128, cpus=("--cpu-count", 2)):
        return cli.call("run-enclave", "--eif-path", image, "--memory", memory, *cpus, *words)

    return run


@pytest.fixture
def started(cli, run):
    """Return a function that starts an enclave; its description."""

    def started(*words, **differences):
        done = run(*words, **differences)
        assert 0 == done.status, done.errors
        return cli.described()[-1]

    return started


@pytest.fixture
def start(cli):
    """Return a function that starts a command; it ends with the test."""
    with contextlib.ExitStack() as processes:

        def start(*words, **options):
            process = processes.enter_context(cli.start(*words, **options))
            processes.callback(process.kill)
            return process

        yield start


def lines_of(process, count):
    return [process.stdout.readline() for _ in range(count)]


def codes(done):
    """Return the error codes in what was printed."""
    return [line[2:5] for line in done.errors.splitlines() if line.startswith("[ E")]


# ---- run-enclave ----


def test_errors_are_found_in_the_order_of_nitro_cli(cli, run, started, tmp_path):
    """Begin with everything wrong, and mend one thing after the other."""
    for name in ("A", "B"):
        started("--enclave-name", name, memory=64)
    cli.allocator.rename(tmp_path / "put away")
    wrong = {"image": "missing.eif", "cpus": ("--cpu-count", 5), "memory": 3}

    def finds(code, *, first=""):
        done = run("--enclave-cid", "16", **wrong)
        assert (39, "", [code, "E39"]) == (done.status, done.output, codes(done))
        assert done.errors.startswith(f"{first}[ {code} ] " if code != "E36" else first)

    finds("E19")
    wrong["image"] = EIFS / "bad-crc.eif"
    finds("E19")
    (tmp_path / "put away").rename(cli.allocator)
    finds("E22")
    wrong["cpus"] = ("--cpu-ids", 1, 1, 9)
    finds("E20")
    wrong["cpus"] = ("--cpu-ids", 1, 9)
    finds("E21")
    wrong["cpus"] = ("--cpu-count", 1)
    finds("E26")
    wrong["memory"] = 1000
    # There is no CPU left.
    finds("E29")
    assert 0 == cli.call("terminate-enclave", "--enclave-name", "B").status
    finds("E36", first=f"{WAITED}nitrosim: {EIFS}/bad-crc.eif does not boot: CRC: ")
    wrong["image"] = cli.waiting
    finds("E27", first=WAITED)
    # Less than the driver wants, then half a core, then a CID that is taken.
    wrong["memory"] = 62
    finds("E29", first=WAITED)
    wrong["memory"] = 64
    finds("E29", first=WAITED)
    wrong["cpus"] = ("--cpu-count", 2)
    finds("E29", first=WAITED)
    assert ["A"] == [enclave["EnclaveName"] for enclave in cli.described()]
    assert 0 == run(**wrong).status


def test_an_enclave_that_was_refused_leaves_its_cpus_and_memory_to_others(cli, run):
    refused = (
        {"image": EIFS / "bad-crc.eif", "memory": 1024, "cpus": ("--cpu-count", 4)},
        {"memory": 1026, "cpus": ("--cpu-count", 4)},
        {"cpus": ("--cpu-ids", 1, 2)},
    )
    for differences in refused:
        assert 39 == run(**differences).status

    assert {"cpu_ids": [], "memory_mib": 0} == {
        key: cli.ask("lent")[key] for key in ("cpu_ids", "memory_mib")
    }
    assert 0 == run(memory=1024, cpus=("--cpu-count", 4)).status


def test_what_run_enclave_prints_is_the_beginning_of_the_description(cli, run):
    done = run("--enclave-name", "höhe")

    (described,) = cli.described()
    assert [*FACTS, "State", "Flags", "Measurements"] == [*described]
    assert "höhe" == described["EnclaveName"]
    assert (
        cli.call("describe-enclaves")
        .output.replace("\n  ", "\n")
        .startswith("[\n" + done.output.removesuffix("\n}\n"))
    )


def test_with_metadata_a_description_has_three_keys_more(cli, started):
    started()

    (described,) = cli.described("--metadata")

    assert ["ImageName", "ImageVersion", "Metadata"] == [*described][-3:]


def test_the_process_of_an_enclave_is_that_which_sigterm_ends(cli, started):
    enclave = started()
    os.kill(enclave["ProcessID"], signal.SIGTERM)
    cli.await_end(enclave["EnclaveID"])

    assert [] == cli.described()


def test_an_enclave_ends_with_the_file_of_its_socket(cli, started):
    enclave = started()
    cli.socket_of(enclave["EnclaveID"]).unlink()
    cli.await_end(enclave["EnclaveID"])

    assert [] == cli.described()


def test_the_end_of_an_enclave_is_in_the_log(cli, started):
    enclave = started()
    assert 0 == cli.call("terminate-enclave", "--all").status

    last = (cli.folder / "logs" / "nitro_enclaves.log").read_text().splitlines()[-1]
    slot = enclave["EnclaveID"].rpartition("-enc")[2]
    assert last.startswith(f"[enc-{slot}:{enclave['ProcessID']}][INFO][")
    assert last.endswith(
        "] Received hang-up event from the enclave. Enclave process will shut down."
    )


# ---- console ----


def test_a_console_is_shown_again_from_its_beginning_and_ends_with_the_enclave(cli, start, started):
    started("--debug-mode", "--enclave-name", "n")
    first, second = (start("console", "--enclave-name", "n") for _ in range(2))

    said = lines_of(first, 3)
    assert "up\n" == said[-1]
    assert said == lines_of(second, 3)

    assert 0 == cli.call("terminate-enclave", "--enclave-name", "n").status
    for process in (first, second):
        done = cli.result(process)
        assert (0, "", "") == (done.status, done.output, done.errors)


def test_an_enclave_does_not_mind_that_nobody_looks_at_its_console_any_more(cli, start, started):
    started("--debug-mode")
    process = start("console", "--enclave-name", "waiting")
    lines_of(process, 3)
    process.send_signal(signal.SIGINT)

    assert 130 == cli.result(process).status
    assert ["RUNNING"] == [enclave["State"] for enclave in cli.described()]


def test_an_attached_console_is_left_by_ctrl_c_and_the_enclave_stays(cli, start):
    words = ("--cpu-count", 2, "--memory", 128, "--attach-console")
    process = start("run-enclave", "--eif-path", cli.waiting, *words)
    while process.stdout.readline() != "up\n":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)

    assert 130 == cli.result(process).status
    assert ["DEBUG_MODE"] == [enclave["Flags"] for enclave in cli.described()]


def test_reader_that_has_seen_enough_of_a_console_ends_it(start, started):
    started("--debug-mode")
    ours, theirs = os.pipe()
    os.close(ours)
    process = start("console", "--enclave-name", "waiting", stdout=theirs)
    os.close(theirs)

    assert (141, "") == (process.wait(PATIENCE), process.stderr.read())


# ---- what a call loads ----

#: What takes longer to load than an enclave takes to start, and what only a new image needs.
HEAVY = {
    *("argparse", "cbor2", "cryptography", "dataclasses", "inspect", "logging", "shutil"),
    *("subprocess", "tempfile", "nitrosim.eif.reader", "nitrosim.instance"),
}
LOADING = """
import sys
from nitrosim.cli.nitro_cli.main import main
status = main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(status)
"""


def loaded_by(*words):
    done = subprocess.run(
        [sys.executable, "-c", LOADING, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return {*done.stderr.splitlines()[-1].split()}


def test_a_known_image_is_started_without_what_reads_images(run):
    # One of the fixtures: a file that was changed just now is not remembered.
    image = EIFS / "hello-unsigned.eif"
    assert 0 == run(image=image).status

    loaded = loaded_by("run-enclave", "--eif-path", image, "--memory", 64, "--cpu-count", 2)

    assert "nitrosim.hypervisor.client" in loaded
    assert set() == HEAVY & loaded


@pytest.mark.parametrize(
    "words",
    [("describe-enclaves", "--metadata"), ("console", "--enclave-name", "waiting")],
)
def test_asking_an_enclave_loads_next_to_nothing(started, words):
    started("--debug-mode")
    timeout = ("--disconnect-timeout", 0) if words[0] == "console" else ()

    loaded = loaded_by(*words, *timeout)

    heavy = {"enum", "json", "pathlib", "re", "socket", "typing", "nitrosim.hypervisor.client"}
    assert set() == (HEAVY | heavy) & loaded


# ---- what runs beside it ----


def test_trap_18_run_enclave_beside_another_one_that_boots_is_e36(run):
    with Instance("cli") as instance, instance.listen(9000):
        done = run()

    assert (39, ["E36", "E39"]) == (done.status, codes(done))
    assert done.errors.startswith(f"{WAITED}[ E36 ] ")
    assert 0 == run().status
