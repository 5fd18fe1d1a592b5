"""The vsock calls that may have to wait: connect, accept, recvfrom with a name.

Each first tries to finish at once. If that is not possible and the caller is
willing to wait, the call is parked with a duplicate of its socket.

Whether a caller is willing to wait is a property of the open file (O_NONBLOCK),
which it shares with every duplicate. It is therefore read anew at each call, and
an accept of ours is only made on a listener that polls readable: all accepts on
emulated listeners come here, one after the other, so it cannot block.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Callable

from nitrosim.hypervisor.answers import (
    BAD_ADDRESS,
    LATER,
    NATIVE,
    SUCCESS,
    Answer,
    Fail,
    Install,
    Return,
)
from nitrosim.hypervisor.arguments import CallError, as_int, read_name, write_name
from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.notify import Notification
from nitrosim.hypervisor.parked import ParkedCall, ParkingLot
from nitrosim.hypervisor.programs import Borrowed, Program, SocketLender
from nitrosim.hypervisor.sockets import EmulatedSocket
from nitrosim.hypervisor.tracee import BadAddressError, GoneError, write_memory
from nitrosim.vsock.addresses import Address, address_in_name

_ACCEPT_FLAGS = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_TIMEVAL = struct.Struct("=qq")
_INT = struct.Struct("=i")
#: A longer recvfrom gets a short answer, as a stream may give at any time.
_MOST_RECEIVED = 256 * 1024


# DEVIATION: What one side has written can be read by the other at once, and a connection is made at
# once; nothing takes the time that it takes between two machines.
# DEVIATION: A connection that the other side has closed still has a peer: getpeername gives its
# address and connect gives EISCONN, where vsock may answer ENOTCONN and connect anew.
# DEVIATION: When a side closes a connection with bytes in it that it has not read, the next read of
# the other side after the last byte gives ECONNRESET, where vsock gives end of file.
# DEVIATION: A recvmsg with a name buffer returns the AF_UNIX name of the peer, because the buffer
# is behind a pointer that the filter cannot follow; vsock returns no name.
# DEVIATION: A recvfrom with a name buffer returns at most 256 KiB at a time.
class VsockTransfers:
    """Answers to the calls that wait for somebody else."""

    def __init__(
        self, loop: Loop, network: Network, lender: SocketLender, parking: ParkingLot
    ) -> None:
        self._loop = loop
        self._network = network
        self._lender = lender
        self._parking = parking

    # ---- connect ----

    def connect(self, program: Program, notification: Notification) -> Answer:
        """Answer ``connect``: fd, name, length."""
        with self._lender.borrow(notification) as borrowed:
            if borrowed is None:
                return NATIVE
            state = borrowed.state
            wanted = read_name(notification.thread, notification.args[1], notification.args[2])
            if state.peer is not None:
                return Fail(errno.EISCONN)
            if state.listening:
                return Fail(errno.EINVAL)
            error = self._network.connect(borrowed.sock, state, wanted)
            if error == errno.ETIMEDOUT and os.get_blocking(borrowed.sock.fileno()):
                call = self._park(program, notification, borrowed, None)
                call.set_deadline(self._loop, state.options.connect_timeout, Fail(error))
                return LATER
            # DEVIATION: A non-blocking connect is finished when it returns: 0, ECONNRESET or
            # ETIMEDOUT at once, where hardware returns EINPROGRESS and reports through SO_ERROR.
            if error:
                return Fail(error)
            if not os.get_blocking(borrowed.sock.fileno()):
                _wake_writers(borrowed.sock)
            return SUCCESS

    # ---- accept ----

    def accept(self, program: Program, notification: Notification) -> Answer:
        """Answer ``accept``: fd, name, length."""
        return self._accept(program, notification, 0)

    def accept4(self, program: Program, notification: Notification) -> Answer:
        """Answer ``accept4``: fd, name, length, flags."""
        return self._accept(program, notification, as_int(notification.args[3]))

    def _accept(self, program: Program, notification: Notification, flags: int) -> Answer:
        with self._lender.borrow(notification) as borrowed:
            if borrowed is None:
                return NATIVE
            if flags & ~_ACCEPT_FLAGS or not borrowed.state.listening:
                return Fail(errno.EINVAL)
            answer = self._try_accept(borrowed.sock, borrowed.state, notification, flags)
            if answer is not None:
                return answer
            if not os.get_blocking(borrowed.sock.fileno()):
                return Fail(errno.EAGAIN)
            state = borrowed.state
            call = self._park(
                program,
                notification,
                borrowed,
                lambda sock: self._try_accept(sock, state, notification, flags),
            )
            self._limit_by_receive_timeout(call)
            return LATER

    def _try_accept(
        self, listener: socket.socket, state: EmulatedSocket, notification: Notification, flags: int
    ) -> Answer | None:
        if state.returned:
            sock = state.returned.popleft()
        else:
            if not _is_readable(listener):
                return None
            try:
                sock, _name = listener.accept()
            except OSError as error:  # EINVAL: somebody has shut the listener down
                return Fail(error.errno or errno.EIO)
            state.pending -= 1
        peer = address_in_name(sock.getpeername())
        local = address_in_name(sock.getsockname())
        accepted = self._network.table.find(sock) or self._network.table.add(sock, state.side)
        accepted.local = Address(state.side.cid, local.port)
        accepted.peer = peer
        accepted.options = state.options
        os.set_blocking(sock.fileno(), not flags & socket.SOCK_NONBLOCK)
        if notification.args[1]:
            try:
                write_name(notification.thread, *notification.args[1:3], peer)
            except (BadAddressError, CallError) as error:
                # As on Linux: the connection is taken and lost.
                sock.close()
                return BAD_ADDRESS if isinstance(error, BadAddressError) else Fail(error.error)
            except GoneError:
                state.returned.append(sock)
                return Fail(errno.EINTR)
        return Install(sock, os.O_CLOEXEC if flags & socket.SOCK_CLOEXEC else 0)

    def take_back(self, sock: socket.socket) -> bool:
        """Give an accepted connection, whose accept has vanished, to the next accept.

        Returns False when it was not accepted from a listener that is still there.
        """
        accepted = self._network.table.find(sock)
        if accepted is None or accepted.peer is None or accepted.local is None:
            return False
        listener = accepted.side.ports.get(accepted.local.port)
        if listener is None or not listener.listening:
            return False
        listener.returned.append(sock)
        return True

    # ---- recvfrom ----

    def recvfrom(self, program: Program, notification: Notification) -> Answer:
        """Answer ``recvfrom``: fd, buffer, size, flags, name, length; with a name buffer.

        Natively it would give an AF_UNIX name; a vsock stream gives none (length 0).
        """
        with self._lender.borrow(notification) as borrowed:
            if borrowed is None:
                return NATIVE
            if borrowed.state.peer is None:
                return Fail(errno.ENOTCONN)
            answer = self._try_receive(borrowed.sock, notification)
            if answer is not None:
                return answer
            flags = as_int(notification.args[3])
            if flags & socket.MSG_DONTWAIT or not os.get_blocking(borrowed.sock.fileno()):
                return Fail(errno.EAGAIN)
            call = self._park(
                program,
                notification,
                borrowed,
                lambda sock: self._try_receive(sock, notification),
            )
            self._limit_by_receive_timeout(call)
            return LATER

    def _try_receive(self, sock: socket.socket, notification: Notification) -> Answer | None:
        _fd, buffer, size, flags, _name, length = notification.args
        try:
            data = sock.recv(min(size, _MOST_RECEIVED), as_int(flags) | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            return Fail(error.errno or errno.EIO)
        write_memory(notification.thread, buffer, data)
        if length:
            write_memory(notification.thread, length, _INT.pack(0))
        return Return(len(data))

    # ---- waiting ----

    def _park(
        self,
        program: Program,
        notification: Notification,
        borrowed: Borrowed,
        retry: Callable[[socket.socket], Answer | None] | None,
    ) -> ParkedCall:
        pidfd = os.dup(borrowed.pidfd)
        if retry is None:
            return self._parking.park(
                program.listener, notification, pidfd=pidfd, sock=None, retry=lambda: None
            )
        sock = borrowed.sock.dup()

        def guarded() -> Answer | None:
            try:
                return retry(sock)
            except BadAddressError:
                return BAD_ADDRESS
            except GoneError:
                return Fail(errno.EINTR)

        return self._parking.park(
            program.listener, notification, pidfd=pidfd, sock=sock, retry=guarded
        )

    def _limit_by_receive_timeout(self, call: ParkedCall) -> None:
        """Let a parked call end when SO_RCVTIMEO of its socket says so."""
        assert call.sock is not None
        option = call.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.size)
        seconds, micro = _TIMEVAL.unpack(option)
        if seconds or micro:
            call.set_deadline(self._loop, seconds + micro / 1e6, Fail(errno.EAGAIN))


def _is_readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _wake_writers(sock: socket.socket) -> None:
    """Tell whoever has polled `sock` since before it was connected that it is writable.

    AF_UNIX wakes nobody at the connecting end, and an edge-triggered epoll would wait for
    ever. Setting the size of the send buffer does, even to what it is: the kernel keeps
    twice the number that it is given.
    """
    size = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size // 2)
