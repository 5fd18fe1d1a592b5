from __future__ import annotations

import json
import os
import socket

import pytest

from nitrosim.hypervisor.control import ControlServer, RequestError
from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.protocol import receive_message


class Operations:
    """Answers every request; keeps the descriptor of one that is called so."""

    def __init__(self):
        self.kept = []

    def serve(self, client, request, fds):
        if request["op"] == "refuse":
            raise RequestError("NO", "not this one")
        if request["op"] == "keep":
            self.kept.append(fds.pop())
        client.answer({})


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def operations():
    return Operations()


@pytest.fixture
def client(loop, operations, tmp_path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(tmp_path / "control"))
    listener.listen()
    server = ControlServer(loop, listener, operations, lambda: None)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.adopt(theirs)
    with listener, ours, theirs:
        yield ours


def ask(loop, client, data, fd=None):
    """Send a packet, serve until there is an answer, return it."""
    socket.send_fds(client, [data], () if fd is None else (fd,))
    loop.watch(client.fileno(), lambda _events: loop.stop())
    loop.run()
    answer, _fds = receive_message(client)
    return answer


def is_open_elsewhere(reader, writer):
    """Say whether anybody still has a copy of the writing end; closes ours."""
    os.close(writer)
    os.set_blocking(reader, False)
    try:
        return os.read(reader, 1) != b""
    except BlockingIOError:
        return True
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("data", "ok"),
    [
        (b'{"op": "ignore"}', True),
        (b'{"op": "refuse"}', False),
        (b"no JSON", False),
        (b"[]", False),
        (b"[" * 100_000, False),
    ],
)
def test_descriptor_that_nobody_keeps_is_closed(loop, client, data, ok):
    reader, writer = os.pipe()

    answer = ask(loop, client, data, writer)

    assert ok == answer["ok"]
    assert not is_open_elsewhere(reader, writer)


def test_descriptor_that_is_kept_stays_open(loop, client, operations):
    reader, writer = os.pipe()

    assert ask(loop, client, json.dumps({"op": "keep"}).encode(), writer)["ok"]

    assert is_open_elsewhere(reader, writer)
    os.close(operations.kept.pop())


@pytest.mark.parametrize("data", [b"no JSON", b"[]", b"[" * 100_000])
def test_what_is_no_request_is_a_protocol_error(loop, client, data):
    assert "PROTOCOL" == ask(loop, client, data)["code"]
