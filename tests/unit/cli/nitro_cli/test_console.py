"""The sub-command console: what it shows, and when it ends."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from nitrosim.cli.nitro_cli import console as module
from nitrosim.cli.nitro_cli import processes
from nitrosim.cli.nitro_cli.console import show

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "SOCK_SEQPACKET") or not Path("/proc/self/fd").exists(),
    reason="processes of enclaves are asked on Linux",
)

HEAD = "Connecting to the console for enclave 16...\nSuccessfully connected to the console.\n"


@pytest.fixture
def call(nitro_cli, sockets):
    """Return a function that runs ``console`` where the sockets are."""

    def call(*words, **variables):
        return nitro_cli("console", *words, NITRO_CLI_SOCKETS_PATH=str(sockets), **variables)

    return call


class FakeTime:
    """A clock that goes on by some seconds whenever it is looked at."""

    def __init__(self, step):
        self._step = step
        self._now = 1000.0

    def monotonic(self):
        now = self._now
        self._now += self._step
        return now


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


# ---- what is shown ----


@pytest.mark.parametrize("words", [("--enclave-id", "i-0-enc1"), ("--enclave-name=e1",)])
def test_console_is_shown_from_its_beginning_to_its_end(call, start_process, pipe, words):
    start_process("1", console=pipe(b"one\r\ntw\xc3\xb6\r\n"))

    status, output, errors = call(*words)

    assert (0, f"{HEAD}one\r\ntwö\r\n", "") == (status, output, errors)


def test_bytes_of_the_console_are_shown_as_they_are(capfdbinary, pipe, monkeypatch):
    monkeypatch.setattr(module, "_PIECE_BYTES", 3)
    reader = pipe(bytes(range(256)))

    show(16, reader)

    assert HEAD.encode() + bytes(range(256)) == capfdbinary.readouterr().out
    assert not is_open(reader)


# ---- when it ends ----


def test_trap_11_the_time_is_that_of_the_session_even_while_output_comes(capsys, pipe, monkeypatch):
    monkeypatch.setattr(module, "_PIECE_BYTES", 1)
    monkeypatch.setattr(module, "time", FakeTime(0.4))
    reader = pipe(b"abcdef", ended=False)

    show(16, reader, timeout=1)

    # Looked at when 0.4 and 0.8 seconds have passed, and not when 1.2 have.
    assert f"{HEAD}ab" == capsys.readouterr().out
    assert not is_open(reader)


def test_a_quiet_console_is_left_when_the_time_is_up(capsys, pipe, monkeypatch):
    waits = []

    class FakePoll:
        def register(self, _fd, _events):
            pass

        def poll(self, milliseconds):
            waits.append(milliseconds)
            return []

    monkeypatch.setattr(module.select, "poll", FakePoll)
    monkeypatch.setattr(module, "time", FakeTime(5000.0))

    show(16, pipe(ended=False), timeout=12_000)

    assert HEAD == capsys.readouterr().out
    # No longer than an hour at once, and then what is left.
    assert [3_600_000, 2_000_001] == waits


def test_no_time_at_all_shows_that_there_is_a_console(capsys, pipe):
    show(16, pipe(b"never shown", ended=False), timeout=0)

    assert HEAD == capsys.readouterr().out


def test_console_that_has_ended_is_left_before_the_time_is_up(capsys, pipe):
    show(16, pipe(b"x"), timeout=(1 << 64) - 1)

    assert f"{HEAD}x" == capsys.readouterr().out


def test_reader_that_is_gone_ends_it(pipe, monkeypatch):
    ours, theirs = os.pipe()
    os.close(ours)
    reader = pipe(b"x")
    output = os.fdopen(theirs, "w")
    monkeypatch.setattr(sys, "stdout", output)

    with pytest.raises(BrokenPipeError):
        show(16, reader)

    assert not is_open(reader)
    with pytest.raises(BrokenPipeError):
        output.close()


# ---- what is wrong ----


def test_enclave_that_is_not_in_debug_mode_is_e44(call, start_process):
    start_process("1")
    status, output, errors = call("--enclave-id", "i-0-enc1", BACKTRACE="1")

    assert (44, "") == (status, output)
    assert errors.startswith("[ E44 ] Enclave console connection failure. ")
    assert "    Cannot connect: the enclave does not run in debug mode\n" in errors


def test_unknown_id_is_e11_and_unknown_name_e58(call, start_process):
    start_process("1")

    assert 11 == call("--enclave-id", "i-0-enc2")[0]
    assert 11 == call("--enclave-id", "nonsense")[0]
    assert 58 == call("--enclave-name", "e2")[0]


def test_enclave_that_is_gone_is_e11(call, start_process):
    start_process("1").end()

    assert 11 == call("--enclave-id", "i-0-enc1")[0]


def test_enclave_that_does_not_answer_is_e39(call, start_process, monkeypatch):
    monkeypatch.setattr(processes, "_PATIENCE_S", 0.01)
    start_process("1", silent=True)

    status, output, errors = call("--enclave-id", "i-0-enc1")

    assert (39, "") == (status, output)
    assert errors.startswith("Failed connections: 1\n[ E39 ] ")


def test_time_that_is_none_is_e03_before_anybody_is_asked(call, start_process):
    process = start_process("1")
    status, output, errors = call("--enclave-id", "i-0-enc1", "--disconnect-timeout", "1s")

    assert (3, "", []) == (status, output, process.asked)
    assert errors.startswith(
        "[ E03 ] Invalid argument provided. The parameter `disconnect-timeout` is not a valid "
        "integer (`1s`)\n\n"
    )


def test_name_without_a_directory_of_sockets_is_e07(nitro_cli, tmp_path):
    missing = str(tmp_path / "missing")

    assert 7 == nitro_cli("console", "--enclave-name", "n", NITRO_CLI_SOCKETS_PATH=missing)[0]
