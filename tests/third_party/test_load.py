"""Much data and many connections: nothing is lost, mixed up or held back."""

import contextlib
import random
import socket
import subprocess
import sys
import threading

import pytest

from nitrosim.vsock.addresses import address_in_name

pytestmark = pytest.mark.needs("userns")

PORT = 5000
MEBIBYTES = 64
CONNECTIONS = 50


@pytest.fixture(params=["go", "rust", "asyncio"])
def echo_server(request, run_enclave, run_python, python_programs):
    """Start an enclave that echoes on PORT, served by goroutines, threads or an event loop."""
    if request.param == "asyncio":
        return run_python(python_programs / "echo.py", PORT)
    return run_enclave(request.getfixturevalue(f"{request.param}_program"), "listen", PORT)


def send_all(connection, data):
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


def receive_all(connection):
    received = bytearray()
    while part := connection.recv(1 << 16):
        received += part
    return bytes(received)


def test_64_mib_come_back_intact_after_a_half_close(echo_server):
    data = random.Random(PORT).randbytes(MEBIBYTES << 20)

    with echo_server.connect(PORT, timeout=20) as connection:
        connection.settimeout(60)
        sender = threading.Thread(target=send_all, args=(connection, data))
        sender.start()
        received = receive_all(connection)
        sender.join()

    assert len(data) == len(received)
    assert data == received


def test_64_mib_from_the_enclave_come_back_intact(instance, run_python, python_programs):
    with instance.listen(9000) as listener:
        enclave = run_python(python_programs / "bulk_client.py", 3, 9000, MEBIBYTES)
        connection, peer = listener.accept(timeout=20)
        with connection:
            connection.settimeout(60)
            received = receive_all(connection)
            send_all(connection, received)
            assert enclave.wait(timeout=60) == 0

    assert enclave.cid == peer.cid
    assert (
        f"received {MEBIBYTES << 20} intact True" in enclave.console.read_all(timeout=20).decode()
    )


def test_64_mib_between_two_programs_arrive_intact(echo_server, run_parent, python_programs):
    echo_server.console.wait_for(b"listening", timeout=20)

    client = run_parent(
        sys.executable,
        python_programs / "bulk_client.py",
        echo_server.cid,
        PORT,
        MEBIBYTES,
        stdout=subprocess.PIPE,
        text=True,
    )

    assert f"received {MEBIBYTES << 20} intact True" in client.communicate(timeout=90)[0]


def test_50_connections_at_once_each_get_their_own_answers(echo_server):
    with contextlib.ExitStack() as open_connections:
        connections = [
            open_connections.enter_context(echo_server.connect(PORT, timeout=20))
            for _ in range(CONNECTIONS)
        ]
        local_ports = {address_in_name(one.getsockname()).port for one in connections}
        for number, connection in enumerate(connections):
            connection.sendall(b"connection %d" % number)
        for number, connection in reversed(list(enumerate(connections))):
            expected = b"connection %d" % number
            assert expected == connection.recv(len(expected), socket.MSG_WAITALL)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""

    assert len(local_ports) == CONNECTIONS


def test_50_clients_at_once_each_get_their_own_document(run_python, sample):
    server = run_python(sample / "server.py", PORT)
    server.connect(PORT, timeout=20).close()
    documents = []

    def fetch(number):
        with server.connect(PORT, timeout=20) as connection:
            connection.settimeout(60)
            connection.sendall((32).to_bytes(4, "big") + bytes([number] * 32))
            documents.append((number, receive_all(connection)[5:]))

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(range(CONNECTIONS)) == sorted(number for number, _document in documents)
    assert [] == [number for number, document in documents if bytes([number] * 32) not in document]
    assert CONNECTIONS == len({document for _number, document in documents})
