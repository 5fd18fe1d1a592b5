"""Programs that are signalled while a call waits for its answer."""

import ctypes
import errno
import os
import signal
import socket
import struct
import sys
from fcntl import ioctl
from pathlib import Path

from inside import ANY, NSM_REQUEST, attempt, main, own_cid, say

PORT = 5000
ROUNDS = 3
REGISTER = 16


def listener(port=PORT):
    sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    sock.bind((ANY, port))
    sock.listen(8)
    return sock


def wait_until_accepting(pid):
    """Look until the process sleeps in accept."""
    accepts = {"x86_64": ("43", "288"), "aarch64": ("202", "242")}[os.uname().machine]
    current = Path(f"/proc/{pid}/syscall")
    while current.read_text().split()[0] not in accepts:
        os.sched_yield()


def accept_while_signalled(restart):
    """Count how often a raw accept is interrupted by signals that are handled meanwhile.

    A child sends them, each when the one before has been handled and accept waits again, and
    then connects.
    """
    handled, wake_up = os.pipe()
    os.set_blocking(wake_up, False)
    signal.set_wakeup_fd(wake_up)
    signal.signal(signal.SIGUSR1, lambda _number, _frame: None)
    signal.siginterrupt(signal.SIGUSR1, restart != "restart")
    server = listener()
    cid = own_cid()
    parent = os.getpid()
    if os.fork() == 0:
        for _ in range(ROUNDS):
            wait_until_accepting(parent)
            os.kill(parent, signal.SIGUSR1)
            os.read(handled, 1)
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as client:
            client.connect((cid, PORT))
            client.recv(1)
        os._exit(0)
    libc = ctypes.CDLL(None, use_errno=True)
    interrupted = 0
    while (fd := libc.accept(server.fileno(), None, None)) < 0:
        if ctypes.get_errno() != errno.EINTR:
            raise OSError(ctypes.get_errno(), "accept")
        interrupted += 1
    os.close(fd)
    return interrupted


def stop_on_request():
    """Wait in accept until SIGTERM; a handler that raises ends the wait."""

    def stop(_number, _frame):
        sys.exit(7)

    signal.signal(signal.SIGTERM, stop)
    with listener() as server:
        parent = os.getpid()
        if os.fork() == 0:
            wait_until_accepting(parent)
            os.kill(parent, signal.SIGTERM)
            os._exit(0)
        server.accept()


def wait_for_a_deadly_signal():
    """Wait in accept with the default action of SIGTERM, and a child that sends it."""
    with listener() as server:
        parent = os.getpid()
        if os.fork() == 0:
            wait_until_accepting(parent)
            os.kill(parent, signal.SIGTERM)
            os._exit(0)
        server.accept()


def extend_request(data):
    head = b"\xa1\x69ExtendPCR\xa2\x65index" + bytes([REGISTER]) + b"\x64data"
    return head + bytes([0x40 + len(data)]) + data


def ask_nsm(device, request):
    """Ask as a C client does: one call, buffers that stay where they are."""
    answer = ctypes.create_string_buffer(12288)
    question = ctypes.create_string_buffer(request, len(request))
    raw = struct.pack(
        "=QQQQ", ctypes.addressof(question), len(request), ctypes.addressof(answer), len(answer)
    )
    done = ioctl(device, NSM_REQUEST, raw)
    return answer.raw[: struct.unpack("=QQQQ", done)[3]]


def storm(rounds, extend):
    """Do everything under a signal every half millisecond; report the register at the end.

    Registers are only extended if `extend` is "extend".

    What is acted on twice shows: a port that is in use, a connection too many or too few, a
    register that was extended once more.
    """
    ticks = 0

    def tick(_number, _frame):
        nonlocal ticks
        ticks += 1

    signal.signal(signal.SIGALRM, tick)
    signal.siginterrupt(signal.SIGALRM, False)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    cid = own_cid()
    device = os.open("/dev/nsm", os.O_RDWR)
    for number in range(int(rounds)):
        port = 6000 + number
        with listener(port) as server:
            client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            client.connect((cid, port))
            connection, peer = server.accept()
            with client, connection:
                own = client.getsockname()
                connection.sendall(b"%d" % number)
                heard = client.recv(64)
                server.setblocking(False)
                too_many = attempt(server.accept) != "EAGAIN"
            if too_many or peer != (cid, own[1]) or heard != b"%d" % number:
                return [number, peer, own, heard.decode()]
        if extend == "extend":
            ask_nsm(device, extend_request(number.to_bytes(2, "big")))
    signal.setitimer(signal.ITIMER_REAL, 0)
    answer = ask_nsm(device, b"\xa1\x6bDescribePCR\xa1\x65index" + bytes([REGISTER]))
    return {"register": answer[-48:].hex(), "enough ticks": ticks > int(rounds) // 4}


def handle_between_processes():
    """Accept in a child while the parent is stopped and continued by signals."""
    server = listener()
    child = os.fork()
    if child == 0:
        connection, _peer = server.accept()
        connection.sendall(b"went on")
        connection.close()
        os._exit(0)
    for _ in range(ROUNDS):
        wait_until_accepting(child)
        os.kill(child, signal.SIGSTOP)
        os.waitpid(child, os.WUNTRACED)
        os.kill(child, signal.SIGCONT)
        os.waitpid(child, os.WCONTINUED)
    say("stopped and continued")
    return os.waitpid(child, 0)[1]


main(globals())
