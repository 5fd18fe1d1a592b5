"""vsock sockets as programs use them; each case is a program of its own."""

import array
import ctypes
import os
import select
import signal
import socket
import struct
import sys
import threading

from inside import ANY, attempt, main, own_cid, say

PORT = 5000
SO_VM_SOCKETS_CONNECT_TIMEOUT = 6
RESERVED = 80
AF_UNIX, AF_VSOCK = int(socket.AF_UNIX), int(socket.AF_VSOCK)


def vsock():
    return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)


def listener(port=PORT, backlog=8, cid=ANY):
    sock = vsock()
    sock.bind((cid, port))
    sock.listen(backlog)
    return sock


def dialled(cid, port):
    sock = vsock()
    sock.connect((cid, port))
    return sock


def serve(port, greeting="hello"):
    """Greet one client, and tell who it is."""
    with listener(int(port)) as server:
        say("listening")
        connection, peer = server.accept()
    with connection:
        connection.sendall(greeting.encode())
        heard = connection.recv(64).decode()
        return {
            "accepted": peer,
            "own": connection.getsockname(),
            "peer": connection.getpeername(),
            "heard": heard,
        }


def dial(cid, port):
    """Connect, listen to the greeting, and tell who is who."""
    with dialled(int(cid), int(port)) as connection:
        heard = connection.recv(64).decode()
        connection.sendall(b"thanks")
        return {
            "own": connection.getsockname(),
            "peer": connection.getpeername(),
            "heard": heard,
        }


def limit_connect(sock, seconds):
    """Set the time-out of connect; Python's own setsockopt knows only integers here."""
    libc = ctypes.CDLL(None, use_errno=True)
    value = struct.pack("=qq", int(seconds), int(seconds % 1 * 1e6))
    option = SO_VM_SOCKETS_CONNECT_TIMEOUT
    if libc.setsockopt(sock.fileno(), AF_VSOCK, option, value, len(value)) != 0:
        raise OSError(ctypes.get_errno(), "setsockopt")


def fail_to_dial(cid, port, seconds):
    """Connect with a short time-out, blocking and not."""
    found = []
    for blocking in (True, False):
        with vsock() as sock:
            limit_connect(sock, float(seconds))
            sock.setblocking(blocking)
            found.append(attempt(sock.connect, (int(cid), int(port))))
    return found


def talk_to_itself():
    cid = own_cid()
    with listener() as server, dialled(cid, PORT) as client:
        connection, peer = server.accept()
        with connection:
            client.sendall(b"to myself")
            return {
                "heard": connection.recv(64).decode(),
                "client": [client.getsockname(), client.getpeername()],
                "server": [connection.getsockname(), connection.getpeername()],
                "accepted": peer,
                "cid": cid,
            }


def poll_before_connect(cid, port):
    """Register with epoll, edge-triggered, before there is a connection."""
    with vsock() as sock, select.epoll() as epoll:
        sock.setblocking(False)
        epoll.register(sock, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        epoll.poll(0)  # the one spurious event of an unconnected socket
        error = sock.connect_ex((int(cid), int(port)))
        ((_fd, events),) = epoll.poll(20)
        problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        sock.sendall(b"hello")
        heard = b""
        while heard != b"thanks":
            try:
                heard += sock.recv(64)
            except BlockingIOError:
                if not epoll.poll(20):
                    sys.exit("no event for data that has come")
        return {"connect": error, "writable": bool(events & select.EPOLLOUT), "error": problem}


def send_fds(channel, *socks):
    fds = array.array("i", [sock.fileno() for sock in socks])
    channel.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])


def receive_socks(channel, count):
    fds = array.array("i")
    _data, control, _flags, _name = channel.recvmsg(1, socket.CMSG_SPACE(count * fds.itemsize))
    fds.frombytes(control[0][2])
    return [socket.socket(AF_VSOCK, socket.SOCK_STREAM, 0, fileno=fd) for fd in fds]


def pass_to_another_process():
    """Give a listener and a connection to a process that has inherited neither."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        server, connection = receive_socks(theirs, 2)
        names = [connection.getsockname()[1], server.getsockname()[1]]
        connection.sendall(b"from another process")
        connection.close()
        accepted, _peer = server.accept()
        accepted.sendall(f"accepted there {names == [PORT, PORT]}".encode())
        accepted.close()
        os._exit(0)
    theirs.close()
    server = listener()
    say("listening")
    connection, _peer = server.accept()
    send_fds(ours, server, connection)
    connection.close()
    server.close()
    _pid, status = os.waitpid(child, 0)
    return status


def duplicate_connection():
    """Connections live as long as one of their descriptors does, in whatever process."""
    with listener() as server:
        say("listening")
        connection, _peer = server.accept()
    copy = connection.dup()
    connection.close()
    names = [copy.getsockname(), copy.getpeername()]
    child = os.fork()
    if child == 0:
        copy.sendall(b"child")
        os._exit(0)
    copy.close()
    os.waitpid(child, 0)
    return names


def ordinary_after_emulated():
    """Make many vsock sockets and close them, then as many ordinary ones: none is a vsock."""
    for _ in range(300):
        vsock().close()
    for port in range(6000, 6100):
        with listener(port), dialled(own_cid(), port):
            pass
    wrong = []
    with listener() as server:
        for _ in range(600):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            domain = sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN)
            if sock.getsockname() != "" or domain != AF_UNIX:
                wrong.append([sock.getsockname(), domain])
            if len(wrong) % 2:
                sock.close()
        ordinary = socket.socket(socket.AF_UNIX)
        ordinary.bind("/tmp/ordinary")
        ordinary.listen()
        client = socket.socket(socket.AF_UNIX)
        client.connect("/tmp/ordinary")
        accepted, name = ordinary.accept()
        accepted.sendall(b"ordinary")
        names = [name, ordinary.getsockname(), client.getpeername(), client.recv(64).decode()]
        return {"wrong": wrong, "names": names, "vsock": server.getsockname()[1]}


def listen_again():
    """Close a listener with a connection that nobody has accepted, and listen anew."""
    cid = own_cid()
    first = listener()
    lost = dialled(cid, PORT)
    first.close()
    found = {"lost": attempt(lost.recv, 1), "closed": attempt(dialled, cid, PORT)}
    second = listener()
    client = dialled(cid, PORT)
    connection, _peer = second.accept()
    connection.sendall(b"second")
    found["heard"] = client.recv(64).decode()
    return found


def forget_a_listener():
    """Bind a port whose listener nobody has told anything about: it was closed in silence."""
    listener().close()
    found = []
    for _ in range(50):
        with vsock() as sock:
            found.append(attempt(sock.bind, (ANY, PORT)))
    return sorted(set(found))


def fill_a_backlog(backlog):
    cid = own_cid()
    with listener(backlog=int(backlog)) as server:
        clients, refused = [], ""
        while not refused and len(clients) < 100:
            clients.append(vsock())
            refused = attempt(clients[-1].connect, (cid, PORT))
        server.accept()
        with vsock() as one_more:
            after = attempt(one_more.connect, (cid, PORT))
        return [len(clients) - 1, refused, after]


def bind_any_port():
    socks = [vsock() for _ in range(50)]
    for sock in socks:
        sock.bind((ANY, ANY))
    ports = {sock.getsockname()[1] for sock in socks}
    return [len(ports), min(ports) > 1023, ANY not in ports]


def bind_port_zero():
    """Port 0 is a port like any other, a reserved one; it does not ask for a free port."""
    with vsock() as sock:
        sock.bind((ANY, 0))
        return sock.getsockname()


def bind_own_cid():
    cid = own_cid()
    with listener(cid=cid) as server, dialled(cid, PORT):
        return [server.getsockname(), cid]


def drop_capabilities():
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", 0x20080522, 0)
    if libc.capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def bind_reserved():
    """Bind a reserved port as one is, and without any capability."""
    found = [os.geteuid()]
    for drop in (lambda: None, drop_capabilities):
        drop()
        with vsock() as sock:
            found.append(attempt(sock.bind, (ANY, RESERVED)))
    return found


def hold_a_connection(cid, port):
    """Keep a connection until killed."""
    with dialled(int(cid), int(port)):
        say("connected")
        signal.pause()


def hold_a_listener(port):
    """Listen and accept one, and keep both until killed."""
    with listener(int(port)) as server:
        say("listening")
        connection, _peer = server.accept()
        say("accepted")
        with connection:
            signal.pause()


def listen_without_accepting(port):
    with listener(int(port)):
        say("listening")
        signal.pause()


def make_after_a_word():
    """Try to make a socket after each line of standard input."""
    found = []
    for _ in range(2):
        say("ready")
        input()
        found.append(attempt(lambda: vsock().close()))
    return found


def killed_in_accept():
    """Kill a process that waits in accept; its port is free, whoever asks."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with listener() as server:
            os.write(writer, b"x")
            server.accept()
        os._exit(1)
    os.read(reader, 1)
    in_use = attempt(lambda: listener().close())
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return [in_use, attempt(lambda: listener().close())]


def exit_while_a_thread_accepts():
    server = listener()
    threading.Thread(target=server.accept, daemon=True).start()
    say("listening")
    os._exit(3)


def execute_while_a_thread_accepts():
    server = listener()
    threading.Thread(target=server.accept, daemon=True).start()
    say("listening")
    os.execv("/bin/echo", ["echo", "[true]"])


def many_threads_accept(count):
    """Let threads wait in accept on one listener: each connection goes to one of them."""
    server = listener()
    got = []

    def take():
        connection, _peer = server.accept()
        got.append(connection.recv(64).decode())
        connection.sendall(b"taken")
        connection.close()

    threads = [threading.Thread(target=take) for _ in range(int(count))]
    for thread in threads:
        thread.start()
    say("listening")
    for thread in threads:
        thread.join()
    return sorted(got)


main(globals())
