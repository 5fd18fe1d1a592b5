"""Emulated vsock sockets: AF_UNIX sockets that programs hold, and what we know of them.

Some facts about AF_UNIX stream sockets:

- They carry bytes at memory speed, work with poll, epoll, dup, fork and
  SCM_RIGHTS, and give EOF and EPIPE as vsock does. A program that holds one
  needs us only for the calls in which an address appears.
- A listener must be bound; an accepted socket carries its listener's name; the
  peer of a bound client sees the client's name. So the *name* of our sockets says
  which vsock address they stand for, and survives everything a program does.
- ``/proc/net/unix`` lists every live socket of a network namespace with its
  inode and name. Nobody tells us when a program closes a socket.

What this means for us:

- A listener or any socket that a program has bound gets a fresh path in a private
  directory. Sockets that only connect get an abstract name, which needs no file.
- A socket is recognised by SO_COOKIE: 64 bits that are never reused, unlike its
  inode and its descriptor number.
- We keep no descriptor of our own: the peer would never see EOF. What we know of
  closed sockets is swept out when the table has doubled.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from nitrosim.vsock.addresses import CID_ANY, Address

_SO_COOKIE = 57
_COOKIE = struct.Struct("=Q")
_FIRST_SWEEP = 256

#: ``struct timeval`` and buffer sizes as a fresh vsock socket has them, Linux af_vsock.c.
DEFAULT_CONNECT_TIMEOUT = 2.0
DEFAULT_BUFFER_SIZE = 256 * 1024
DEFAULT_BUFFER_MIN = 128
DEFAULT_BUFFER_MAX = 256 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """The SO_VM_SOCKETS_* options of one socket: sizes in bytes, the timeout in seconds."""

    buffer_size: int = DEFAULT_BUFFER_SIZE
    buffer_min: int = DEFAULT_BUFFER_MIN
    buffer_max: int = DEFAULT_BUFFER_MAX
    connect_timeout: float = DEFAULT_CONNECT_TIMEOUT


_DEFAULT_OPTIONS = Options()


@dataclass(slots=True, eq=False)
class EmulatedSocket:
    """What is known of one emulated socket.

    `local` is set by bind, connect or accept, `peer` by connect or accept. `path` is
    the file of a bound socket. A listener has its `backlog` as the program asked for
    it, counts connections it has not accepted (`pending`), and keeps those that were
    accepted for a call which then vanished (`returned`). `counted` is False for a
    listener whose owner accepts without asking us.
    """

    cookie: int
    inode: int
    side: Side
    local: Address | None = None
    peer: Address | None = None
    path: str | None = None
    listening: bool = False
    backlog: int = 0
    pending: int = 0
    counted: bool = True
    returned: deque[socket.socket] = field(default_factory=deque)
    options: Options = _DEFAULT_OPTIONS

    def forget_path(self) -> None:
        """Remove the file of a bound socket."""
        if self.path is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)  # noqa: PTH108 - a hot path, and a plain string
            self.path = None


@dataclass(slots=True, eq=False)
class Side:
    """One end that has a CID: an enclave, or the parent instance with all its programs."""

    cid: int
    is_parent: bool
    ports: dict[int, EmulatedSocket] = field(default_factory=dict)


class SocketTable:
    """All emulated sockets of an instance, by cookie."""

    def __init__(self, directory: Path, tag: str) -> None:
        """Put bound sockets into `directory`; `tag` makes abstract names unique on the host."""
        self._directory = str(directory)
        self._tag = tag
        self._by_cookie: dict[int, EmulatedSocket] = {}
        self._serial = itertools.count()
        self._sweep_at = _FIRST_SWEEP

    def __len__(self) -> int:
        return len(self._by_cookie)

    def add(self, sock: socket.socket, side: Side) -> EmulatedSocket:
        """Begin to know `sock` as an emulated socket of `side`."""
        if len(self._by_cookie) >= self._sweep_at:
            self.sweep()
        state = EmulatedSocket(_cookie(sock), os.fstat(sock.fileno()).st_ino, side)
        self._by_cookie[state.cookie] = state
        return state

    def find(self, sock: socket.socket) -> EmulatedSocket | None:
        """Return what is known of `sock`, None when it is not one of ours."""
        return self._by_cookie.get(_cookie(sock))

    def bind(self, sock: socket.socket, state: EmulatedSocket, local: Address) -> None:
        """Give `sock` the vsock address `local`, with a path that can be connected to."""
        name = f"{state.side.cid}.{local.port}.{next(self._serial)}"
        path = f"{self._directory}/{name}"
        sock.bind(path)
        state.path = path
        state.local = local
        state.side.ports[local.port] = state

    def bind_client(self, sock: socket.socket, state: EmulatedSocket, port: int) -> None:
        """Give a connecting `sock` the local `port`, visible to the peer only."""
        sock.bind(f"\0{self._tag}/{state.side.cid}.{port}.{next(self._serial)}")
        # What the kernel binds by itself is bound to any CID.
        state.local = Address(CID_ANY, port)

    def is_live(self, state: EmulatedSocket) -> bool:
        """Say whether any process still holds the socket."""
        return state.inode in _live_inodes()

    def release(self, state: EmulatedSocket) -> None:
        """Forget `state`: its socket is gone, its port is free."""
        self._by_cookie.pop(state.cookie, None)
        if state.local is not None and state.side.ports.get(state.local.port) is state:
            del state.side.ports[state.local.port]
        for sock in state.returned:
            sock.close()
        state.forget_path()

    def release_side(self, side: Side) -> None:
        """Forget every socket of an enclave that is gone."""
        for state in [state for state in self._by_cookie.values() if state.side is side]:
            self.release(state)

    def sweep(self) -> None:
        """Forget the sockets that nobody holds any more."""
        live = _live_inodes()
        for state in [state for state in self._by_cookie.values() if state.inode not in live]:
            self.release(state)
        self._sweep_at = max(_FIRST_SWEEP, 2 * len(self._by_cookie))


def _cookie(sock: socket.socket) -> int:
    cookie: int = _COOKIE.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE.size))[0]
    return cookie


def _live_inodes() -> set[int]:
    """Return the inodes of all AF_UNIX sockets of our network namespace."""
    with open("/proc/net/unix", "rb") as table:  # noqa: PTH123 - a proc file
        next(table)
        return {int(line.split(None, 7)[6]) for line in table}
