"""socat, in every place: listening and connecting, in the enclave and on the parent instance."""

import socket
import subprocess

import pytest

pytestmark = pytest.mark.needs("userns", "socat")

TEXT = b"what socat says\n"


def wait_until_listening(program):
    """Read socat's own log (-d -d, on standard error) up to the line that says so."""
    assert any(b"listening on" in line for line in program.stderr)


def test_socat_connects_from_the_parent_to_socat_in_the_enclave(run_enclave, run_parent):
    enclave = run_enclave("socat", "-d", "-d", "VSOCK-LISTEN:5000", "EXEC:cat")
    enclave.console.wait_for(b"listening on", timeout=20)

    client = run_parent(
        "socat", "-t10", "-", f"VSOCK-CONNECT:{enclave.cid}:5000",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip

    assert (TEXT, b"") == client.communicate(TEXT, timeout=20)
    assert 0 == client.returncode
    assert 0 == enclave.wait(timeout=20)


def test_socat_connects_from_the_enclave_to_socat_on_the_parent(run_enclave, run_parent):
    server = run_parent(
        "socat", "-d", "-d", "-u", "VSOCK-LISTEN:9000", "-",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_until_listening(server)

    enclave = run_enclave("socat", "-u", "EXEC:echo what socat says", "VSOCK-CONNECT:3:9000")

    assert 0 == enclave.wait(timeout=20)
    assert TEXT == server.communicate(timeout=20)[0]
    assert 0 == server.returncode


def test_socat_in_the_enclave_serves_many_connections(run_enclave):
    enclave = run_enclave("socat", "VSOCK-LISTEN:5000,fork,reuseaddr", "EXEC:cat")

    for number in range(5):
        with enclave.connect(5000, timeout=20) as connection:
            connection.sendall(b"%d" % number)
            connection.shutdown(socket.SHUT_WR)
            assert b"%d" % number == connection.recv(16)
            assert b"" == connection.recv(16)


def test_socat_connects_to_a_python_listener_on_the_parent(instance, run_enclave):
    with instance.listen(9000) as listener:
        enclave = run_enclave("socat", "EXEC:cat", "VSOCK-CONNECT:3:9000")
        connection, peer = listener.accept(timeout=20)
        with connection:
            assert enclave.cid == peer.cid
            connection.sendall(TEXT)
            assert TEXT == connection.recv(len(TEXT), socket.MSG_WAITALL)


def test_socat_reports_a_refused_connection(run_enclave):
    enclave = run_enclave("socat", "-", "VSOCK-CONNECT:3:5999")

    assert 1 == enclave.wait(timeout=20)
    assert b"Connection reset by peer" in enclave.console.read_all(timeout=20)
