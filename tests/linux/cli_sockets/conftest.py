"""Enclaves with a socket as nitro-cli finds it, and requests made there, packet by packet."""

import contextlib
import os
import socket

import pytest

from nitrosim.backends.command import image_from_command

PATIENCE = 20
ALGORITHM = b"Sha512_48 { .. }"


@pytest.fixture(scope="module")
def sleep():
    return image_from_command(["sleep", "600"])


@pytest.fixture
def enclave(boot, sleep):
    return boot(sleep)


@pytest.fixture
def path_of(sockets):
    return lambda enclave: sockets / f"{enclave.enclave_id.rpartition('-enc')[2]}.sock"


@pytest.fixture
def dial(path_of):
    """Connect to the socket of an enclave."""
    with contextlib.ExitStack() as connections:

        def dial(enclave):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connections.enter_context(sock)
            sock.settimeout(PATIENCE)
            sock.connect(str(path_of(enclave)))
            return sock

        yield dial


@pytest.fixture
def ask(dial):
    """Make one request of an enclave; return the fields of the answer and the descriptor."""

    def ask(enclave, *fields):
        sock = dial(enclave)
        sock.send(b"\0".join(fields))
        data, fds, _flags, _address = socket.recv_fds(sock, 1 << 17, 1)
        assert b"" == sock.recv(1)
        return data.split(b"\0"), (fds[0] if fds else None)

    return ask


@pytest.fixture
def described(ask):
    """Return what describe-enclaves is told, from wherever it comes."""

    def described(enclave, metadata=b""):
        (status, text), fd = ask(enclave, b"describe", metadata, ALGORITHM)
        assert b"ok" == status
        if fd is not None:
            assert b"" == text
            with os.fdopen(fd, "rb") as file:
                text = file.read()
        return text.decode()

    return described
