"""The hello_attestation sample: an unmodified enclave program and its unmodified client."""

import ast
import socket
import struct
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

pytestmark = pytest.mark.needs("userns")

PORT = 5000


@pytest.fixture
def server(run_python, sample):
    return run_python(sample / "server.py", str(PORT))


@pytest.fixture
def root_pem(instance, tmp_path):
    path = tmp_path / "root.pem"
    root = x509.load_der_x509_certificate(instance.root_certificate)
    path.write_bytes(root.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def run_client(run_parent, sample, server):
    """Run the client to its end once the server listens; return its status, output and errors."""

    def run(*arguments):
        server.console.wait_for(b"listening", timeout=20)
        client = run_parent(
            sys.executable,
            sample / "client.py",
            server.cid,
            PORT,
            *arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        output, errors = client.communicate(timeout=30)
        return client.returncode, output, errors

    return run


def exchange(connection, request):
    connection.sendall(request)
    connection.shutdown(socket.SHUT_WR)
    answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert len(answer) - 4 == struct.unpack(">I", answer[:4])[0]
    return answer[4], answer[5:]


def test_neither_side_imports_the_simulator(sample):
    def imported(name):
        tree = ast.parse((sample / name).read_text())
        plain = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import)
                 for alias in node.names]  # fmt: skip
        return plain + [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]

    assert [] == [name for name in imported("server.py") if name.startswith("nitrosim")]
    assert ["nitrosim.attestation"] == [
        name for name in imported("client.py") if name.startswith(("nitrosim", "fake_nsm"))
    ]


def test_the_client_verifies_the_document_of_the_server(run_client, server, root_pem):
    expected = [f"--pcr={index}={server.pcrs[index].hex()}" for index in (0, 1, 2)]

    status, output, errors = run_client(*expected, "--root-pem", root_pem)

    assert (0, "") == (status, errors)
    assert f"verified: {server.module_id}" in output


def test_the_client_refuses_a_wrong_measurement(run_client, server, root_pem):
    wrong = bytes(byte ^ 0xFF for byte in server.pcrs[0])

    status, output, errors = run_client(f"--pcr=0={wrong.hex()}", "--root-pem", root_pem)

    assert 1 == status
    assert "PCR_MISMATCH" in errors
    assert "verified" not in output


def test_the_client_trusts_only_aws_unless_told_otherwise(run_client, server):
    status, output, errors = run_client(f"--pcr=0={server.pcrs[0].hex()}")

    assert 1 == status
    assert "ROOT" in errors
    assert "verified" not in output


def test_the_client_writes_the_document(run_client, server, tmp_path, accept_document):
    file = tmp_path / "document.cbor"
    nonce = bytes(range(64))

    status, _output, errors = run_client("--output", file, "--nonce", nonce.hex())

    assert (0, "") == (status, errors)
    accept_document(file.read_bytes(), server, nonce=nonce)


@pytest.mark.parametrize("size", [1, 512, 1024])
def test_the_server_attests_nonces_of_any_legal_size(server, size, accept_document):
    with server.connect(PORT, timeout=20) as connection:
        status, document = exchange(connection, struct.pack(">I", size) + bytes(size))

    assert 0 == status
    accept_document(document, server, nonce=bytes(size))


@pytest.mark.parametrize(
    ("request_bytes", "reason"),
    [
        (struct.pack(">I", 0), b"a nonce has 1 to 1024 bytes, this one 0"),
        (struct.pack(">I", 1025), b"a nonce has 1 to 1024 bytes, this one 1025"),
        (struct.pack(">I", 0xFFFFFFFF), b"a nonce has 1 to 1024 bytes, this one 4294967295"),
        (struct.pack(">I", 32) + bytes(5), b"the request ended after 5 of 32 bytes"),
        (b"\0\0", b"the request ended after 2 of 4 bytes"),
        (b"", b"the request ended after 0 of 4 bytes"),
    ],
    ids=["empty", "too long", "longest", "cut short", "half a length", "nothing"],
)
def test_the_server_refuses_a_bad_request_and_serves_the_next(
    server, request_bytes, reason, accept_document
):
    with server.connect(PORT, timeout=20) as connection:
        assert (1, reason) == exchange(connection, request_bytes)

    with server.connect(PORT, timeout=20) as connection:
        status, document = exchange(connection, struct.pack(">I", 4) + b"next")
    assert 0 == status
    accept_document(document, server, nonce=b"next")


def test_the_server_survives_a_client_that_vanishes(server, accept_document):
    server.connect(PORT, timeout=20).close()

    with server.connect(PORT, timeout=20) as connection:
        status, document = exchange(connection, struct.pack(">I", 4) + b"next")
    assert 0 == status
    accept_document(document, server, nonce=b"next")
