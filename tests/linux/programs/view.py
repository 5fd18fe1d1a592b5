"""What a program finds where it runs."""

import os
import resource
import signal
import socket
import struct
import subprocess
import termios
import time
from fcntl import ioctl
from pathlib import Path

from inside import attempt, main, own_cid

SIOCGIFFLAGS = 0x8913


def process():
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "session": os.getsid(0),
        "ids": [os.getresuid(), os.getresgid()],
        "cwd": str(Path.cwd()),
        "umask": os.umask(0),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "host": socket.gethostname(),
        "domain": os.uname().nodename,
        "processes": sorted(
            int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()
        ),
    }


def console():
    attributes = termios.tcgetattr(1)
    return {
        "terminals": [os.isatty(fd) for fd in range(3)],
        "same": len({os.fstat(fd).st_rdev for fd in range(3)}),
        "turns line feeds": bool(attributes[1] & termios.OPOST and attributes[1] & termios.ONLCR),
        "/dev/console": Path("/dev/console").stat().st_rdev == os.fstat(1).st_rdev,
        "controls": attempt(os.open, "/dev/tty", os.O_RDWR),
    }


def interfaces():
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _number, name in socket.if_nameindex():
            request = struct.pack("16sh22x", name.encode(), 0)
            (flags,) = struct.unpack_from("=h", ioctl(sock, SIOCGIFFLAGS, request), 16)
            found[name] = flags & 1
    return found


def network():
    def connect(address):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.connect(address)

    def resolve():
        try:
            socket.getaddrinfo("example.com", 443)
        except socket.gaierror:
            return "no answer"
        return "an answer"

    return {
        "interfaces": interfaces(),
        "internet": attempt(connect, ("192.0.2.1", 80)),
        "itself": attempt(connect, ("127.0.0.1", 80)),
        "names": resolve(),
    }


def devices():
    def opened(flags):
        return attempt(lambda: os.close(os.open("/dev/nsm", flags)))

    return {
        "nsm read": opened(os.O_RDONLY),
        "nsm write": opened(os.O_WRONLY),
        "nsm both": opened(os.O_RDWR),
        "cid": own_cid(),
        "all": sorted(entry.name for entry in Path("/dev").iterdir()),
    }


def exists(*paths):
    return {path: os.path.lexists(path) for path in paths}


def connects(*paths):
    def connect(path):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)

    return {path: attempt(connect, path.replace("@", "\0")) for path in paths}


def writes(*paths):
    return {path: attempt(Path(path).write_text, "written") for path in paths}


def executes(*directories):
    """Try to run a program that is written into each directory."""

    def run(path):
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        subprocess.run([path], check=True)

    return {directory: attempt(run, Path(directory, "program")) for directory in directories}


def reads(path):
    return Path(path).read_text()


def environment():
    return dict(os.environ)


def file_systems():
    """Return type and options of the mounts, by target."""
    fields = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return {target: [kind, options.split(",")] for _source, target, kind, options, *_ in fields}


def overlay():
    """Change, remove and add files of the application directory."""
    app = Path("/app")
    changed = app / "changed"
    changed.write_text(changed.read_text() + " and changed")
    (app / "removed").unlink()
    (app / "added").mkdir()
    return [changed.read_text(), sorted(entry.name for entry in app.iterdir())]


def clock():
    return time.time()


main(globals())
