"""The supervisor, driven without a kernel: a listener that is made up, this process as caller.

The calls are notifications as the kernel would make them, their arguments descriptors and
addresses of this process; the answers go nowhere, or are refused as the kernel refuses them.
"""

import contextlib
import ctypes
import errno
import logging
import os
import socket
import struct

import pytest

from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.notify import Notification
from nitrosim.hypervisor.supervisor import Supervisor
from nitrosim.sandbox.calls import CALLS, GET_LOCAL_CID, NSM_IOCTL_RAW
from nitrosim.vsock.addresses import CID_ANY, Address

NUMBERS = {call.name: call.numbers[os.uname().machine] for call in CALLS}
VSOCK = 40
PORT = 5000


class FakeListener:
    """A filter's listener: gives out one call after the other and takes the answers.

    What it installs it keeps as descriptors of this process. With `alive` false the call is
    gone when the answer comes, as when a signal has interrupted it.
    """

    def __init__(self, fd):
        self.fd = fd
        self.killable = False
        self.alive = True
        self.room = True
        self.calls = []
        self.answers = []
        self.installed = []

    def receive(self):
        return self.calls.pop(0)

    def is_valid(self, _notification):
        return self.alive

    def send(self, _notification, value, error, *, native):
        if self.alive:
            self.answers.append("native" if native else -error or value)
        return self.alive

    def install(self, _notification, fd, fd_flags):
        if not self.room:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if self.alive:
            sock = socket.socket(fileno=os.dup(fd))
            self.installed.append(sock)
            self.answers.append(("installed", fd_flags))
        return self.alive


class World:
    """A supervisor with one program, which is this process."""

    def __init__(self, directory, listener_fd):
        self.loop = Loop()
        self.network = Network(directory, f"test-{directory.name}")
        self.supervisor = Supervisor(self.loop, self.network)
        self.side = self.network.add_side(None)
        self.listener = FakeListener(listener_fd)
        self.asked = []
        self.program = self.supervisor.add(self.listener, self.side, nsm=self._ask)
        self._id = 0

    def _ask(self, request):
        self.asked.append(request)
        return b"answer to " + request

    def call(self, name, *args, thread=None):
        """Make a call; return its answer, None while there is none."""
        self._id += 1
        filled = (*args, *[0] * (6 - len(args)))
        number = NUMBERS[name]
        self.listener.calls.append(Notification(self._id, thread or os.getpid(), number, filled))
        before = len(self.listener.answers)
        self.supervisor._serve(self.program)
        new = self.listener.answers[before:]
        assert len(new) <= 1
        return new[0] if new else None

    def turn(self):
        """Call back what is ready now."""
        for fd, events in self.loop._epoll.poll(0):
            if fd in self.loop._callbacks:
                self.loop._callbacks[fd](events)

    def socket(self, flags=0):
        assert self.call("socket", VSOCK, socket.SOCK_STREAM | flags) == ("installed", 0)
        return self.listener.installed[-1]

    def listening(self, port=PORT):
        sock = self.socket()
        with name(Address(CID_ANY, port)) as (address, size):
            assert self.call("bind", sock.fileno(), address, size) == 0
        assert self.call("listen", sock.fileno(), 8) == 0
        return sock

    def connect(self, sock, target):
        with name(target) as (address, size):
            return self.call("connect", sock.fileno(), address, size)


@contextlib.contextmanager
def name(address):
    """Put an address into memory; give its address and size."""
    buffer = ctypes.create_string_buffer(address.pack(), 16)
    yield ctypes.addressof(buffer), 16


@pytest.fixture
def world(directory):
    reader, writer = os.pipe()
    world = World(directory, reader)
    yield world
    world.listener.alive = False
    world.supervisor.remove(world.program)
    os.close(writer)
    for sock in world.listener.installed:
        sock.close()


# ---- answers ----


def test_a_failure_nobody_expected_is_answered_before_it_is_logged(world, monkeypatch, caplog):
    def fail(_program, _notification):
        raise ZeroDivisionError("a bug of ours")

    monkeypatch.setitem(world.supervisor._handlers, NUMBERS["bind"], fail)

    with caplog.at_level(logging.ERROR):
        assert -errno.EIO == world.call("bind", 0, 0, 16)
    assert "a bug of ours" in caplog.text


@pytest.mark.parametrize("call", ["bind", "connect", "listen", "accept", "accept4", "getsockname"])
def test_a_call_on_what_is_none_of_ours_is_the_kernels(world, call):
    with socket.socket(socket.AF_UNIX) as sock, open(os.devnull) as file:  # noqa: PTH123
        for fd in (sock.fileno(), file.fileno(), 100_000, 2**32 - 1):
            assert "native" == world.call(call, fd, 0, 16)


def test_a_caller_that_has_died_gets_no_answer(world):
    with socket.socket(socket.AF_UNIX) as sock:
        # Numbers of processes end far below.
        assert world.call("listen", sock.fileno(), 8, thread=2**22 + 1) is None
    assert [] == world.listener.answers


def test_an_installed_socket_is_not_kept_here(world):
    sock = world.socket()
    other = socket.socket(socket.AF_UNIX)
    with other:
        # Were a copy open, the inode would live on after the program's close.
        state = world.network.table.find(sock)
        sock.close()
        world.listener.installed.remove(sock)
        assert not world.network.table.is_live(state)


@pytest.mark.parametrize(
    ("flags", "fd_flags", "blocking"),
    [
        (0, 0, True),
        (socket.SOCK_CLOEXEC, os.O_CLOEXEC, True),
        (socket.SOCK_NONBLOCK, 0, False),
        (socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, os.O_CLOEXEC, False),
    ],
)
def test_the_flags_of_a_socket_are_kept(world, flags, fd_flags, blocking):
    answer = world.call("socket", VSOCK, socket.SOCK_STREAM | flags)

    assert ("installed", fd_flags) == answer
    assert blocking == os.get_blocking(world.listener.installed[-1].fileno())


def test_a_program_at_its_limit_gets_emfile(world):
    world.listener.room = False

    assert -errno.EMFILE == world.call("socket", VSOCK, socket.SOCK_STREAM)


# ---- calls that are interrupted after they were acted on ----


def test_a_connect_whose_answer_was_lost_succeeds_when_it_is_made_again(world):
    server = world.listening()
    client = world.socket()
    with name(Address(world.side.cid, PORT)) as (address, size):
        world.listener.alive = False
        assert world.call("connect", client.fileno(), address, size) is None
        world.listener.alive = True

        assert 0 == world.call("connect", client.fileno(), address, size)
        world.call("getsockname", client.fileno(), 0, 0)
        assert -errno.EISCONN == world.call("connect", client.fileno(), address, size)
    server.accept()[0].close()
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.accept()


def test_a_bind_whose_answer_was_lost_succeeds_when_it_is_made_again(world):
    sock = world.socket()
    with name(Address(CID_ANY, PORT)) as (address, size):
        world.listener.alive = False
        world.call("bind", sock.fileno(), address, size)
        world.listener.alive = True

        assert 0 == world.call("bind", sock.fileno(), address, size)


@pytest.mark.parametrize(("killable", "again"), [(False, [0, 0]), (True, [-errno.EISCONN] * 2)])
def test_a_connect_whose_answer_may_have_been_lost_in_the_kernel_succeeds_again(
    world, killable, again
):
    world.listening()
    client = world.socket()
    world.listener.killable = killable
    with name(Address(world.side.cid, PORT)) as (address, size):
        call = ("connect", client.fileno(), address, size)
        assert 0 == world.call(*call)
        assert again == [world.call(*call), world.call(*call)]


@pytest.mark.parametrize(("killable", "again"), [(False, 0), (True, -errno.EINVAL)])
def test_a_bind_whose_answer_may_have_been_lost_in_the_kernel_succeeds_again(
    world, killable, again
):
    sock = world.socket()
    world.listener.killable = killable
    with name(Address(CID_ANY, PORT)) as (address, size):
        call = ("bind", sock.fileno(), address, size)
        assert 0 == world.call(*call)
        assert again == world.call(*call)


def test_a_connection_whose_accept_was_lost_goes_to_the_accept_that_is_made_again(world):
    server, client = world.listening(), world.socket()
    world.connect(client, Address(world.side.cid, PORT))
    world.listener.alive = False
    assert world.call("accept4", server.fileno(), 0, 0, 0) is None
    world.listener.alive = True

    assert ("installed", 0) == world.call("accept4", server.fileno(), 0, 0, 0)
    client.sendall(b"here")
    assert b"here" == world.listener.installed[-1].recv(4)


def test_a_connection_whose_accept_was_lost_goes_to_another_thread(world):
    server, client = world.listening(), world.socket()
    world.connect(client, Address(world.side.cid, PORT))
    world.listener.alive = False
    world.call("accept4", server.fileno(), 0, 0, 0)
    world.listener.alive = True
    # The thread has handled its signal and does something else.
    world.socket()

    assert ("installed", 0) == world.call("accept4", server.fileno(), 0, 0, 0)
    client.sendall(b"here")
    assert b"here" == world.listener.installed[-1].recv(4)


def test_a_request_to_the_module_whose_answer_was_lost_is_not_asked_again(world, monkeypatch):
    monkeypatch.setattr(
        "nitrosim.hypervisor.tracee.DescriptorPaths.path", lambda *_arguments: "/dev/nsm"
    )
    request = ctypes.create_string_buffer(b"extend", 6)
    response = ctypes.create_string_buffer(64)
    raw = ctypes.create_string_buffer(
        struct.pack("=QQQQ", ctypes.addressof(request), 6, ctypes.addressof(response), 64), 32
    )
    world.listener.alive = False
    world.call("ioctl", 9, NSM_IOCTL_RAW, ctypes.addressof(raw))
    world.listener.alive = True

    assert 0 == world.call("ioctl", 9, NSM_IOCTL_RAW, ctypes.addressof(raw))
    assert [b"extend"] == world.asked
    assert b"answer to extend\0" == response.raw[:17]
    assert 16 == struct.unpack("=QQQQ", raw.raw)[3]


def test_an_answer_is_not_given_to_another_call(world):
    first, second = world.socket(), world.socket()
    with name(Address(CID_ANY, PORT)) as (address, size):
        world.listener.alive = False
        world.call("bind", first.fileno(), address, size)
        world.listener.alive = True

        assert -errno.EADDRINUSE == world.call("bind", second.fileno(), address, size)
        assert -errno.EINVAL == world.call("bind", first.fileno(), address, size)


# ---- calls that wait ----


def test_a_blocking_accept_waits_for_a_connection(world):
    server, client = world.listening(), world.socket()
    assert world.call("accept4", server.fileno(), 0, 0, 0) is None
    assert 1 == len(world.supervisor._parking)

    world.connect(client, Address(world.side.cid, PORT))
    world.turn()

    assert ("installed", 0) == world.listener.answers[-1]
    assert 0 == len(world.supervisor._parking)


def test_of_many_that_wait_one_gets_the_connection(world):
    server, client = world.listening(), world.socket()
    for _ in range(3):
        world.call("accept4", server.fileno(), 0, 0, 0)
    before = len(world.listener.answers)
    world.connect(client, Address(world.side.cid, PORT))
    world.turn()

    assert [0, ("installed", 0)] == world.listener.answers[before:]
    assert 2 == len(world.supervisor._parking)


def test_a_nonblocking_accept_does_not_wait(world):
    server = world.listening()
    server.setblocking(False)

    assert -errno.EAGAIN == world.call("accept4", server.fileno(), 0, 0, 0)


def test_an_accept_that_nobody_waits_for_takes_no_connection(world):
    server, client = world.listening(), world.socket()
    world.call("accept4", server.fileno(), 0, 0, 0)
    world.listener.alive = False
    world.connect(client, Address(world.side.cid, PORT))
    world.turn()
    world.listener.alive = True
    assert 0 == len(world.supervisor._parking)

    assert ("installed", 0) == world.call("accept4", server.fileno(), 0, 0, 0)


def test_an_accept_ends_when_its_listener_is_shut_down(world):
    server = world.listening()
    world.call("accept4", server.fileno(), 0, 0, 0)
    server.shutdown(socket.SHUT_RDWR)
    world.turn()

    assert -errno.EINVAL == world.listener.answers[-1]


def test_what_waits_is_forgotten_with_the_program(world):
    server = world.listening()
    world.call("accept4", server.fileno(), 0, 0, 0)
    world.supervisor.remove(world.program)

    assert 0 == len(world.supervisor._parking)
    assert {} == world.loop._callbacks


def test_a_connect_to_nowhere_waits_for_its_time_out(world, monkeypatch):
    client = world.socket()
    deadlines = []
    monkeypatch.setattr(
        world.loop, "call_later", lambda seconds, call: deadlines.append((seconds, call))
    )
    assert world.connect(client, Address(999, PORT)) is None

    default = 2.0
    (deadline,) = [call for seconds, call in deadlines if seconds == default]
    deadline()

    assert -errno.ETIMEDOUT == world.listener.answers[-1]


def test_a_nonblocking_connect_to_nowhere_fails_at_once(world):
    client = world.socket(socket.SOCK_NONBLOCK)

    assert -errno.ETIMEDOUT == world.connect(client, Address(999, PORT))


def test_a_full_program_leaves_the_connection_for_later(world):
    server, client = world.listening(), world.socket()
    world.connect(client, Address(world.side.cid, PORT))
    world.listener.room = False
    assert -errno.EMFILE == world.call("accept4", server.fileno(), 0, 0, 0)
    world.listener.room = True

    assert ("installed", 0) == world.call("accept4", server.fileno(), 0, 0, 0)


# ---- the rest ----


def test_the_local_cid_is_told_on_the_device_only(world, monkeypatch):
    cid = ctypes.c_uint32()
    path = "/dev/vsock"
    monkeypatch.setattr("nitrosim.hypervisor.tracee.DescriptorPaths.path", lambda *_arguments: path)
    assert 0 == world.call("ioctl", 9, GET_LOCAL_CID, ctypes.addressof(cid))
    assert world.side.cid == cid.value

    path = "/dev/null"
    assert "native" == world.call("ioctl", 9, GET_LOCAL_CID, ctypes.addressof(cid))
    path = "/dev/nsm"
    assert "native" == world.call("ioctl", 9, GET_LOCAL_CID, ctypes.addressof(cid))


def test_a_hung_up_filter_is_removed(world):
    ended = []
    reader, writer = os.pipe()
    world.supervisor.add(FakeListener(reader), world.side, on_end=lambda: ended.append(True))
    os.close(writer)
    world.turn()
    world.turn()

    assert [True] == ended
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)
