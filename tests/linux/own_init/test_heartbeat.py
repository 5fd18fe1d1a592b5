"""The heartbeat of an init of an image: waited for by who boots as nitro-cli does, or answered."""

import os
import signal

import pytest

from nitrosim.enclave import Enclave
from nitrosim.errors import EnclaveError, InstanceError

pytestmark = [
    pytest.mark.needs("userns", "cc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64: so are the images"),
]

PATIENCE = 20
READY_PORT = 9000
GOOD = ("heartbeat", "0xb7")
CORES = ((1, 5), (2, 6), (3, 7))


@pytest.fixture
def ask(instance):
    with instance._asking() as connection:
        yield connection


@pytest.fixture
def begin(ask, sockets, instance, keep_enclave, probe_image):
    """Start an enclave as nitro-cli does; return it when its init runs."""

    def begin(words, *, boot_seconds=PATIENCE, on=ask):
        on.request("reserve", cores=CORES, cpu_count=2)
        answer, console = on.run(
            probe_image(*words),
            name="own",
            memory_mib=64,
            memory_pool_mib=4096,
            debug_mode=False,
            detach=True,
            boot=True,
            boot_seconds=boot_seconds,
            sockets=str(sockets),
        )
        assert answer["booting"]
        return keep_enclave(Enclave(instance._asking, answer["enclave"], console))

    return begin


def port_is_free(instance):
    try:
        instance.listen(READY_PORT).close()
    except InstanceError:
        return False
    return True


# ---- waited for ----


def test_an_enclave_has_booted_when_its_init_has_reported(ask, begin, instance, sockets):
    enclave = begin(
        (
            "say",
            "up",
            *GOOD,
            "wait",
        )
    )
    ask.request("booted")

    enclave.console.wait_for(b"up\r\nheartbeat: echoed\r\n", timeout=PATIENCE)
    assert 1 == len([*sockets.iterdir()])
    assert port_is_free(instance)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("heartbeat", "0xb8", "wait"), "it sent 0xb8, expected 0xb7"),
        (("heartbeat", "256", "wait"), "it closed its connection without a byte"),
        (("exit", "3"), "it ended with status 3"),
        (("say", "why", "exit", "3"), "status 3; .* the last line on its console: why$"),
        (("reboot", "now"), "it ended with status 0"),
        (("crash",), "it ended with status 139"),
    ],
)
def test_an_init_that_does_not_report_is_no_boot(ask, begin, instance, words, said):
    enclave = begin(words)
    with pytest.raises(EnclaveError, match=said) as caught:
        ask.request("booted")

    assert "ENCLAVE_HEARTBEAT" == caught.value.code
    enclave.wait(timeout=PATIENCE)
    assert port_is_free(instance)


def test_an_enclave_that_has_not_booted_is_none_that_nitro_cli_knows(ask, begin, sockets):
    begin(
        (
            "heartbeat",
            "1",
            "wait",
        )
    )
    with pytest.raises(EnclaveError):
        ask.request("booted")

    assert [] == [*sockets.iterdir()]


def test_an_init_that_never_reports_has_its_time(ask, begin, instance):
    enclave = begin(("wait",), boot_seconds=0.1)
    with pytest.raises(EnclaveError, match=r"nothing came within 0\.1 seconds"):
        ask.request("booted")

    assert 128 + signal.SIGKILL == enclave.wait(timeout=PATIENCE)
    assert port_is_free(instance)


def test_an_init_that_connects_and_says_nothing_has_its_time(ask, begin, instance):
    begin(
        (
            "heartbeat",
            "257",
            "wait",
        ),
        boot_seconds=0.5,
    )
    with pytest.raises(EnclaveError, match="nothing came within"):
        ask.request("booted")

    assert port_is_free(instance)


def test_another_enclave_does_not_boot_meanwhile(begin, instance, sockets):
    begin(("wait",))
    with instance._asking() as other, pytest.raises(EnclaveError, match="port 9000") as caught:
        begin(("wait",), on=other)

    assert "ENCLAVE_BOOT" == caught.value.code
    assert [] == [*sockets.iterdir()]


def test_an_enclave_boots_though_its_client_has_left(instance, begin, sockets):
    with instance._asking() as client:
        enclave = begin(
            (
                "echo",
                "5000",
                *GOOD,
                "wait",
            ),
            on=client,
        )
    assert [] == [*sockets.iterdir()]
    enclave.connect(5000, timeout=PATIENCE).close()

    enclave.console.wait_for(b"heartbeat: echoed", timeout=PATIENCE)
    assert 1 == len([*sockets.iterdir()])


def test_an_enclave_that_is_terminated_has_not_booted(ask, begin):
    begin(("wait",)).terminate()

    with pytest.raises(EnclaveError, match="it ended with status 137"):
        ask.request("booted")


def test_the_first_connection_counts_whoever_makes_it(ask, begin, run_program):
    """As for nitro-cli, which does not look at CIDs."""
    begin(("wait",))
    run_program("costs", "connect_and_transfer", 3, READY_PORT, 1)
    with pytest.raises(EnclaveError, match=r"it sent 0x.., expected 0xb7"):
        ask.request("booted")


def test_who_has_started_nothing_cannot_wait(ask):
    with pytest.raises(InstanceError) as caught:
        ask.request("booted")

    assert "PROTOCOL" == caught.value.code


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), "soon"])
def test_a_time_that_is_none_is_refused(begin, instance, seconds):
    with pytest.raises(InstanceError) as caught:
        begin(("wait",), boot_seconds=seconds)

    assert "PROTOCOL" == caught.value.code
    assert port_is_free(instance)


# ---- not waited for ----


def test_an_init_that_nobody_waits_for_gets_its_answer(run_probe, instance):
    enclave = run_probe(*GOOD)

    assert b"heartbeat: echoed\r\n" == enclave.console.read_all(timeout=PATIENCE)
    assert port_is_free(instance)


def test_two_inits_get_their_answers_at_once(run_probe, instance):
    enclaves = [run_probe("echo", "5000", *GOOD) for _ in range(2)]
    for enclave in enclaves:
        enclave.connect(5000, timeout=PATIENCE).close()

    assert [b"listening\r\nheartbeat: echoed\r\n"] * 2 == [
        enclave.console.read_all(timeout=PATIENCE) for enclave in enclaves
    ]
    assert port_is_free(instance)


def test_an_init_that_reports_nonsense_is_told_so(run_probe):
    said = run_probe("heartbeat", "1", "exit", "0").console.read_all(timeout=PATIENCE)

    assert b"[nitrosim: no heartbeat on port 9000 of CID 3: it sent 0x01, expected 0xb7]" in said
    assert b"heartbeat: refused" in said


def test_a_program_of_the_parent_that_listens_gets_the_heartbeat(run_probe, instance):
    with instance.listen(READY_PORT) as listener:
        enclave = run_probe(*GOOD, "say", "end")
        connection, peer = listener.accept(timeout=PATIENCE)
        with connection:
            assert (enclave.cid, b"\xb7") == (peer.cid, connection.recv(1))
            connection.sendall(b"\xb7")

    assert b"heartbeat: echoed\r\nend\r\n" == enclave.console.read_all(timeout=PATIENCE)


def test_an_init_that_nobody_waits_for_does_not_keep_others_from_booting(run_probe, ask, begin):
    first = run_probe("echo", "5000", *GOOD)
    begin(
        (
            *GOOD,
            "wait",
        )
    )
    ask.request("booted")
    first.connect(5000, timeout=PATIENCE).close()

    assert b"heartbeat: echoed" in first.console.read_all(timeout=PATIENCE)


def test_the_port_is_free_after_an_init_that_never_reported(run_probe, instance):
    enclave = run_probe("wait")
    assert not port_is_free(instance)
    enclave.terminate()

    assert port_is_free(instance)
