"""The table of emulated sockets, with real AF_UNIX sockets."""

import socket

import pytest

from nitrosim.hypervisor.sockets import Side, SocketTable
from nitrosim.vsock.addresses import CID_ANY, Address, address_in_name


@pytest.fixture
def table(directory):
    return SocketTable(directory, f"test-{directory.name}")


@pytest.fixture
def side():
    return Side(16, is_parent=False)


@pytest.fixture
def make_socket():
    socks = []

    def make():
        socks.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        return socks[-1]

    yield make
    for sock in socks:
        sock.close()


def test_a_socket_is_found_by_any_of_its_descriptors(table, side, make_socket):
    sock = make_socket()
    state = table.add(sock, side)

    with sock.dup() as copy:
        assert state is table.find(copy) is table.find(sock)


def test_a_socket_that_was_not_added_is_none_of_ours(table, side, make_socket):
    table.add(make_socket(), side)

    assert table.find(make_socket()) is None


def test_a_new_socket_is_not_taken_for_a_closed_one(table, side):
    for _ in range(50):
        with socket.socket(socket.AF_UNIX) as emulated:
            table.add(emulated, side)
        with socket.socket(socket.AF_UNIX) as ordinary:
            assert table.find(ordinary) is None


def test_a_bound_socket_has_a_path_that_says_its_address(table, side, make_socket, directory):
    sock = make_socket()
    state = table.add(sock, side)
    table.bind(sock, state, Address(16, 5000))

    assert Address(16, 5000) == state.local == address_in_name(sock.getsockname())
    assert state is side.ports[5000]
    assert [directory / sock.getsockname().rsplit("/", 1)[1]] == list(directory.iterdir())


def test_a_client_has_a_name_without_a_file(table, side, make_socket, directory):
    sock = make_socket()
    state = table.add(sock, side)
    table.bind_client(sock, state, 6000)

    assert sock.getsockname().startswith(b"\0")
    assert Address(16, 6000) == address_in_name(sock.getsockname())
    assert Address(CID_ANY, 6000) == state.local
    assert [] == list(directory.iterdir())
    assert {} == side.ports


def test_the_same_address_can_be_named_twice(table, side, make_socket):
    for _ in range(2):
        sock = make_socket()
        table.bind(sock, table.add(sock, side), Address(16, 5000))


def test_a_socket_lives_as_long_as_a_descriptor_of_it(table, side, make_socket):
    sock = make_socket()
    state = table.add(sock, side)
    copy = sock.dup()
    sock.close()
    assert table.is_live(state)

    copy.close()
    assert not table.is_live(state)


def test_a_released_socket_leaves_nothing(table, side, make_socket, directory):
    sock = make_socket()
    state = table.add(sock, side)
    table.bind(sock, state, Address(16, 5000))
    waiting = make_socket()
    state.returned.append(waiting)

    table.release(state)

    assert table.find(sock) is None
    assert {} == side.ports
    assert [] == list(directory.iterdir())
    assert -1 == waiting.fileno()


def test_the_release_of_an_old_holder_leaves_the_new_one_its_port(table, side, make_socket):
    old, new = make_socket(), make_socket()
    states = [table.add(sock, side) for sock in (old, new)]
    for sock, state in zip((old, new), states, strict=True):
        table.bind(sock, state, Address(16, 5000))

    table.release(states[0])

    assert states[1] is side.ports[5000]


def test_a_sweep_forgets_the_closed_and_keeps_the_living(table, side, make_socket, directory):
    kept, gone = make_socket(), make_socket()
    state = table.add(kept, side)
    table.bind(kept, state, Address(16, 5000))
    table.bind(gone, table.add(gone, side), Address(16, 5001))
    gone.close()

    table.sweep()

    assert 1 == len(table)
    assert state is table.find(kept)
    assert {5000: state} == side.ports
    assert 1 == len(list(directory.iterdir()))


def test_the_table_sweeps_itself_before_it_grows_without_bound(table, side, make_socket):
    kept = make_socket()
    state = table.add(kept, side)
    for _ in range(2000):
        with socket.socket(socket.AF_UNIX) as sock:
            table.add(sock, side)

    assert len(table) <= 257
    assert state is table.find(kept)


def test_the_end_of_a_side_forgets_its_sockets_only(table, side, make_socket, directory):
    other_side = Side(17, is_parent=False)
    sock, other = make_socket(), make_socket()
    table.bind(sock, table.add(sock, side), Address(16, 5000))
    other_state = table.add(other, other_side)
    table.bind(other, other_state, Address(17, 5000))

    table.release_side(side)

    assert 1 == len(table)
    assert other_state is table.find(other)
    assert 1 == len(list(directory.iterdir()))
