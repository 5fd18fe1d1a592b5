"""Static Go and Rust programs: raw system calls, no C library, the packages that teams use."""

import hashlib
import socket
import struct
import subprocess

import pytest

from nitrosim.vsock.addresses import address_in_name

pytestmark = pytest.mark.needs("userns")

NONCE = bytes(range(32))
PORT = 5000


@pytest.fixture(params=["go", "rust"])
def program(request):
    return request.getfixturevalue(f"{request.param}_program")


def receive_all(connection):
    return b"".join(iter(lambda: connection.recv(65536), b""))


def console_lines(enclave):
    lines = enclave.console.read_all(timeout=20).decode().splitlines()
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


def test_program_finds_the_enclaves_context_id(program, run_enclave):
    enclave = run_enclave(program, "cid")

    assert 0 == enclave.wait(timeout=20)
    assert str(enclave.cid) == console_lines(enclave)["cid"]


def test_program_finds_the_parents_context_id(program, run_parent):
    asking = run_parent(program, "cid", stdout=subprocess.PIPE)

    assert b"cid 3\n" == asking.communicate(timeout=20)[0]


def test_program_echoes_to_the_parent(program, run_enclave):
    enclave = run_enclave(program, "listen", PORT)

    with enclave.connect(PORT, timeout=20) as connection:
        connection.sendall(b"to the enclave")
        connection.shutdown(socket.SHUT_WR)
        assert b"to the enclave" == receive_all(connection)
        port = address_in_name(connection.getsockname()).port
    console = enclave.console.wait_for(b"peer 3:", timeout=20).decode()
    assert f"peer 3:{port} local {enclave.cid}:{PORT}" in console


def test_program_dials_the_parent(program, instance, run_enclave):
    with instance.listen(9000) as listener:
        enclave = run_enclave(program, "dial", 3, 9000, "to the parent")
        connection, peer = listener.accept(timeout=20)
        with connection:
            assert b"to the parent" == receive_all(connection)
            connection.sendall(b"and back")
    assert 0 == enclave.wait(timeout=20)

    lines = console_lines(enclave)
    assert enclave.cid == peer.cid
    assert lines["peer"].startswith("3:9000 local ")
    assert lines["peer"].endswith(f":{peer.port}")
    assert "and back" == lines["answer"]


def test_program_on_the_parent_talks_to_itself_in_the_enclave(program, run_enclave, run_parent):
    enclave = run_enclave(program, "listen", PORT)
    enclave.console.wait_for(b"listening", timeout=20)

    client = run_parent(program, "dial", enclave.cid, PORT, "hello", stdout=subprocess.PIPE)

    assert b"answer hello\n" in client.communicate(timeout=20)[0]
    assert 0 == client.returncode


def test_program_is_told_that_nobody_listens(program, run_enclave):
    enclave = run_enclave(program, "dial", 3, 5999, "hello")

    assert 1 == enclave.wait(timeout=20)
    assert b"connection reset by peer" in enclave.console.read_all(timeout=20).lower()


def test_program_uses_every_request_and_its_document_is_accepted(
    program, run_enclave, accept_document
):
    enclave = run_enclave(program, "attest", NONCE.hex())
    assert 0 == enclave.wait(timeout=20)
    lines = console_lines(enclave)
    value = hashlib.sha384(bytes(48) + b"third-party").digest()

    assert lines["module"].startswith(f"{enclave.module_id} SHA384 max_pcrs 32 locked ")
    assert len(lines["random"]) >= 2 * 256
    assert value.hex() == lines["extended"]
    assert f"16 true {value.hex()}" == lines["pcr"]
    assert "ReadOnlyIndex" in lines["extend"]
    accept_document(bytes.fromhex(lines["document"]), enclave, nonce=NONCE, pcr16=value)


def test_program_serves_documents_over_vsock(program, run_enclave, accept_document):
    enclave = run_enclave(program, "ping-attest", PORT)

    for number in range(3):
        nonce = bytes([number] * 32)
        with enclave.connect(PORT, timeout=20) as connection:
            connection.sendall(struct.pack(">I", len(nonce)) + nonce)
            answer = receive_all(connection)
        assert (len(answer) - 4, 0) == struct.unpack(">IB", answer[:5])
        accept_document(answer[5:], enclave, nonce=nonce)


def test_rust_finds_the_module_as_the_official_check_expects_it(rust_program, run_enclave):
    enclave = run_enclave(rust_program, "selftest")

    assert 0 == enclave.wait(timeout=20)
    assert "complete" == console_lines(enclave)["selftest"]
