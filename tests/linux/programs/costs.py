"""Programs whose calls are counted."""

import ctypes
import os
import socket
import struct
from fcntl import ioctl

from inside import ANY, NSM_REQUEST, main, say

SO_TYPE_ALONE = (socket.SOL_SOCKET, socket.SO_TYPE)


def connect_and_transfer(cid, port, messages):
    """Connect, and send and receive as often as told."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as sock:
        sock.connect((int(cid), int(port)))
        for _ in range(int(messages)):
            sock.sendall(b"x")
            sock.recv(1)
        sock.shutdown(socket.SHUT_RDWR)


def accept_many(port, count):
    """Accept by raw calls without asking for the peer, as often as told."""
    libc = ctypes.CDLL(None, use_errno=True)
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as sock:
        sock.bind((ANY, int(port)))
        sock.listen(8)
        say("listening")
        for _ in range(int(count)):
            fd = libc.accept4(sock.fileno(), None, None, 0)
            os.write(fd, b"x")
            os.close(fd)


def ask_random(count):
    """Ask the Nitro Secure Module for random bytes, as often as told."""
    request = ctypes.create_string_buffer(b"\x69GetRandom", 10)
    answer = ctypes.create_string_buffer(12288)
    raw = struct.pack("=QQQQ", ctypes.addressof(request), 10, ctypes.addressof(answer), 12288)
    device = os.open("/dev/nsm", os.O_RDWR)
    for _ in range(int(count)):
        ioctl(device, NSM_REQUEST, raw)
    os.close(device)


def ordinary(count):
    """Do what has nothing to do with vsock: sockets, files, pipes, options."""
    for _ in range(int(count)):
        one, two = socket.socketpair()
        one.sendall(b"x")
        two.recv(1)
        one.getsockopt(*SO_TYPE_ALONE)
        one.close()
        two.close()
        reader, writer = os.pipe()
        os.close(reader)
        os.close(writer)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM):
        pass


main(globals())
