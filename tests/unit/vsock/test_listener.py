"""A listening port of the parent, as a user of the API holds it."""

import select
import socket
import tempfile
from pathlib import Path

import pytest

from nitrosim.vsock.addresses import Address
from nitrosim.vsock.listener import Listener


@pytest.fixture
def directory():
    """Return a directory with a short path: an AF_UNIX address has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ns-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def listener(directory):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(directory / "3.9000.0"))
    sock.listen()
    with Listener(sock, 9000) as listener:
        yield listener


@pytest.fixture
def connect(directory):
    socks = []

    def connect(port):
        sock = socket.socket(socket.AF_UNIX)
        socks.append(sock)
        sock.bind(str(directory / f"16.{port}.1"))
        sock.connect(str(directory / "3.9000.0"))
        return sock

    yield connect
    for sock in socks:
        sock.close()


def test_the_peer_of_a_connection_is_told(listener, connect):
    client = connect(4321)
    connection, peer = listener.accept(timeout=0)

    with connection:
        assert Address(16, 4321) == peer
        client.sendall(b"x")
        assert b"x" == connection.recv(1)


def test_a_connection_waits_without_limit(listener, connect):
    connect(4321)
    connection, _peer = listener.accept(timeout=5)

    with connection:
        assert connection.gettimeout() is None
        assert connection.getblocking()


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_nobody_who_connects_is_a_timeout(listener, timeout):
    with pytest.raises(TimeoutError):
        listener.accept(timeout=timeout)


def test_the_address_is_that_of_the_parent(listener):
    assert (Address(3, 9000), 9000) == (listener.address, listener.port)


def test_a_selector_sees_that_a_connection_waits(listener, connect):
    assert ([], [], []) == select.select([listener], [], [], 0)
    connect(4321)

    assert ([listener], [], []) == select.select([listener], [], [], 5)


def test_a_closed_listener_takes_nobody(listener, connect):
    listener.close()

    with pytest.raises(ConnectionRefusedError):
        connect(4321)
