"""Waiting, signals, shared descriptions and ends of connections, by raw system calls."""

import contextlib
import signal
import socket

import pytest

pytestmark = pytest.mark.needs("userns")

PORT = 5000

EINTR, EAGAIN, EFAULT, EINVAL, EPIPE, EISCONN = "-4", "-11", "-14", "-22", "-32", "-106"


@pytest.fixture
def run_case(c_program, run_enclave):
    """Start one case in an enclave of its own."""

    def run(case):
        return run_enclave(c_program("hostile_waiting"), case, env={"NITROSIM_INSIDE": "1"})

    return run


@pytest.fixture
def connect():
    """Connect to an enclave; the connections end with the test if they did not end before."""
    with contextlib.ExitStack() as connections:

        def connect(enclave):
            return connections.enter_context(enclave.connect(PORT, timeout=20))

        yield connect


def finished_lines(enclave):
    assert enclave.wait(timeout=20) == 0
    lines = enclave.console.read_all(timeout=20).decode().splitlines()
    assert lines.pop() == "done"
    return [tuple(line.split(": ", 1)) for line in lines]


def test_a_nonblocking_listener_accepts_only_what_is_there(run_case, connect):
    enclave = run_case("nonblocking")
    enclave.console.wait_for(b"nobody there: -11", timeout=20)
    connect(enclave)

    expected = [
        ("nobody there", EAGAIN),
        ("flag inherited", "0"),
        ("nobody there again", EAGAIN),
        ("nothing to read", EAGAIN),
    ]
    assert expected == finished_lines(enclave)


def test_a_listener_can_become_nonblocking_later(run_case):
    expected = [("after fcntl", EAGAIN), ("after FIONBIO", EAGAIN)]
    assert expected == finished_lines(run_case("becomes_nonblocking"))


def test_accept_gives_up_after_the_receive_timeout(run_case):
    expected = [("accept", EAGAIN), ("waited long enough", "1"), ("gave up in time", "1")]
    assert expected == finished_lines(run_case("receive_timeout"))


def test_a_signal_interrupts_accept(run_case, connect):
    enclave = run_case("interrupted")
    enclave.console.wait_for(b"accept: -4", timeout=20)
    connect(enclave)

    assert [("accept", EINTR), ("works after", "1")] == finished_lines(enclave)


def test_accept_continues_after_a_signal_that_restarts_calls(run_case, connect):
    enclave = run_case("restarted")
    enclave.console.wait_for(b"ticking", timeout=20)
    connect(enclave)

    assert [("ticking",), ("accept", "1"), ("was signalled", "1")] == finished_lines(enclave)


def test_accept_reports_the_peer_where_it_can(run_case, connect):
    enclave = run_case("accept_pointers")
    connect(enclave)
    connect(enclave)

    expected = [
        ("accept", "1"),
        ("family 40 length 16 cid 3",),
        ("short buffer", "1"),
        ("family 40 length 16 rest untouched 1",),
    ]
    assert expected == finished_lines(enclave)


def test_accept_loses_the_connection_whose_peer_it_cannot_report(run_case, connect):
    enclave = run_case("accept_wild")
    for call in (b"wild buffer", b"wild length"):
        lost = connect(enclave)
        lost.settimeout(20)
        assert lost.recv(1) == b""
        enclave.console.wait_for(call, timeout=20)
    connect(enclave)

    expected = [("wild buffer", EFAULT), ("wild length", EFAULT), ("works after", "1")]
    assert expected == finished_lines(enclave)


def test_a_duplicate_keeps_a_listener_open_and_its_close_frees_the_port(run_case, connect):
    enclave = run_case("duplicate")
    connect(enclave)

    expected = [
        ("accept on the copy", "1"),
        ("name of the copy", "family 40 length 16 port 5000 cid 4294967295"),
        ("port is free", "0"),
    ]
    assert expected == finished_lines(enclave)


def test_a_child_accepts_on_an_inherited_listener(run_case, connect):
    enclave = run_case("inherited")

    assert connect(enclave).recv(5, socket.MSG_WAITALL) == b"child"
    assert [("child's status", "42"), ("port is free", "0")] == finished_lines(enclave)


def test_epoll_reports_connections_data_and_ends(run_case, connect):
    enclave = run_case("polled")
    connection = connect(enclave)
    assert connection.recv(1) == b"?"
    connection.sendall(b"!")
    assert connection.recv(1) == b"?"
    connection.shutdown(socket.SHUT_WR)

    expected = [
        ("listener", "1 in"),
        ("connection", "1 in"),
        ("read", "1"),
        ("after the peer's end", "1 in end"),
        ("read", "0"),
    ]
    assert expected == finished_lines(enclave)


def test_a_connection_knows_both_ends_and_stays_as_it_is(run_case, connect):
    enclave = run_case("names_of_connection")
    connect(enclave)

    expected = [
        ("own", f"family 40 length 16 port 5000 cid {enclave.cid}"),
        ("peer", "0"),
        ("family 40 length 16 cid 3",),
        ("connect again", EISCONN),
        ("bind again", EINVAL),
        ("listen", EINVAL),
    ]
    assert expected == finished_lines(enclave)


def test_the_number_of_readable_bytes_is_known(run_case, connect):
    enclave = run_case("readable_count")
    connect(enclave).sendall(b"12345")

    assert [("ioctl", "0"), ("count", "5")] == finished_lines(enclave)


def test_recvfrom_names_no_sender(run_case, connect):
    enclave = run_case("no_sender_name")
    connect(enclave).sendall(b"12345")

    expected = [("recvfrom", "5"), ("length", "0"), ("address untouched", "1")]
    assert expected == finished_lines(enclave)


def test_a_half_closed_connection_still_receives(run_case, connect):
    enclave = run_case("half_close")
    connection = connect(enclave)
    assert b"ours" == b"".join(iter(lambda: connection.recv(64), b""))
    connection.sendall(b"theirs")
    connection.close()

    expected = [("shutdown", "0"), ("write after it", EPIPE), ("read after it", "6"), ("end", "0")]
    assert expected == finished_lines(enclave)


def test_writing_to_a_peer_that_is_gone_raises_a_signal(run_case, connect):
    enclave = run_case("peer_gone")
    connect(enclave).close()

    expected = [
        ("end", "0"),
        ("write", EPIPE),
        ("signals", "1"),
        ("write without signal", EPIPE),
        ("signals", "1"),
    ]
    assert expected == finished_lines(enclave)


def test_the_signal_ends_a_program_that_does_not_handle_it(run_case, connect):
    enclave = run_case("killed_by_peer")
    connect(enclave).close()

    assert enclave.wait(timeout=20) == 128 + signal.SIGPIPE
    assert b"survived" not in enclave.console.read_all(timeout=20)
