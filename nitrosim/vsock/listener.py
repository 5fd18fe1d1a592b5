"""Listening on a port of the parent instance from Python."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from nitrosim.vsock.addresses import CID_PARENT, Address, address_in_name


class Listener:
    """A listening port of the parent instance (CID 3). Made by ``Instance.listen``.

    `port` is its number. It closes with the context or by :meth:`close`.
    """

    def __init__(self, sock: socket.socket, port: int) -> None:
        """Take over `sock`, which listens already."""
        self._sock = sock
        self.port = port

    @property
    def address(self) -> Address:
        """The CID (3) and port that enclaves connect to."""
        return Address(CID_PARENT, self.port)

    def accept(self, timeout: float | None = None) -> tuple[socket.socket, Address]:
        """Return the next connection and the CID and port of its other end.

        `timeout` is in seconds, None waits for ever; TimeoutError when it has passed.
        """
        self._sock.settimeout(timeout)
        try:
            connection, _name = self._sock.accept()
        except BlockingIOError as error:  # what a timeout of 0 gives
            raise TimeoutError(f"no connection waits on port {self.port}") from error
        connection.settimeout(None)
        return connection, address_in_name(connection.getpeername())

    def fileno(self) -> int:
        """Return the descriptor, for selectors: it is readable when a connection waits."""
        return self._sock.fileno()

    def close(self) -> None:
        """Stop listening; the port is free again."""
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
