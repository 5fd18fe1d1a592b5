"""A machine for nitro-cli with folders of its own, processes of enclaves, certificates."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nitrosim.cli.nitro_cli.context import Context
from nitrosim.cli.nitro_cli.environment import Environment
from nitrosim.cli.nitro_cli.log import Log
from nitrosim.cli.nitro_cli.main import Machine, run

NOW = 1_704_164_645_678_901_234


@functools.cache
def _credentials():
    key = ec.derive_private_key(4711, ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2034, 1, 1, tzinfo=dt.UTC))
        .sign(key, hashes.SHA384(), ecdsa_deterministic=True)
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


@pytest.fixture
def fixtures():
    """Return the folder of images."""
    return Path(__file__).resolve().parents[4] / "fixtures" / "eif"


@pytest.fixture
def credentials(tmp_path):
    """Return the paths of a certificate and its private key."""
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for path, content in zip(paths, _credentials(), strict=True):
        path.write_bytes(content)
    return str(paths[0]), str(paths[1])


@pytest.fixture
def logs(tmp_path):
    """Return the folder of the logs."""
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


@pytest.fixture
def make_machine(tmp_path, logs):
    """Return a function that makes a machine; its arguments are variables of the environment."""

    def make(**variables):
        places = {"NITRO_CLI_LOGS_PATH": str(logs), **variables}
        environment = Environment(
            variables={name: value for name, value in places.items() if value is not None},
            system_logs=str(tmp_path / "var-log"),
            system_sockets=str(tmp_path / "run"),
        )
        return Machine(environment=environment, clock=lambda: NOW, process=77, guard=lambda: None)

    return make


@pytest.fixture
def nitro_cli(make_machine, capsys):
    """Return a function that runs a command line: exit status, standard output and error."""

    def call(*words, **variables):
        status = run(words, make_machine(**variables))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def sockets():
    """Return the folder of the enclaves' sockets; an AF_UNIX address has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ns-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def make_context(make_machine, sockets, logs):
    """Return a function that makes what a sub-command is given."""
    with contextlib.ExitStack() as logs_open:

        def make(**variables):
            machine = make_machine(NITRO_CLI_SOCKETS_PATH=str(sockets), **variables)
            log = Log(str(logs), who="nitro-cli:77", level="INFO", clock=machine.clock)
            return Context(
                environment=machine.environment,
                log=logs_open.enter_context(log),
                clock=machine.clock,
                process=machine.process,
            )

        yield make


class FakeProcess:
    """The process of an enclave: it answers as it was told to, and notes what it was asked.

    `answers` has by operation what to send, with a descriptor or without; b"" is a connection that
    ends without an answer. A process without answers never says anything.
    """

    def __init__(self, path, answers):
        self.asked = []
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        if answers is not None:
            self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            with connection:
                operation, *arguments = connection.recv(4096).decode().split("\0")
                self.asked.append((operation, *arguments))
                answer, *fds = self._answers.get(operation, (b"PROTOCOL\0no such request",))
                if answer:
                    socket.send_fds(connection, [answer], fds)

    def end(self):
        """Answer no more; the file of the socket stays."""
        if self._thread.is_alive():
            self._listener.shutdown(socket.SHUT_RDWR)
            self._thread.join()
        self._listener.close()


def _answers(slot, *, name=None, facts=None, console=None):
    """Return what the process of an enclave in good order answers."""
    name, enclave_id = name or f"e{slot}", f"i-0-enc{slot}"
    facts = facts or {"EnclaveName": name, "CPUIDs": [1, 5]}
    answers = {
        "name": (f"ok\0{enclave_id}\0{name}".encode(),),
        "describe": (b"ok\0" + json.dumps(facts, indent=2, ensure_ascii=False).encode(),),
        "terminate": (f"ok\0{enclave_id}\0{name}".encode(),),
        "console": (b"NO_CONSOLE\0the enclave does not run in debug mode",),
    }
    if console is not None:
        answers["console"] = (b"ok\x0016", console)
    return answers


@pytest.fixture
def start_process(sockets):
    """Return a function that starts the process of an enclave.

    Its slot is given and what differs: its name, `facts` that describe it, the descriptor of its
    console, or all answers to some operation.
    """
    with contextlib.ExitStack() as processes:

        def start(slot, *, silent=False, answers=None, **differences):
            told = {**_answers(slot, **differences), **(answers or {})}
            process = FakeProcess(sockets / f"{slot}.sock", None if silent else told)
            processes.callback(process.end)
            return process

        yield start


@pytest.fixture
def pipe():
    """Return a function that makes a pipe with this content and a reader for others to close."""
    with contextlib.ExitStack() as writers:

        def make(content=b"", *, ended=True):
            reader, writer = os.pipe()
            os.write(writer, content)
            if ended:
                os.close(writer)
            else:
                writers.callback(os.close, writer)
            return reader

        yield make
