"""The port where inits report: who holds it, whose connection is whose, what is answered."""

import socket

import pytest

from nitrosim.hypervisor.control import RequestError
from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.ready_port import HEARTBEAT, READY_PORT, ReadyPort
from nitrosim.vsock.addresses import Address


class World:
    """A port with a network of its own, and those who connect to it."""

    def __init__(self, directory):
        self.loop = Loop()
        self.network = Network(directory, f"test-{directory.name}")
        self.port = ReadyPort(self.loop, self.network)
        self.sides = [self.network.add_side(None) for _ in range(3)]
        self.sockets = []

    def connect(self, side):
        sock = socket.socket(socket.AF_UNIX)
        self.sockets.append(sock)
        error = self.network.connect(
            sock, self.network.table.add(sock, side), Address(3, READY_PORT)
        )
        assert error == 0
        sock.setblocking(False)
        return sock

    def send(self, side, data=HEARTBEAT):
        """Connect, send, and return what comes back: nothing too if something was left unread."""
        sock = self.connect(side)
        sock.sendall(data)
        self.turn()
        try:
            return sock.recv(1)
        except ConnectionResetError:
            return b""

    def turn(self):
        """Call back what is ready, until nothing is."""
        while ready := self.loop._epoll.poll(0):
            for fd, events in ready:
                if fd in self.loop._callbacks:
                    self.loop._callbacks[fd](events)

    @property
    def is_free(self):
        return not self.network.is_listening(self.network.parent, READY_PORT)


@pytest.fixture
def world(directory):
    world = World(directory)
    yield world
    for sock in world.sockets:
        sock.close()
    world.turn()
    world.port.let_go()
    for side in world.sides:
        world.port.forget(side)


def test_the_port_is_held_once_and_free_afterwards(world):
    world.port.hold()
    with pytest.raises(RequestError, match="port 9000 of CID 3 is in use") as caught:
        world.port.hold()
    assert ("ENCLAVE_BOOT", False) == (caught.value.code, world.is_free)
    world.port.let_go()

    assert world.is_free
    world.port.hold()


def test_a_port_that_a_program_has_cannot_be_held(world):
    sock, _port = world.network.listen_as_parent(READY_PORT)
    with sock, pytest.raises(RequestError):
        world.port.hold()

    world.port.hold()


def test_a_port_that_a_program_has_is_left_to_it(world):
    reports = []
    sock, _port = world.network.listen_as_parent(READY_PORT)
    with sock:
        world.port.expect(world.sides[0], reports.append)
        client = world.connect(world.sides[0])
        client.sendall(HEARTBEAT)
        accepted, _name = sock.accept()
        with accepted:
            assert HEARTBEAT == accepted.recv(1)

    assert [] == reports


@pytest.mark.parametrize("who", [0, 1])
def test_the_first_connection_is_that_of_the_enclave_that_boots_whoever_makes_it(world, who):
    reports = []
    world.port.hold()
    world.port.take_first(reports.append)

    assert HEARTBEAT == world.send(world.sides[who])
    assert [""] == reports
    # There is one.
    assert b"" == world.send(world.sides[who])
    assert [""] == reports


@pytest.mark.parametrize(
    ("data", "report"),
    [(b"\0", "it sent 0x00, expected 0xb7"), (b"hello", "it sent 0x68, expected 0xb7")],
)
def test_another_byte_is_reported_and_not_sent_back(world, data, report):
    reports = []
    world.port.expect(world.sides[0], reports.append)

    assert b"" == world.send(world.sides[0], data)
    assert [report] == reports


def test_a_connection_without_a_byte_is_reported_when_it_ends(world):
    reports = []
    world.port.expect(world.sides[0], reports.append)
    sock = world.connect(world.sides[0])
    world.turn()
    assert [] == reports
    sock.close()
    world.turn()

    assert ["it closed its connection without a byte"] == reports


def test_those_that_are_expected_are_told_apart_and_from_the_one_that_boots(world):
    reports = []
    world.port.hold()
    world.port.take_first(lambda _failure: reports.append("boots"))
    for number in (0, 1):
        world.port.expect(world.sides[number], lambda _failure, n=number: reports.append(n))
    for number in (1, 2, 0):
        assert HEARTBEAT == world.send(world.sides[number])

    assert [1, "boots", 0] == reports


def test_the_port_is_free_when_nobody_is_expected_any_more(world):
    for side in world.sides[:2]:
        world.port.expect(side, lambda _failure: None)
    world.send(world.sides[0])
    assert not world.is_free
    world.port.forget(world.sides[1])
    world.port.forget(world.sides[1])

    assert world.is_free


def test_an_enclave_that_is_expected_does_not_keep_another_from_booting(world):
    reports = []
    world.port.expect(world.sides[0], lambda _failure: reports.append("expected"))
    world.port.hold()
    world.port.take_first(lambda _failure: reports.append("boots"))
    world.send(world.sides[1])
    world.port.let_go()
    world.send(world.sides[0])

    assert ["boots", "expected"] == reports
    assert world.is_free


def test_somebody_who_is_not_of_the_network_is_turned_away(world):
    reports = []
    world.port.expect(world.sides[0], reports.append)
    path = world.network.parent.ports[READY_PORT].path
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(path)
        world.turn()
        assert b"" == stranger.recv(1)

    assert HEARTBEAT == world.send(world.sides[0])
    assert [""] == reports
