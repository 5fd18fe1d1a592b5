"""Who reaches whom, and who may bind what: the network of an instance without any program."""

import errno
import socket

import pytest

from nitrosim.hypervisor.network import Network
from nitrosim.vsock.addresses import CID_ANY, PORT_ANY, Address, address_in_name


@pytest.fixture
def network(directory):
    return Network(directory, f"test-{directory.name}")


@pytest.fixture
def make(network):
    """Make emulated sockets, each with what is known of it."""
    socks = []

    def make(side):
        socks.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        return socks[-1], network.table.add(socks[-1], side)

    yield make
    for sock in socks:
        sock.close()


@pytest.fixture
def listen(network, make):
    def listen(side, port, backlog=8):
        sock, state = make(side)
        assert network.bind(sock, state, Address(CID_ANY, port)) == 0
        assert network.listen(sock, state, backlog) == 0
        return sock, state

    return listen


@pytest.fixture
def enclave(network):
    return network.add_side(None)


# ---- sides ----


def test_enclaves_are_numbered_from_16(network):
    assert [16, 17, 18] == [network.add_side(None).cid for _ in range(3)]


def test_a_number_that_is_taken_is_passed_over(network):
    network.add_side(17)

    assert [16, 18] == [network.add_side(None).cid for _ in range(2)]


def test_the_number_of_an_enclave_that_ended_is_not_given_out_again(network):
    network.remove_side(network.add_side(None))

    assert 17 == network.add_side(None).cid


@pytest.mark.parametrize("cid", [3, 16])
def test_a_cid_that_is_taken_is_refused(network, enclave, cid):
    assert enclave.cid == 16
    assert network.add_side(cid) is None


def test_a_cid_is_free_after_its_enclave(network):
    side = network.add_side(50)
    assert network.route(network.parent, side.cid) is side
    network.remove_side(side)

    assert network.route(network.parent, side.cid) is None
    assert network.add_side(50) is not None


def test_an_enclave_reaches_the_parent_and_itself_only(network, enclave):
    other = network.add_side(None)

    assert network.parent is network.route(enclave, 3)
    assert enclave is network.route(enclave, enclave.cid)
    assert network.route(enclave, other.cid) is None
    for cid in (0, 1, 2, 999, CID_ANY):
        assert network.route(enclave, cid) is None


def test_the_parent_reaches_every_enclave_and_itself(network, enclave):
    other = network.add_side(None)

    found = [network.route(network.parent, cid) for cid in (3, enclave.cid, other.cid, 999)]
    assert [network.parent, enclave, other, None] == found


# ---- bind ----


def test_a_socket_is_bound_once(network, make, enclave):
    sock, state = make(enclave)

    assert 0 == network.bind(sock, state, Address(CID_ANY, 5000))
    assert errno.EINVAL == network.bind(sock, state, Address(CID_ANY, 5001))


@pytest.mark.parametrize("cid", [0, 1, 2, 3, 17])
def test_a_cid_of_somebody_else_cannot_be_bound(network, make, enclave, cid):
    assert errno.EADDRNOTAVAIL == network.bind(*make(enclave), Address(cid, 5000))


@pytest.mark.parametrize("cid", [CID_ANY, 16])
def test_a_socket_keeps_the_cid_it_was_bound_to(network, make, enclave, cid):
    sock, state = make(enclave)
    network.bind(sock, state, Address(cid, 5000))

    assert Address(cid, 5000) == state.local


def test_a_port_is_in_use_as_long_as_its_socket_lives(network, make, enclave):
    sock, state = make(enclave)
    network.bind(sock, state, Address(CID_ANY, 5000))
    assert errno.EADDRINUSE == network.bind(*make(enclave), Address(16, 5000))

    sock.close()

    assert 0 == network.bind(*make(enclave), Address(CID_ANY, 5000))


def test_sides_have_their_own_ports(network, make, enclave):
    for side in (enclave, network.add_side(None), network.parent):
        assert 0 == network.bind(*make(side), Address(CID_ANY, 5000))


def test_any_port_is_a_free_unreserved_one(network, make, enclave):
    for _ in range(100):
        assert 0 == network.bind(*make(enclave), Address(CID_ANY, PORT_ANY))

    assert 100 == len(enclave.ports)
    assert all(1023 < port < PORT_ANY for port in enclave.ports)


def test_a_free_port_is_none_that_is_taken_or_reserved(network, make, enclave, monkeypatch):
    network.bind(*make(enclave), Address(CID_ANY, 5000))
    drawn = iter([5000, 0, 1023, PORT_ANY, 5000, 7000])
    monkeypatch.setattr(
        "nitrosim.hypervisor.network.os.urandom", lambda _count: next(drawn).to_bytes(4, "little")
    )
    network.bind(*make(enclave), Address(CID_ANY, PORT_ANY))

    assert {5000, 7000} == set(enclave.ports)


# ---- listen ----


def test_a_socket_that_is_not_bound_does_not_listen(network, make, enclave):
    assert errno.EINVAL == network.listen(*make(enclave), 8)


def test_a_connected_socket_does_not_listen(network, make, listen, enclave):
    listen(network.parent, 9000)
    sock, state = make(enclave)
    network.connect(sock, state, Address(3, 9000))

    assert errno.EINVAL == network.listen(sock, state, 8)


def test_listening_again_changes_the_backlog(network, listen, enclave):
    sock, state = listen(enclave, 5000, 8)
    network.listen(sock, state, 1)

    assert 1 == state.backlog


@pytest.mark.parametrize("backlog", [-1, 2**31 - 1])
def test_an_endless_backlog_is_as_deep_as_it_can_be(network, listen, enclave, backlog):
    _sock, state = listen(enclave, 5000, backlog)

    assert network._deepest - 1 == state.backlog


# ---- connect ----


def test_a_connection_carries_data_and_both_names(network, make, listen, enclave):
    server, state = listen(network.parent, 9000)
    client, client_state = make(enclave)

    assert 0 == network.connect(client, client_state, Address(3, 9000))

    accepted, _name = server.accept()
    with accepted:
        client.sendall(b"hello")
        assert b"hello" == accepted.recv(5)
        assert (16, client_state.local.port) == address_in_name(accepted.getpeername())
        assert Address(3, 9000) == address_in_name(client.getpeername()) == client_state.peer
    assert 1 == state.pending


def test_a_bound_socket_connects_from_its_port(network, make, listen, enclave):
    server, _state = listen(network.parent, 9000)
    client, client_state = make(enclave)
    network.bind(client, client_state, Address(CID_ANY, 4321))
    network.connect(client, client_state, Address(3, 9000))

    accepted, _name = server.accept()
    with accepted:
        assert (16, 4321) == address_in_name(accepted.getpeername())


@pytest.mark.parametrize("cid", [1, 2, 17, 999])
def test_where_no_machine_is_nobody_answers(network, make, enclave, cid):
    assert errno.ETIMEDOUT == network.connect(*make(enclave), Address(cid, 5000))


def test_a_port_without_listener_resets(network, make, enclave):
    sock, state = make(network.parent)
    network.bind(sock, state, Address(CID_ANY, 9000))

    for port in (9000, 9001):
        assert errno.ECONNRESET == network.connect(*make(enclave), Address(3, port))


def test_a_refused_socket_connects_later(network, make, listen, enclave):
    client, state = make(enclave)
    assert errno.ECONNRESET == network.connect(client, state, Address(3, 9000))
    listen(network.parent, 9000)

    assert 0 == network.connect(client, state, Address(3, 9000))


def test_a_closed_listener_resets_and_frees_its_port(network, make, listen, enclave):
    listener, _state = listen(network.parent, 9000)
    listener.close()

    assert errno.ECONNRESET == network.connect(*make(enclave), Address(3, 9000))
    assert {} == network.parent.ports


def test_a_connection_goes_to_who_listens_now(network, make, listen, enclave):
    listen(network.parent, 9000)[0].close()
    server, _state = listen(network.parent, 9000)
    client, state = make(enclave)

    assert 0 == network.connect(client, state, Address(3, 9000))
    server.accept()[0].close()


@pytest.mark.parametrize("backlog", [0, 1, 5])
def test_one_more_connection_than_the_backlog_waits(network, make, listen, enclave, backlog):
    _server, state = listen(network.parent, 9000, backlog)
    results = [network.connect(*make(enclave), Address(3, 9000)) for _ in range(backlog + 2)]

    assert [0] * (backlog + 1) + [errno.ECONNRESET] == results
    state.pending -= 1
    assert 0 == network.connect(*make(enclave), Address(3, 9000))


def test_a_listener_that_nobody_counts_takes_all(network, make, listen, enclave):
    _server, state = listen(network.parent, 9000, 0)
    state.counted = False

    assert {0} == {network.connect(*make(enclave), Address(3, 9000)) for _ in range(20)}


# ---- waiting for a port ----


def test_who_waits_for_a_port_is_called_when_somebody_listens(network, make, enclave):
    called = []
    network.when_listening(enclave, 5000, lambda: called.append("first"))
    network.when_listening(enclave, 5000, lambda: called.append("second"))
    network.when_listening(enclave, 5001, lambda: pytest.fail("nobody listens there"))
    sock, state = make(enclave)
    network.bind(sock, state, Address(CID_ANY, 5000))
    assert [] == called

    network.listen(sock, state, 8)
    network.listen(sock, state, 8)

    assert ["first", "second"] == called


def test_who_waits_is_called_when_the_enclave_ends(network, enclave):
    called = []
    network.when_listening(
        enclave, 5000, lambda: called.append(network.route(network.parent, enclave.cid))
    )
    network.remove_side(enclave)

    assert [None] == called


def test_who_no_longer_waits_is_not_called(network, listen, enclave):
    def never():
        pytest.fail("was taken back")

    network.when_listening(enclave, 5000, never)
    network.stop_waiting(enclave, 5000, never)
    network.stop_waiting(enclave, 5000, never)
    listen(enclave, 5000)

    assert {} == network._waiting


def test_a_port_listens_while_its_listener_lives(network, make, listen, enclave):
    assert not network.is_listening(enclave, 5000)
    bound, state = make(enclave)
    network.bind(bound, state, Address(CID_ANY, 5001))
    listener, _state = listen(enclave, 5000)
    assert network.is_listening(enclave, 5000)
    assert not network.is_listening(enclave, 5001)

    listener.close()

    assert not network.is_listening(enclave, 5000)
    assert {5001: state} == enclave.ports
