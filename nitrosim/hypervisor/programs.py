"""What runs under a filter: the program of an enclave, or a program of the parent instance."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nitrosim.hypervisor.answers import Answer
from nitrosim.hypervisor.notify import Listener, Notification
from nitrosim.hypervisor.sockets import EmulatedSocket, Side, SocketTable
from nitrosim.hypervisor.tracee import duplicate, open_process

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

    `side` is where its sockets are; `nsm` is None on the parent side. `undelivered`
    holds, by thread, the answers to give again when the call is made again.
    """

    listener: Listener
    side: Side
    nsm: NsmHandler | None = None
    undelivered: dict[int, Undelivered] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A duplicate of a program's emulated socket, for the length of one call."""

    sock: socket.socket
    state: EmulatedSocket
    pidfd: int


class SocketLender:
    """Finds the emulated socket behind a descriptor of a program."""

    def __init__(self, table: SocketTable) -> None:
        self._table = table

    @contextmanager
    def borrow(self, notification: Notification) -> Iterator[Borrowed | None]:
        """Duplicate the socket in the first argument; None when it is none of ours.

        The caller closes nothing: both descriptors end with the context, so what
        shall live longer has to be duplicated again.
        """
        with _closing_fd(open_process(notification.thread)) as pidfd:
            sock = _duplicate_socket(pidfd, notification.args[0])
            if sock is None:
                yield None
                return
            with sock:
                state = self._table.find(sock)
                yield Borrowed(sock, state, pidfd) if state is not None else None


def _duplicate_socket(pidfd: int, fd: int) -> socket.socket | None:
    """Return a duplicate; None if there is no such descriptor (EBADF) or it is no socket.

    Natively the call says so itself.
    """
    try:
        ours = duplicate(pidfd, fd)
    except OSError:
        return None
    try:
        # Family and type are only what Python believes; asking would cost two calls.
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=ours)
    except OSError:  # ENOTSOCK
        os.close(ours)
        return None


@contextmanager
def _closing_fd(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
