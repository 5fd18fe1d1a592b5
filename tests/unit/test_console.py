"""The console as the client reads it: a pipe, from a writer that is this test."""

import os

import pytest

from nitrosim.console import Console
from nitrosim.errors import EnclaveTimeoutError


@pytest.fixture
def pipe():
    """Return a console and the writing end of its pipe."""
    reader, writer = os.pipe()
    console = Console(reader)
    file = os.fdopen(writer, "wb", buffering=0)
    yield console, file
    file.close()
    console.close()


def test_everything_since_the_start_is_read_every_time(pipe):
    console, enclave = pipe
    assert b"" == console.read()
    enclave.write(b"one\r\n")
    assert b"one\r\n" == console.read()
    enclave.write(b"two\r\n")

    assert b"one\r\ntwo\r\n" == console.read() == console.read()


def test_more_than_a_chunk_is_read(pipe):
    console, enclave = pipe
    data = os.urandom(60_000)
    enclave.write(data)

    assert data == console.read()


def test_a_text_is_waited_for_until_it_is_complete(pipe):
    console, enclave = pipe
    enclave.write(b"listen")
    with pytest.raises(EnclaveTimeoutError, match="listen"):
        console.wait_for(b"listening", timeout=0)
    enclave.write(b"ing on 5000")

    assert b"listening on 5000" == console.wait_for(b"listening", timeout=0)


def test_a_text_that_has_come_is_there_without_waiting(pipe):
    console, enclave = pipe
    enclave.write(b"ready")
    console.read()

    assert b"ready" == console.wait_for(b"ready", timeout=0)


def test_a_text_that_came_before_the_end_is_found_after_it(pipe):
    console, enclave = pipe
    enclave.write(b"ready, done")
    enclave.close()
    console.read_all(timeout=5)

    assert b"ready, done" == console.wait_for(b"ready", timeout=5)


def test_the_end_is_told_to_who_waits_for_a_text(pipe):
    console, enclave = pipe
    enclave.write(b"Traceback: no module\r\n")
    enclave.close()

    with pytest.raises(EnclaveTimeoutError) as caught:
        console.wait_for(b"listening", timeout=5)
    assert "TIMEOUT" == caught.value.code
    assert "the enclave ended without b'listening'" in str(caught.value)
    assert "Traceback: no module" in str(caught.value)


def test_an_empty_console_is_called_so(pipe):
    console, _enclave = pipe
    with pytest.raises(EnclaveTimeoutError, match="it is empty"):
        console.wait_for(b"listening", timeout=0)


def test_a_timeout_is_of_the_builtin_kind_too(pipe):
    console, _enclave = pipe
    with pytest.raises(TimeoutError):
        console.read_all(timeout=0.01)


def test_everything_is_read_when_the_enclave_has_ended(pipe):
    console, enclave = pipe
    enclave.write(b"all")
    with pytest.raises(EnclaveTimeoutError, match="the end of the enclave"):
        console.read_all(timeout=0)
    enclave.close()

    assert b"all" == console.read_all() == console.read_all(timeout=0) == console.read()


def test_a_message_shows_only_the_last_of_a_long_console(pipe):
    console, enclave = pipe
    enclave.write(b"x" * 50_000 + b"the end")
    with pytest.raises(EnclaveTimeoutError) as caught:
        console.wait_for(b"y", timeout=0)

    assert len(str(caught.value)) < 2200
    assert str(caught.value).endswith("the end")


def test_a_closed_console_keeps_what_it_has(pipe):
    console, enclave = pipe
    enclave.write(b"kept")
    console.read()
    console.close()
    console.close()

    assert b"kept" == console.read() == console.read_all(timeout=0)
    with pytest.raises(BrokenPipeError):
        enclave.write(b"nobody reads")


def test_the_descriptor_never_blocks_its_reader(pipe):
    console, _enclave = pipe

    assert not os.get_blocking(console.fileno())
