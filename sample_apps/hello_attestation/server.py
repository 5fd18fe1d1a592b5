"""An enclave that proves who it is: give it a nonce, get a signed attestation document.

Usage: ``server.py [PORT]``, default ``$PORT`` or 5000.

This is all an enclave program needs: a vsock socket towards the parent instance, and
``/dev/nsm`` for the document. Everything printed goes to the enclave's console,
which can be read in debug mode only.

The protocol, one question and one answer per connection:

- the client sends a frame: 4 bytes of length, big-endian, then the nonce (1 to 1024 bytes);
- the server sends a frame back: one status byte, then the document (status 0) or, if there is
  no document, the reason as text (status 1).
"""

import os
import socket
import struct
import sys
from typing import TextIO

import aws_nsm_interface

DEFAULT_PORT = 5000
MAX_NONCE = 1024
STATUS_DOCUMENT = b"\0"
STATUS_ERROR = b"\1"
# One client is served at a time, so a silent one must not keep the others waiting.
CLIENT_TIMEOUT_SECONDS = 10


class BadRequestError(Exception):
    """The client did not keep to the protocol; the message is sent back to it."""


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Read `size` bytes: a stream may deliver them in any number of pieces."""
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise BadRequestError(f"the request ended after {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def receive_nonce(connection: socket.socket) -> bytes:
    """Read the one request of a connection."""
    (length,) = struct.unpack(">I", receive_exactly(connection, 4))
    # Check the length before believing it: it decides how long we read and how much we keep.
    if not 1 <= length <= MAX_NONCE:
        raise BadRequestError(f"a nonce has 1 to {MAX_NONCE} bytes, this one {length}")
    return receive_exactly(connection, length)


def answer(connection: socket.socket, nsm: TextIO) -> str:
    """Serve one connection and return what happened, for the console."""
    try:
        nonce = receive_nonce(connection)
        document = aws_nsm_interface.get_attestation_doc(nsm, nonce=nonce)["document"]
    except (BadRequestError, aws_nsm_interface.IoctlError) as error:
        status, body = STATUS_ERROR, str(error).encode()
        outcome = f"refused: {error}"
    else:
        status, body = STATUS_DOCUMENT, document
        outcome = f"attested: nonce of {len(nonce)} bytes, document of {len(document)} bytes"
    connection.sendall(struct.pack(">I", 1 + len(body)) + status + body)
    return outcome


def serve(port: int, nsm: TextIO) -> None:
    """Accept connections for ever, one after the other."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as listener:
        # An enclave has one address, and does not have to know it.
        listener.bind((socket.VMADDR_CID_ANY, port))
        listener.listen()
        print(f"listening on vsock port {port}", flush=True)
        while True:
            connection, (cid, peer_port) = listener.accept()
            with connection:
                connection.settimeout(CLIENT_TIMEOUT_SECONDS)
                try:
                    outcome = answer(connection, nsm)
                except OSError as error:
                    # The client went away or is too slow. That is its problem, not the next one's.
                    outcome = f"lost: {error}"
            print(f"{cid}:{peer_port} {outcome}", flush=True)


def main() -> None:
    """Run the enclave."""
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", DEFAULT_PORT))
    nsm = aws_nsm_interface.open_nsm_device()
    print(f"hello from {aws_nsm_interface.describe_nsm(nsm)['module_id']}", flush=True)
    serve(port, nsm)


if __name__ == "__main__":
    main()
