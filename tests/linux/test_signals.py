"""Signals that arrive while a call waits: it is interrupted as on Linux, and acted on once.

*Interruptible* is the behaviour of kernels before 5.19, where any signal cancels a call that the
hypervisor has taken already; without it a received call can only be cancelled by death.
"""

import hashlib
import signal

import pytest

pytestmark = pytest.mark.needs("userns")

PORT = 5000
ROUNDS = 100
SIGNALS = 3

both_kernels = pytest.mark.parametrize(
    "interruptible", [False, True], ids=["killable", "interruptible"]
)


@both_kernels
def test_a_handled_signal_interrupts_accept(run_program, result, interruptible):
    enclave = run_program(
        "signals", "accept_while_signalled", "interrupt", interruptible=interruptible
    )

    assert SIGNALS == result(enclave)


@both_kernels
def test_accept_goes_on_after_a_signal_that_restarts_calls(run_program, result, interruptible):
    enclave = run_program(
        "signals", "accept_while_signalled", "restart", interruptible=interruptible
    )

    assert 0 == result(enclave)


@both_kernels
def test_a_server_that_waits_in_accept_can_be_asked_to_stop(run_program, interruptible):
    enclave = run_program("signals", "stop_on_request", interruptible=interruptible)

    assert 7 == enclave.wait(timeout=20)


@both_kernels
def test_a_deadly_signal_ends_a_program_that_waits_in_accept(run_program, interruptible):
    enclave = run_program("signals", "wait_for_a_deadly_signal", interruptible=interruptible)

    assert 128 + signal.SIGTERM == enclave.wait(timeout=20)


@both_kernels
def test_accept_survives_that_its_process_is_stopped(run_program, result, interruptible):
    enclave = run_program("signals", "handle_between_processes", interruptible=interruptible)
    enclave.console.wait_for(b"stopped and continued", timeout=20)
    with enclave.connect(PORT) as connection:
        connection.settimeout(20)
        assert b"went on" == connection.recv(64)

    assert 0 == result(enclave)


@both_kernels
def test_in_a_storm_of_signals_every_call_is_acted_on_once(run_program, result, interruptible):
    # A request to the module may be served twice on kernels before 5.19.
    extend = "leave" if interruptible else "extend"
    enclave = run_program("signals", "storm", ROUNDS, extend, interruptible=interruptible)

    register = bytes(48)
    for number in range(ROUNDS if extend == "extend" else 0):
        register = hashlib.sha384(register + number.to_bytes(2, "big")).digest()
    assert {"register": register.hex(), "enough ticks": True} == result(enclave)
