"""The client's end: connect to the hypervisor of an instance, start it if need be, ask it.

The client makes the listening control socket and passes it on, as an init system
does: it can then connect at once, and its first request waits until the
hypervisor reads it. No polling for readiness, and a start that fails is an end
of file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nitrosim.errors import EnclaveError, EnclaveTimeoutError, InstanceError
from nitrosim.hypervisor.protocol import (
    CONTROL_SOCKET,
    LOCK_FILE,
    LOG_FILE,
    Message,
    receive_message,
    send_message,
)
from nitrosim.places import Places, make_private
from nitrosim.sandbox.descriptors import place_descriptors
from nitrosim.sandbox.hardware import refuse_real_hardware

if TYPE_CHECKING:
    from nitrosim.backends.image import EnclaveImage

_BACKLOG = 128
_START_LOCK = "start.lock"
_LOG_TAIL = 2000
#: Seconds within which a hypervisor has taken its lock.
_STILLBORN_AFTER = 60
_CREDENTIALS = struct.Struct("=iii")  # struct ucred: pid, uid, gid
_ENCLAVE_CODES = frozenset({"NO_SUCH_ENCLAVE", "CONNECTION_RESET"})


class Connection:
    """A connection to the hypervisor of one instance; one request at a time."""

    def __init__(self, sock: socket.socket, places: Places) -> None:
        self._sock = sock
        self._places = places

    def fileno(self) -> int:
        """Return the descriptor of the connection."""
        return self._sock.fileno()

    def close(self) -> None:
        """End the connection, and with it the enclaves started on it."""
        self._sock.close()

    def request(self, op: str, **fields: Any) -> Message:
        """Ask, and return the answer; a descriptor that comes with it is closed."""
        answer, fd = self.request_with_fd(op, **fields)
        if fd is not None:
            os.close(fd)
        return answer

    def request_with_fd(
        self, op: str, *, fds: tuple[int, ...] = (), **fields: Any
    ) -> tuple[Message, int | None]:
        """Ask, and return the answer and the descriptor that comes with it.

        `fds` are sent along, one at most.

        Raises:
            EnclaveTimeoutError: ``timeout`` among `fields` has passed.
            EnclaveError: the enclave is at fault; `code` says how.
            InstanceError: the hypervisor refuses, or is gone (``HYPERVISOR_GONE``), or the
                connection has been closed (``INSTANCE_CLOSED``).

        """
        if self._sock.fileno() < 0:
            raise InstanceError("this instance has been closed", code="INSTANCE_CLOSED")
        try:
            send_message(self._sock, {"op": op, **fields}, fds)
            answer, received = receive_message(self._sock)
        except (BrokenPipeError, ConnectionResetError):
            answer, received = None, []
        except OSError as error:
            raise InstanceError(
                f"cannot ask the hypervisor to {op}: {error}", code="REQUEST"
            ) from error
        if answer is None:
            raise self._gone()
        if not answer["ok"]:
            raise _error(answer["code"], answer["message"])
        return answer, received[0] if received else None

    def run(self, image: EnclaveImage, **fields: Any) -> tuple[Message, int]:
        """Ask to start an enclave from `image`; return the answer and its console.

        Raises as `request_with_fd`.
        """
        with _as_file(image.metadata) as fds:
            answer, console = self.request_with_fd(
                "run",
                fds=fds,
                operations=[(o.name, *o.arguments) for o in image.operations],
                command=image.command,
                environment=dict(image.environment),
                pcrs={index: value.hex() for index, value in image.pcrs.items()},
                own_init=image.own_init,
                **fields,
            )
        assert console is not None
        return answer, console

    def wait_for_end(self) -> None:
        """Wait until the hypervisor has ended the connection."""
        with contextlib.suppress(ConnectionResetError):
            self._sock.recv(1)
        self._sock.close()

    def _gone(self) -> InstanceError:
        log = self._places.runtime / LOG_FILE
        tail = ""
        with contextlib.suppress(OSError):
            tail = log.read_text("utf-8", "replace")[-_LOG_TAIL:].strip()
        ending = f"; the end of {log}:\n{tail}" if tail else ""
        return InstanceError(
            f"the hypervisor of this instance has ended, and every enclave with it{ending}",
            code="HYPERVISOR_GONE",
        )


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[tuple[int, ...]]:
    """Yield the descriptor of a file with a text, which a packet may have no room for."""
    if not text:
        yield ()
        return
    fd = os.memfd_create("nitrosim-text", os.MFD_CLOEXEC)
    try:
        os.write(fd, text.encode("utf-8", "replace"))
        os.lseek(fd, 0, os.SEEK_SET)
        yield (fd,)
    finally:
        os.close(fd)


def _error(code: str, message: str) -> Exception:
    if code == "TIMEOUT":
        return EnclaveTimeoutError(message)
    if code.startswith("ENCLAVE") or code in _ENCLAVE_CODES:
        return EnclaveError(message, code=code)
    return InstanceError(message, code=code)


def connect(places: Places) -> Connection | None:
    """Connect to the hypervisor of an instance; None when it does not run.

    Raises:
        InstanceError: ``INSTANCE_DIRECTORY`` if its directory cannot be entered, or
            somebody else listens there.

    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.connect(str(places.runtime / CONTROL_SOCKET))
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except OSError as error:
        sock.close()
        raise InstanceError(
            f"cannot look into {places.runtime}: {error}; set XDG_RUNTIME_DIR to a directory of "
            "your own",
            code="INSTANCE_DIRECTORY",
        ) from error
    owner = _owner_of(sock)
    if owner != os.getuid():
        sock.close()
        raise InstanceError(
            f"will not use {places.runtime / CONTROL_SOCKET}: expected a hypervisor of user "
            f"{os.getuid()}, found one of user {owner}; set XDG_RUNTIME_DIR to a directory of "
            "your own",
            code="INSTANCE_DIRECTORY",
        )
    return Connection(sock, places)


def _owner_of(sock: socket.socket) -> int:
    """Return the user who listens at the other end.

    The directory may be below /tmp, where anybody could have made it first.
    """
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(credentials)[1]
    return user


def connect_or_start(places: Places) -> Connection:
    """Connect to the hypervisor of a shared instance; start it if it does not run.

    Raises:
        InstanceError: its directories cannot be used.
        HostNotSupportedError: this machine has real enclaves.

    """
    connection = connect(places)
    if connection is not None and _is_served(connection):
        return connection
    refuse_real_hardware()
    make_private(places.runtime.parent)
    make_private(places.runtime)
    make_private(places.state)
    with _locked(places.runtime / _START_LOCK):
        # Somebody else may have been faster.
        connection = connect(places)
        if connection is not None:
            return connection
        _spawn(places, owner=None)
        connection = connect(places)
    if connection is None:
        raise InstanceError("the hypervisor could not be reached", code="HYPERVISOR_GONE")
    return connection


def _is_served(connection: Connection) -> bool:
    """Say whether the hypervisor has taken a connection; closes it if not.

    One that nobody has needed for a while may be on its way out. One that has answered stays for
    as long as somebody is connected.
    """
    try:
        connection.request("hello")
    except InstanceError as error:
        connection.close()
        if error.code != "HYPERVISOR_GONE":
            raise
        return False
    return True


def end_hypervisor(places: Places) -> bool:
    """End the hypervisor of an instance, and all enclaves; False when it does not run."""
    connection = connect(places)
    if connection is None:
        return False
    connection.request("shutdown")
    connection.wait_for_end()
    return True


def start_owned(places: Places) -> tuple[Connection, int]:
    """Start a hypervisor that ends with the returned connection; returns its process id too.

    Raises:
        HostNotSupportedError: this machine has real enclaves.

    """
    refuse_real_hardware()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        pid = _spawn(places, owner=theirs)
    return Connection(ours, places), pid


def _spawn(places: Places, *, owner: socket.socket | None) -> int:
    path = places.runtime / CONTROL_SOCKET
    path.unlink(missing_ok=True)
    package = str(Path(__file__).parent.parent.parent)
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(
        part for part in (package, environment.get("PYTHONPATH")) if part
    )
    log = os.open(
        places.runtime / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
    )
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen(_BACKLOG)
        fds = {null: 0, log: 2, listener.fileno(): 3}
        if owner is not None:
            fds[owner.fileno()] = 4
        actions = place_descriptors(fds)
        actions.append((os.POSIX_SPAWN_DUP2, 2, 1))
        try:
            return os.posix_spawn(
                sys.executable,
                [
                    sys.executable,
                    "-P",  # nothing of the caller's directory is a module of ours
                    "-m",
                    "nitrosim.hypervisor",
                    str(places.state),
                    str(places.runtime),
                    "shared" if owner is None else "owned",
                ],
                environment,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGINT, signal.SIGPIPE),
            )
        finally:
            os.close(log)
            os.close(null)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def sweep_dead(base: Path) -> None:
    """Remove what ephemeral instances left whose hypervisor and owner were both killed.

    The lock tells the living from the dead. One without a lock is young, or its hypervisor
    never got so far.
    """
    import shutil  # noqa: PLC0415 - loads more than all else that nitro-cli needs of this module

    for directory in base.glob("e-*"):
        with contextlib.suppress(OSError):
            if not (directory / LOCK_FILE).exists():
                if time.time() - directory.stat().st_mtime > _STILLBORN_AFTER:
                    shutil.rmtree(directory, ignore_errors=True)
                continue
            fd = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(fd)
