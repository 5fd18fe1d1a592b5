"""The control protocol between the hypervisor and its clients.

One SOCK_SEQPACKET connection per client; a request is one packet with a JSON
object, the answer is one packet with a JSON object and at most one descriptor
(SCM_RIGHTS). A client makes one request after the other. ``op`` names the request;
an answer has ``ok`` first, and on failure ``code`` and ``message``.

Closing the connection withdraws what was asked and not yet answered, and ends the
enclaves that were started on it without ``detach``. That is how nothing outlives a
client that is killed.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

#: A request carries a command line and an environment.
LARGEST_PACKET = 4 * 1024 * 1024
CONTROL_SOCKET = "control.sock"
LOG_FILE = "hypervisor.log"
LOCK_FILE = "lock"
SOCKETS_DIRECTORY = "v"

Message = dict[str, Any]


def send_message(connection: socket.socket, message: Message, fds: tuple[int, ...] = ()) -> None:
    """Send one packet; OSError when the other side is gone or the packet is too large."""
    data = json.dumps(message).encode()
    if len(data) > LARGEST_PACKET // 2:
        raise OSError(f"a message of {len(data)} bytes is larger than the protocol carries")
    if len(data) > 128 * 1024:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_PACKET)
    socket.send_fds(connection, [data], fds)


def receive_message(connection: socket.socket) -> tuple[Message | None, list[int]]:
    """Receive one packet; None at the end of the connection.

    Raises:
        ValueError, RecursionError: the packet is not a JSON object; descriptors that came
            with it are closed.

    """
    data, fds, _flags, _address = socket.recv_fds(connection, LARGEST_PACKET, 1)
    if not data:
        return None, fds
    try:
        message = json.loads(data)
        if not isinstance(message, dict):
            raise ValueError(f"expected an object, got {type(message).__name__}")  # noqa: TRY004, TRY301
    except (ValueError, RecursionError):
        for fd in fds:
            os.close(fd)
        raise
    return message, fds
