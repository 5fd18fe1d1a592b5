"""What enclaves are lent as nitro-cli asks for it, on a real kernel: CPUs, memory, a port, a CID.

The pool of these tests is that of a parent instance with 8 vCPUs; the processors are those of this
machine, however many it has.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nitrosim.backends.command import image_from_command
from nitrosim.errors import EnclaveError, InstanceError
from nitrosim.hypervisor.protocol import CONTROL_SOCKET
from nitrosim.sandbox.operation import Operation

pytestmark = pytest.mark.needs("userns")

REPOSITORY = Path(__file__).resolve().parent.parent.parent
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


# ---- lending and giving back ----


def test_an_enclave_has_what_was_lent_to_it(boot, sleep, lent):
    enclave = boot(sleep, cpu_count=4, memory_mib=101)

    assert ((1, 5, 2, 6), 4, 102) == (enclave.cpu_ids, enclave.cpu_count, enclave.memory_mib)
    assert {"cpu_ids": [1, 2, 5, 6], "memory_mib": 102} == lent()


def test_named_cpus_are_those_of_the_enclave(boot, sleep, lent):
    enclave = boot(sleep, cpu_ids=[7, 3])

    assert (7, 3) == enclave.cpu_ids
    assert {"cpu_ids": [3, 7], "memory_mib": 64} == lent()


@pytest.mark.parametrize("end", ["terminated", "killed", "by itself"])
def test_what_was_lent_goes_back_when_the_enclave_ends(boot, sleep, lent, end):
    image = image_from_command(["true"]) if end == "by itself" else sleep
    enclave = boot(image)
    if end == "terminated":
        enclave.terminate()
    elif end == "killed":
        os.kill(enclave.pid, signal.SIGKILL)
    enclave.wait(timeout=PATIENCE)

    assert NOTHING == lent()


def test_what_is_lent_no_other_client_gets(instance, ask, lent):
    assert [1, 5] == ask.request("reserve", cores=CORES, cpu_count=2)["cpu_ids"]
    with instance._asking() as other:
        with pytest.raises(EnclaveError) as caught:
            other.request("reserve", cores=CORES, cpu_ids=[5])
        refused("ENCLAVE_CPUS_TAKEN", caught)
        # Who was refused may ask for something else.
        assert [2, 6] == other.request("reserve", cores=CORES, cpu_count=2)["cpu_ids"]
    assert {"cpu_ids": [1, 5], "memory_mib": 0} == lent()


def test_a_client_reserves_once(ask, lent):
    ask.request("reserve", cores=CORES, cpu_count=2)

    with pytest.raises(InstanceError) as caught:
        ask.request("reserve", cores=CORES, cpu_count=2)
    refused("PROTOCOL", caught)
    assert [1, 5] == lent()["cpu_ids"]


def test_what_is_reserved_goes_back_when_the_client_leaves(instance, lent):
    with instance._asking() as ask:
        ask.request("reserve", cores=CORES, cpu_count=2)
        assert [1, 5] == lent()["cpu_ids"]

    assert NOTHING == lent()


def test_what_is_reserved_goes_back_when_the_client_is_killed(instance, lent):
    client = (
        "import socket, sys\n"
        "from nitrosim.hypervisor.protocol import receive_message, send_message\n"
        "sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "sock.connect(sys.argv[1])\n"
        "send_message(sock, {'op': 'reserve', 'cores': [[1, 5]], 'cpu_count': 2})\n"
        "print(receive_message(sock)[0]['ok'], flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", client, instance._places.runtime / CONTROL_SOCKET],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert "True\n" == process.stdout.readline()
        assert [1, 5] == lent()["cpu_ids"]
        process.kill()
        process.wait()

        assert NOTHING == lent()


def test_an_enclave_keeps_what_it_has_when_its_client_leaves(boot, sleep, lent):
    boot(sleep)  # on a connection that is closed by now

    assert {"cpu_ids": [1, 5], "memory_mib": 64} == lent()


def test_an_enclave_of_another_kind_takes_nothing(run_enclave, lent):
    run_enclave("sleep", "600")

    assert NOTHING == lent()


# ---- what is refused ----


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("ENCLAVE_CPUS", {"cpu_count": 0}),
        ("ENCLAVE_CPUS", {"cpu_ids": []}),
        ("ENCLAVE_HALF_CORE", {"cpu_count": 1}),
        ("ENCLAVE_HALF_CORE", {"cpu_ids": [2, 3]}),
        ("ENCLAVE_MEMORY_MINIMUM", {"memory_mib": 62}),
        ("ENCLAVE_MEMORY", {"memory_mib": 66, "memory_pool_mib": 65}),
        ("ENCLAVE_CID", {"cid": 3}),
        ("ENCLAVE_CID", {"cid": 2**32 - 1}),
        ("ENCLAVE_CID", {"cid": 4000}),
        ("ENCLAVE_CID", {"cid": 5000.0}),
        ("ENCLAVE_SOCKET", {"sockets": "/no/such/directory"}),
    ],
)
def test_a_refused_enclave_leaves_nothing_behind(boot, instance, sleep, code, fields):
    boot(sleep, cid=4000)
    before = instance._owner.request("lent")

    with pytest.raises(EnclaveError) as caught:
        boot(sleep, cid=fields.pop("cid", 5000), **fields)
    refused(code, caught)

    # One that finds no place for its socket has been started, and has to end.
    for enclave in instance.enclaves():
        enclave.console.close()
        if enclave.cid == 5000:
            enclave.wait(timeout=PATIENCE)
    assert before == instance._owner.request("lent")
    assert [4000] == [enclave.cid for enclave in instance.enclaves()]
    instance.listen(READY_PORT).close()
    enclave = boot(sleep, cid=5000)
    assert (5000, (2, 6)) == (enclave.cid, enclave.cpu_ids)


def test_who_was_refused_has_nothing_reserved_any_more(ask, sleep, lent):
    ask.request("reserve", cores=CORES, cpu_count=2)
    fields = {"name": "x", "memory_pool_mib": 4096, "debug_mode": False, "boot": True}

    with pytest.raises(EnclaveError) as caught:
        ask.run(sleep, memory_mib=2, **fields)
    refused("ENCLAVE_MEMORY_MINIMUM", caught)

    assert NOTHING == lent()
    ask.request("reserve", cores=CORES, cpu_count=6)


def test_a_pool_without_memory_is_full(boot, sleep):
    boot(sleep, memory_mib=128, memory_pool_mib=256)
    boot(sleep, memory_mib=128, memory_pool_mib=256)

    with pytest.raises(EnclaveError, match="0 of 256 MiB are free") as caught:
        boot(sleep, memory_mib=64, memory_pool_mib=256)
    refused("ENCLAVE_MEMORY", caught)


def test_a_pool_without_cpus_is_empty(boot, sleep):
    boot(sleep, cpu_count=6)

    with pytest.raises(EnclaveError) as caught:
        boot(sleep)
    refused("ENCLAVE_CPUS_TAKEN", caught)


def test_what_was_lent_goes_back_when_the_enclave_cannot_be_set_up(boot, sleep, lent):
    broken = sleep._replace(operations=(Operation("overlay", ("/no/such/directory", "/")),))

    with pytest.raises(EnclaveError, match="No such file") as caught:
        boot(broken)
    refused("ENCLAVE_START", caught)

    assert NOTHING == lent()


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (Operation("cpus", ("",)), "cannot run on the processors"),
        (Operation("cpus", ("0,x",)), "not a list of processors: 0,x"),
        (Operation("cpus", ("1023",)), "cannot run on the processors 1023"),
        (Operation("cpus", ("1024",)), "not a list of processors: 1024"),
        (Operation("cpus", ("-1",)), "not a list of processors: -1"),
    ],
)
def test_processors_that_are_not_there_are_refused(boot, sleep, lent, operation, reason):
    with pytest.raises(EnclaveError, match=reason) as caught:
        boot(sleep._replace(operations=(*sleep.operations, operation)))
    refused("ENCLAVE_START", caught)

    assert NOTHING == lent()


# ---- processors ----

AFFINITY = "import os, sys; print(sorted(os.sched_getaffinity(0)), flush=True)"
WITH_CHILD = f"{AFFINITY}; import subprocess; subprocess.run([sys.executable, '-c', {AFFINITY!r}])"


@pytest.mark.parametrize(
    ("cores", "cpu_ids", "places"),
    [
        (((1,), (2,), (3,)), [1], [0]),
        (((1,), (2,), (3,)), [2], [1]),
        (((1,), (2,), (3,)), [1, 2], [0, 1]),
        (CORES, [1, 5], [0, 1]),
        (CORES, [2, 6], [2, 3]),
    ],
)
def test_a_program_and_its_children_run_on_the_processors_of_its_cpus(boot, cores, cpu_ids, places):
    ours = sorted(os.sched_getaffinity(0))
    expected = sorted({ours[place % len(ours)] for place in places})
    image = image_from_command([sys.executable, "-S", "-E", "-c", WITH_CHILD])
    enclave = boot(image, cores=cores, cpu_ids=cpu_ids)
    text = enclave.console.read_all(timeout=PATIENCE).decode()

    assert [str(expected)] * 2 == text.splitlines()


def test_without_cpus_that_are_lent_a_program_runs_on_all(run_enclave):
    enclave = run_enclave(sys.executable, "-S", "-E", "-c", AFFINITY)
    text = enclave.console.read_all(timeout=PATIENCE).decode()

    assert [str(sorted(os.sched_getaffinity(0)))] == text.splitlines()


def test_the_hypervisor_is_bound_to_no_processors(boot, sleep, ask):
    before = os.sched_getaffinity(0)
    boot(sleep, cores=((1,),), cpu_ids=[1])

    assert before == os.sched_getaffinity(ask.request("hello")["pid"])
