"""Who can reach whom: sides, CIDs, ports, and those who wait for a port to listen.

Facts (AWS Nitro Enclaves documentation; observed): the parent instance is CID 3,
enclaves are numbered from 16 in order of launch; enclaves reach the parent and
themselves, never each other. A connection to a port where nobody listens is
reset; one to a CID where no machine is ends in a time-out.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

from nitrosim.hypervisor.sockets import EmulatedSocket, Side, SocketTable
from nitrosim.vsock.addresses import (
    CID_ANY,
    CID_PARENT,
    FIRST_ENCLAVE_CID,
    LAST_RESERVED_PORT,
    PORT_ANY,
    Address,
)

#: Under every listener, whatever its program asked for: AF_UNIX would answer a full
#: one with EAGAIN, or make us wait. The program's own number is ours to observe.
_DEEP_BACKLOG = 4096


# ASSUMPTION: connecting to a CID that nobody has, or to one that the caller may not reach, ends in
# ETIMEDOUT after the connect timeout of the socket.
# DEVIATION: An instance runs any number of enclaves, where a real parent instance runs at most
# four.
class Network:
    """The vsock network of one instance."""

    def __init__(self, directory: Path, tag: str) -> None:
        """Keep sockets in `directory`; `tag` makes names unique on the host."""
        self.table = SocketTable(directory, tag)
        self.parent = Side(CID_PARENT, is_parent=True)
        self._sides: dict[int, Side] = {CID_PARENT: self.parent}
        self._next_cid = FIRST_ENCLAVE_CID
        self._waiting: dict[tuple[Side, int], list[Callable[[], None]]] = {}
        somaxconn = int(Path("/proc/sys/net/core/somaxconn").read_text("ascii"))
        self._deepest = min(_DEEP_BACKLOG, somaxconn)

    # ---- sides ----

    def add_side(self, cid: int | None) -> Side | None:
        """Connect a new enclave, under `cid` or the next free one; None when `cid` is taken."""
        if cid is None:
            while self._next_cid in self._sides:
                self._next_cid += 1
            cid = self._next_cid
            self._next_cid += 1
        elif cid in self._sides:
            return None
        side = self._sides[cid] = Side(cid, is_parent=False)
        return side

    def remove_side(self, side: Side) -> None:
        """Disconnect an enclave: its ports are gone, whoever waits for one is told."""
        del self._sides[side.cid]
        self.table.release_side(side)
        for key in [key for key in self._waiting if key[0] is side]:
            self._wake(*key)

    def route(self, origin: Side, cid: int) -> Side | None:
        """Return the side that `origin` reaches under `cid`."""
        target = self._sides.get(cid)
        if target is None or origin.is_parent or target.is_parent or target is origin:
            return target
        return None

    # ---- ports ----

    def bind(self, sock: socket.socket, state: EmulatedSocket, wanted: Address) -> int:
        """Bind as Linux does; returns 0 or an errno."""
        side = state.side
        if state.local is not None:
            return errno.EINVAL
        if wanted.cid not in (CID_ANY, side.cid):
            return errno.EADDRNOTAVAIL
        port = wanted.port
        if port == PORT_ANY:
            port = self._free_port(side)
        elif (holder := side.ports.get(port)) is not None:
            if self.table.is_live(holder):
                return errno.EADDRINUSE
            self.table.release(holder)
        self.table.bind(sock, state, Address(wanted.cid, port))
        return 0

    def listen(self, sock: socket.socket, state: EmulatedSocket, backlog: int) -> int:
        """Listen as Linux does; returns 0 or an errno."""
        if state.local is None or state.peer is not None or state.path is None:
            return errno.EINVAL
        sock.listen(self._deepest)
        state.backlog = backlog if 0 <= backlog < self._deepest else self._deepest - 1
        state.listening = True
        self._wake(state.side, state.local.port)
        return 0

    def listen_as_parent(self, port: int | None) -> tuple[socket.socket, int]:
        """Return a socket that listens on `port` of the parent instance, and its port.

        None takes a free one. Whoever accepts there does not ask us. The port is free again when
        the last copy of the socket is closed.

        Raises:
            OSError: EADDRINUSE.

        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        state = self.table.add(sock, self.parent)
        error = self.bind(sock, state, Address(CID_ANY, PORT_ANY if port is None else port))
        if error:
            self.table.release(state)
            sock.close()
            raise OSError(error, os.strerror(error))
        state.counted = False
        self.listen(sock, state, -1)
        assert state.local is not None
        return sock, state.local.port

    def connect(self, sock: socket.socket, state: EmulatedSocket, wanted: Address) -> int:
        """Connect `sock` as Linux does; returns 0 or an errno, ETIMEDOUT for "nobody there"."""
        target = self.route(state.side, wanted.cid)
        if target is None:
            return errno.ETIMEDOUT
        holder = target.ports.get(wanted.port)
        if holder is None or not holder.listening or holder.path is None:
            return errno.ECONNRESET
        if holder.counted and holder.pending > holder.backlog:
            return errno.ECONNRESET
        if state.local is None:
            self.table.bind_client(sock, state, self._free_port(state.side))
        try:
            # Never waits: the backlog underneath is deeper than what we let in.
            sock.connect(holder.path)
        except (ConnectionRefusedError, FileNotFoundError):
            # Its last holder has closed it, and nobody has told us.
            self.table.release(holder)
            return errno.ECONNRESET
        except BlockingIOError:
            return errno.ECONNRESET
        holder.pending += 1
        state.peer = wanted
        return 0

    def is_listening(self, side: Side, port: int) -> bool:
        """Say whether a connection to `port` would be taken right now."""
        holder = side.ports.get(port)
        if holder is None or not holder.listening:
            return False
        if self.table.is_live(holder):
            return True
        self.table.release(holder)
        return False

    def when_listening(self, side: Side, port: int, callback: Callable[[], None]) -> None:
        """Call `callback` once, when somebody listens on `port` or the side goes away."""
        self._waiting.setdefault((side, port), []).append(callback)

    def stop_waiting(self, side: Side, port: int, callback: Callable[[], None]) -> None:
        """Take back :meth:`when_listening`; unknown ones are ignored."""
        callbacks = self._waiting.get((side, port), [])
        if callback in callbacks:
            callbacks.remove(callback)
        if not callbacks:
            self._waiting.pop((side, port), None)

    def _wake(self, side: Side, port: int) -> None:
        for callback in self._waiting.pop((side, port), []):
            callback()

    # DEVIATION: A port that the system chooses is a random one, where Linux counts up.
    def _free_port(self, side: Side) -> int:
        while True:
            port = int.from_bytes(os.urandom(4), "little")
            if LAST_RESERVED_PORT < port < PORT_ANY and port not in side.ports:
                return port
