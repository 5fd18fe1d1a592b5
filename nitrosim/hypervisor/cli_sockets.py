"""The sockets at which nitro-cli finds enclaves and asks them.

Facts (nitro-cli 1.5.0): run-enclave leaves a process behind, one for each enclave. It listens at
``<slot>.sock`` in the directory of the sockets, where the slot is what follows ``-enc`` in the
EnclaveID. All other commands list that directory and ask there. Everybody may have an enclave
described, its owner and root may end it. If the file is removed, the process ends, and the enclave
with it; files whose process is gone are removed by whoever comes across them.

Here the hypervisor has all these sockets. A connection is for one request, a packet of fields
with NULs between them, and one answer of the same form. Its first field is ``ok``, or the code of
what is wrong before a message. ``nitro-cli`` starts in milliseconds because it needs no more than
this to be answered: what it prints is made here.

=================================== ============================================================
``name``                            the EnclaveID and the name
``describe``, ``metadata`` or ````,  the JSON object of describe-enclaves, in this packet or, if
name of the hash                    that is empty, in the file that comes with it
``terminate``                       the EnclaveID and the name, when the enclave has ended
``console``                         the CID, with a pipe to read it from
=================================== ============================================================
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nitrosim.hypervisor.cli_description import Description, described
from nitrosim.hypervisor.cli_log import append, log_line
from nitrosim.hypervisor.control import RequestError
from nitrosim.hypervisor.enclaves import Enclave
from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.removals import Removals

_log = logging.getLogger(__name__)

_LONGEST_REQUEST: Final = 4096
_LONGEST_INLINE: Final = 64 * 1024
_BACKLOG: Final = 128
_MOST_SILENT: Final = 64
"""Connections to one socket that may be open without a request: who comes later closes others."""

_CREDENTIALS: Final = struct.Struct("=iii")  # struct ucred: pid, uid, gid


class CliSockets:
    """The sockets of all enclaves of one instance that have one."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._removals: Removals | None = None

    def add(
        self, enclave: Enclave, directory: Path, description: Description, *, log: str | None
    ) -> None:
        """Answer for `enclave` in `directory` until it ends; then say so in the file `log`.

        Raises:
            RequestError: ``ENCLAVE_SOCKET`` if no socket can be made there.

        """
        slot = enclave.enclave_id.rpartition("-enc")[2]
        path = directory / f"{slot}.sock"
        try:
            listener = _listen(path)
        except OSError as error:
            raise RequestError(
                "ENCLAVE_SOCKET", f"cannot make the socket {path}: {error.strerror or error}"
            ) from error
        made = path.lstat()
        silent: dict[_Asked, None] = {}
        self._loop.watch(
            listener.fileno(), lambda _events: self._accept(listener, enclave, description, silent)
        )
        self._watch_removal(path, enclave)

        def end() -> None:
            if self._removals is not None:
                self._removals.forget(path)
            for asked in list(silent):
                asked.close()
            self._loop.forget(listener.fileno())
            listener.close()
            with contextlib.suppress(OSError):
                # Somebody may have put another file there.
                if os.path.samestat(path.lstat(), made):
                    path.unlink()
            if log is not None:
                _log_end(log, f"enc-{slot}:{enclave.pid}")

        # Before everybody else is told: who sees the end may rely on the file being gone.
        enclave.end_callbacks.insert(0, end)

    def _watch_removal(self, path: Path, enclave: Enclave) -> None:
        try:
            if self._removals is None:
                self._removals = Removals(self._loop)
            self._removals.watch(path, enclave.terminate)
        except OSError as error:
            _log.warning("removing %s will not end its enclave: %s", path, error)

    def _accept(
        self,
        listener: socket.socket,
        enclave: Enclave,
        description: Description,
        silent: dict[_Asked, None],
    ) -> None:
        try:
            connection, _address = listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        asked = _Asked(self._loop, connection, enclave, description, silent)
        self._loop.watch(connection.fileno(), lambda _events: asked.read())
        if len(silent) > _MOST_SILENT:
            next(iter(silent)).close()


class _Asked:
    """One connection, from its request to its answer; among the `silent` ones before."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        enclave: Enclave,
        description: Description,
        silent: dict[_Asked, None],
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._enclave = enclave
        self._description = description
        self._silent = silent
        silent[self] = None

    def read(self) -> None:
        """Take the request, or see that there will be none."""
        try:
            request = self._connection.recv(_LONGEST_REQUEST + 1)
        except BlockingIOError:
            return
        except OSError as error:
            _log.info("a request was lost: %s", error)
            request = b""
        if not request:
            self.close()
            return
        self._silent.pop(self, None)
        if len(request) > _LONGEST_REQUEST:
            self._answer(b"PROTOCOL", b"a request has at most %d bytes" % _LONGEST_REQUEST)
            return
        operation, *arguments = request.split(b"\0")
        known: dict[bytes, Callable[[list[bytes]], None]] = {
            b"name": self._name,
            b"describe": self._describe,
            b"terminate": self._terminate,
            b"console": self._console,
        }
        serve = known.get(operation)
        if serve is None:
            self._answer(b"PROTOCOL", b"no such request")
        else:
            serve(arguments)

    def _name(self, _arguments: list[bytes]) -> None:
        self._answer(b"ok", *self._identity())

    def _describe(self, arguments: list[bytes]) -> None:
        with_metadata, algorithm = (*arguments, b"", b"")[:2]
        text = described(
            self._enclave,
            self._description,
            hash_algorithm=algorithm.decode("utf-8", "replace"),
            with_metadata=bool(with_metadata),
        )
        if len(text) <= _LONGEST_INLINE:
            self._answer(b"ok", text)
            return
        with os.fdopen(os.memfd_create("nitrosim-description", os.MFD_CLOEXEC), "wb") as file:
            file.write(text)
            file.flush()
            file.seek(0)
            self._answer(b"ok", b"", fd=file.fileno())

    def _terminate(self, _arguments: list[bytes]) -> None:
        credentials = self._connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
        )
        user = _CREDENTIALS.unpack(credentials)[1]
        if user not in (0, os.getuid()):
            self._answer(
                b"NOT_OWNER", b"user %d may not end the enclave of %d" % (user, os.getuid())
            )
            return
        self._enclave.end_callbacks.append(lambda: self._answer(b"ok", *self._identity()))
        # Whoever has asked may go: the enclave ends all the same.
        self._loop.rearm(self._connection.fileno(), 0)
        self._enclave.terminate()

    def _console(self, _arguments: list[bytes]) -> None:
        if not self._enclave.specification.debug_mode:
            self._answer(b"NO_CONSOLE", b"the enclave does not run in debug mode")
            return
        reader = self._enclave.console.follow(lossless=False)
        self._answer(b"ok", b"%d" % self._enclave.side.cid, fd=reader)
        os.close(reader)

    def _identity(self) -> tuple[bytes, bytes]:
        name = self._enclave.specification.name.encode("utf-8", "replace")
        return self._enclave.enclave_id.encode(), name

    def _answer(self, *fields: bytes, fd: int | None = None) -> None:
        try:
            socket.send_fds(self._connection, [b"\0".join(fields)], () if fd is None else (fd,))
        except OSError as error:
            _log.info("an answer found nobody: %s", error)
        self.close()

    def close(self) -> None:
        """End the connection, answered or not."""
        self._silent.pop(self, None)
        if self._connection.fileno() >= 0:
            self._loop.forget(self._connection.fileno())
            self._connection.close()


def _log_end(path: str, who: str) -> None:
    text = "Received hang-up event from the enclave. Enclave process will shut down."
    here = sys._getframe()  # noqa: SLF001 - lines name their place, and inspect is slow to load
    place = f"nitrosim/hypervisor/cli_sockets.py:{here.f_lineno}"
    try:
        append(path, log_line(who=who, level="INFO", now=time.time_ns(), place=place, text=text))
    except OSError as error:
        _log.warning("cannot write to %s: %s", path, error)


def _listen(path: Path) -> socket.socket:
    """Return a listening socket at `path`, to which everybody may connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        # By way of the directory, because an address has room for 107 bytes.
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
        path.chmod(0o666)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
