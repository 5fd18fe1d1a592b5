"""Python programs in the enclave: the PyPI client of the NSM, and asyncio on vsock."""

import hashlib
import socket

import pytest

pytestmark = pytest.mark.needs("userns")

NONCE = bytes(range(32))
ZERO_PCR = bytes(48)


@pytest.fixture
def printed(run_python, python_programs):
    """Run the NSM client to its end; return the enclave and its console, as words by first word."""
    enclave = run_python(python_programs / "nsm_client.py", NONCE.hex())
    assert enclave.wait(timeout=20) == 0
    lines = enclave.console.read_all(timeout=20).decode().splitlines()
    return enclave, {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


def test_aws_nsm_interface_finds_the_module_of_its_enclave(printed):
    enclave, lines = printed

    assert f"{enclave.module_id} 32 SHA384" == lines["module"]
    assert 256 == len(bytes.fromhex(lines["random"]))


def test_aws_nsm_interface_extends_and_locks_a_register(printed):
    _enclave, lines = printed
    value = hashlib.sha384(ZERO_PCR + b"third-party").hexdigest()

    assert value == lines["extended"]
    assert f"True {value}" == lines["pcr"]
    assert "when locked: ReadOnlyIndex" == lines["extend"]
    assert " ".join(map(str, range(32))) == lines["locked"]


def test_a_document_got_by_aws_nsm_interface_is_accepted(printed, accept_document):
    enclave, lines = printed
    value = hashlib.sha384(ZERO_PCR + b"third-party").digest()

    verified = accept_document(bytes.fromhex(lines["document"]), enclave, nonce=NONCE, pcr16=value)

    assert list(range(32)) == sorted(verified.pcrs)
    assert ZERO_PCR == verified.pcrs[31]
    assert b"user data" == verified.user_data
    assert b"a key" == verified.public_key


def test_an_asyncio_server_echoes(run_python, python_programs):
    enclave = run_python(python_programs / "echo.py", "5000")

    with enclave.connect(5000, timeout=20) as connection:
        connection.sendall(b"hello")
        assert b"hello" == connection.recv(5)
        connection.shutdown(socket.SHUT_WR)
        assert b"" == connection.recv(1)
