"""Emulated sockets are descriptors: they are polled, duplicated, inherited, handed on, closed."""

import socket

import pytest

pytestmark = pytest.mark.needs("userns")

PORT = 5000


def read_to_end(connection):
    connection.settimeout(20)
    return b"".join(iter(lambda: connection.recv(64), b""))


def test_a_socket_that_is_polled_before_it_is_connected_becomes_writable_and_readable(
    instance, run_program, result
):
    with instance.listen(9000) as listener:
        enclave = run_program("sockets", "poll_before_connect", 3, 9000)
        connection, _peer = listener.accept(timeout=20)
        with connection:
            connection.settimeout(20)
            assert b"hello" == connection.recv(5, socket.MSG_WAITALL)
            connection.sendall(b"thanks")
            assert {"connect": 0, "writable": True, "error": 0} == result(enclave)


def test_a_listener_and_a_connection_can_be_handed_to_another_process(run_program, result):
    enclave = run_program("sockets", "pass_to_another_process")
    with enclave.connect(PORT, timeout=20) as connection:
        assert b"from another process" == read_to_end(connection)
    with enclave.connect(PORT, timeout=20) as connection:
        assert b"accepted there True" == read_to_end(connection)

    assert 0 == result(enclave)


def test_a_connection_ends_with_its_last_descriptor(run_program, result):
    enclave = run_program("sockets", "duplicate_connection")
    with enclave.connect(PORT, timeout=20) as connection:
        assert b"child" == read_to_end(connection)

    assert [enclave.cid, PORT] == result(enclave)[0]


def test_an_ordinary_socket_never_becomes_a_vsock(run_program, result):
    assert {
        "wrong": [],
        "names": ["", "/tmp/ordinary", "/tmp/ordinary", "ordinary"],
        "vsock": PORT,
    } == result(run_program("sockets", "ordinary_after_emulated"))


def test_the_other_end_sees_the_end_of_a_connection_at_once(run_program):
    enclave = run_program("sockets", "hold_a_listener", PORT)
    connection = enclave.connect(PORT, timeout=20)
    enclave.console.wait_for(b"accepted", timeout=20)
    connection.settimeout(20)
    enclave.terminate()

    assert connection.recv(1) == b""
    connection.close()
