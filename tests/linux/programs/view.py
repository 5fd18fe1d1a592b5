"""What a program finds where it runs.

It imports little, to start fast: paths are plain strings here.
"""

# ruff: noqa: PTH

import os
import resource
import signal
import socket
import struct
import subprocess
import termios
import time
from fcntl import ioctl

from inside import attempt, main, own_cid

SIOCGIFFLAGS = 0x8913


def process():
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "session": os.getsid(0),
        "ids": [os.getresuid(), os.getresgid()],
        "cwd": os.getcwd(),
        "umask": os.umask(0),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "host": socket.gethostname(),
        "domain": os.uname().nodename,
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
    }


def console():
    attributes = termios.tcgetattr(1)
    return {
        "terminals": [os.isatty(fd) for fd in range(3)],
        "same": len({os.fstat(fd).st_rdev for fd in range(3)}),
        "turns line feeds": bool(attributes[1] & termios.OPOST and attributes[1] & termios.ONLCR),
        "/dev/console": os.stat("/dev/console").st_rdev == os.fstat(1).st_rdev,
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
        "all": sorted(os.listdir("/dev")),
    }


def exists(*paths):
    return {path: os.path.lexists(path) for path in paths}


def connects(*paths):
    def connect(path):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)

    return {path: attempt(connect, path.replace("@", "\0")) for path in paths}


def writes(*paths):
    def write(path):
        with open(path, "w") as file:
            file.write("written")

    return {path: attempt(write, path) for path in paths}


def executes(*directories):
    """Try to run a program that is written into each directory."""

    def run(path):
        with open(path, "w") as file:
            file.write("#!/bin/sh\n")
        os.chmod(path, 0o755)
        subprocess.run([path], check=True)

    return {directory: attempt(run, f"{directory}/program") for directory in directories}


def reads(path):
    with open(path) as file:
        return file.read()


def environment():
    return dict(os.environ)


def file_systems():
    """Return type and options of the mounts, by target."""
    with open("/proc/mounts") as mounts:
        fields = [line.split() for line in mounts]
    return {target: [kind, options.split(",")] for _source, target, kind, options, *_ in fields}


def overlay():
    """Change, remove and add files of the application directory."""
    with open("/app/changed", "a") as file:
        file.write(" and changed")
    os.remove("/app/removed")
    os.mkdir("/app/added")
    with open("/app/changed") as file:
        return [file.read(), sorted(os.listdir("/app"))]


def clock():
    return time.time()


main(globals())
