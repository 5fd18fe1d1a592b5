"""The control socket: clients, their requests, and what ends with them."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable
from typing import Protocol

from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.protocol import Message, receive_message, send_message

_log = logging.getLogger(__name__)


class RequestError(Exception):
    """A request cannot be served; the client gets `code` and the message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    """One connection. `on_close` callbacks run once, when it ends for whatever reason."""

    def __init__(self, loop: Loop, connection: socket.socket) -> None:
        self._loop = loop
        self.connection = connection
        self.on_close: list[Callable[[], None]] = []

    def answer(self, message: Message, fd: int | None = None) -> None:
        """Answer the request in hand; a client that is gone by now is not waited for."""
        self._send({"ok": True, **message}, fd)

    def refuse(self, error: RequestError) -> None:
        """Answer the request in hand with an error."""
        self._send({"ok": False, "code": error.code, "message": str(error)}, None)

    def forget(self, callback: Callable[[], None]) -> None:
        """Take `callback` out of `on_close`; unknown ones are ignored."""
        with contextlib.suppress(ValueError):
            self.on_close.remove(callback)

    def _send(self, message: Message, fd: int | None) -> None:
        try:
            send_message(self.connection, message, () if fd is None else (fd,))
        except OSError as error:
            # The end of the connection will be read in its turn.
            _log.info("an answer found no client: %s", error)

    def close(self) -> None:
        """End the connection and what depends on it."""
        if self.connection.fileno() < 0:
            return
        self._loop.forget(self.connection.fileno())
        self.connection.close()
        callbacks, self.on_close = self.on_close, []
        for callback in callbacks:
            callback()


class Operations(Protocol):
    """What serves requests."""

    def serve(self, client: Client, request: Message, fds: list[int]) -> None:
        """Answer now or later, or raise RequestError; takes what it keeps out of `fds`."""


class ControlServer:
    """Accepts clients and hands their requests to `operations`."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        operations: Operations,
        on_idle: Callable[[], None],
    ) -> None:
        """`on_idle` is called whenever the last client has left."""
        self._loop = loop
        self._listener = listener
        self._operations = operations
        self._on_idle = on_idle
        self._clients: set[Client] = set()
        listener.setblocking(False)
        loop.watch(listener.fileno(), lambda _events: self._accept())

    def __len__(self) -> int:
        return len(self._clients)

    def adopt(self, connection: socket.socket) -> Client:
        """Serve a connection that was made elsewhere."""
        connection.setblocking(False)
        client = Client(self._loop, connection)
        self._clients.add(client)
        client.on_close.append(lambda: self._left(client))
        self._loop.watch(connection.fileno(), lambda _events: self._read(client))
        return client

    def close(self) -> None:
        """End every connection and take no more."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        for client in list(self._clients):
            client.close()

    def _accept(self) -> None:
        try:
            connection, _address = self._listener.accept()
        except BlockingIOError:
            return
        self.adopt(connection)

    def _left(self, client: Client) -> None:
        self._clients.discard(client)
        if not self._clients:
            self._on_idle()

    def _read(self, client: Client) -> None:
        try:
            request, fds = receive_message(client.connection)
        except BlockingIOError:
            return
        except ConnectionResetError:
            client.close()
            return
        except (ValueError, RecursionError) as error:
            client.refuse(RequestError("PROTOCOL", f"not a request: {error}"))
            return
        if request is None:
            client.close()
            return
        try:
            self._operations.serve(client, request, fds)
        except RequestError as error:
            client.refuse(error)
        # Those that nobody has asked for.
        for fd in fds:
            os.close(fd)
