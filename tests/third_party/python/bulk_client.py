"""Send random bytes to an echo server, check what comes back: `bulk_client.py CID PORT MIB`."""

import hashlib
import random
import socket
import sys
import threading


def send(connection: socket.socket, data: bytes) -> None:
    """Send everything, then say that this was all."""
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


cid, port, mebibytes = map(int, sys.argv[1:])
data = random.Random(cid).randbytes(mebibytes << 20)
with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as connection:
    connection.settimeout(60)
    connection.connect((cid, port))
    print("peer", *connection.getpeername(), flush=True)
    sender = threading.Thread(target=send, args=(connection, data))
    sender.start()
    received = hashlib.sha256()
    count = 0
    while part := connection.recv(1 << 16):
        received.update(part)
        count += len(part)
    sender.join()
print("received", count, "intact", received.digest() == hashlib.sha256(data).digest(), flush=True)
