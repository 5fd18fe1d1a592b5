"""What runs under a filter: the program of an enclave, or a program of the parent instance."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from nitrosim.hypervisor.answers import Answer
from nitrosim.hypervisor.notify import Listener, Notification
from nitrosim.hypervisor.sockets import EmulatedSocket, Side, SocketTable
from nitrosim.hypervisor.tracee import Pidfds

#: The Nitro Secure Module of an enclave: a CBOR request in, a CBOR answer out.
NsmHandler = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An answer whose call was interrupted after it had been acted on."""

    call: int
    args: tuple[int, ...]
    answer: Answer


@dataclass(slots=True, eq=False)
class Program:
    """All processes under one filter.

    `side` is where its sockets are; `nsm` is None on the parent side. `remark` puts a line
    on the console of an enclave. With `own_init` it is the init of an image and what that
    starts. `undelivered` holds, by thread, the answers to give again
    when the call is made again; `done` the last call of a thread, with its arguments, if that
    cannot be done twice.
    """

    listener: Listener
    side: Side
    nsm: NsmHandler | None = None
    remark: Callable[[str], None] | None = None
    own_init: bool = False
    undelivered: dict[int, Undelivered] = field(default_factory=dict)
    done: dict[int, tuple[int, tuple[int, ...]]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Borrowed:
    """A duplicate of a program's emulated socket, for the length of one call."""

    sock: socket.socket
    state: EmulatedSocket
    pidfd: int


class SocketLender:
    """Finds the emulated socket behind a descriptor of a program."""

    def __init__(self, table: SocketTable) -> None:
        self._table = table
        self._pidfds = Pidfds()

    def borrow(self, notification: Notification) -> Loan:
        """Duplicate the socket in the first argument, for the length of a context."""
        return Loan(self._table, self._pidfds, notification.thread, notification.args[0])


class Loan:
    """The context of a borrowed socket; it is None when it is none of ours.

    The borrower closes nothing: what shall live longer has to be duplicated again. A
    class, because a generator would take as long as the system calls in it.
    """

    __slots__ = ("_fd", "_pidfds", "_sock", "_table", "_thread")

    def __init__(self, table: SocketTable, pidfds: Pidfds, thread: int, fd: int) -> None:
        self._table = table
        self._pidfds = pidfds
        self._thread = thread
        self._fd = fd
        self._sock: socket.socket | None = None

    def __enter__(self) -> Borrowed | None:
        # EBADF and ENOTSOCK: natively the call says so itself.
        try:
            ours, pidfd = self._pidfds.duplicate(self._thread, self._fd)
        except OSError:
            return None
        try:
            # Family and type are only what Python believes; asking would cost two calls.
            sock = self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=ours)
        except OSError:
            os.close(ours)
            return None
        state = self._table.find(sock)
        return Borrowed(sock, state, pidfd) if state is not None else None

    def __exit__(self, *_exception: object) -> None:
        if self._sock is not None:
            self._sock.close()
