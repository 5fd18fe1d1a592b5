"""The port at which the init of an enclave reports, and what nitro-cli does there.

Facts (nitro-cli 1.5.0; init.c of aws-nitro-enclaves-sdk-bootstrap): run-enclave binds port 9000
of CID 3 before it starts an enclave, so a second one fails meanwhile. It takes the first
connection, whatever its CID, reads one byte, expects 0xB7, and sends it back. An init that finds
nobody there, or does not get its byte back, gives up.

For us: the init that nitro-cli puts into images is not executed, so for those enclaves the port is
held for the length of the start and nobody reports. The init of another image does report. An
enclave that was not started as nitro-cli does it waits for nothing, but its init finds somebody
who answers; several may be on their way there at once, and they are told apart by their CIDs.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Final

from nitrosim.hypervisor.control import RequestError
from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.sockets import Side
from nitrosim.vsock.addresses import address_in_name

READY_PORT: Final = 9000
HEARTBEAT: Final = b"\xb7"

#: Gets "" when an init has sent its heartbeat and got it back, else what came in its place.
Report = Callable[[str], None]


class ReadyPort:
    """Port 9000 of an instance: in use while somebody boots or is waited for, else free."""

    def __init__(self, loop: Loop, network: Network) -> None:
        self._loop = loop
        self._network = network
        self._listener: socket.socket | None = None
        self._held = False
        self._first: Report | None = None
        self._expected: dict[int, Report] = {}

    # DEVIATION: A second nitro-cli run-enclave fails with E36 while another one waits for its
    # enclave to boot, as on hardware; but that takes milliseconds here, and seconds there.
    def hold(self) -> None:
        """Hold the port for an enclave that boots, as run-enclave does.

        Raises:
            RequestError: ``ENCLAVE_BOOT``, another one does, or a program of the parent.

        """
        if self._held:
            raise _in_use()
        try:
            self._listen()
        except OSError as error:
            raise _in_use() from error
        self._held = True

    def take_first(self, report: Report) -> None:
        """Let the first connection that nobody else waits for be that of the enclave that boots."""
        self._first = report
        self._watch()

    def let_go(self) -> None:
        """End what `hold` began."""
        self._held = False
        self._first = None
        self._close_if_unused()

    def expect(self, side: Side, report: Report) -> None:
        """Answer the heartbeat of an enclave that does not wait for it.

        Where a program of the parent instance listens, that has it.
        """
        with contextlib.suppress(OSError):
            self._listen()
            self._expected[side.cid] = report
            self._watch()

    def forget(self, side: Side) -> None:
        """End what `expect` began; unknown ones are ignored."""
        self._expected.pop(side.cid, None)
        self._close_if_unused()

    # ---- connections ----

    def _listen(self) -> None:
        if self._listener is None:
            self._listener, _port = self._network.listen_as_parent(READY_PORT)
            self._listener.setblocking(False)

    def _watch(self) -> None:
        """Take connections, now that there is somebody to take them for."""
        assert self._listener is not None
        self._loop.forget(self._listener.fileno())
        self._loop.watch(self._listener.fileno(), lambda _events: self._accept())

    def _close_if_unused(self) -> None:
        if self._listener is not None and not self._held and not self._expected:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _name = self._listener.accept()
        except BlockingIOError:
            return
        try:
            cid = address_in_name(connection.getpeername()).cid
        except ValueError:
            # Somebody of this machine has found the path of the socket.
            connection.close()
            return
        report: Report | None
        if cid in self._expected:
            report = self._expected.pop(cid)
        else:
            report, self._first = self._first, None
        if report is None:
            connection.close()
            return
        connection.setblocking(False)

        def read(_events: int) -> None:
            self._loop.forget(connection.fileno())
            with connection:
                came = _answered(connection)
            report(came)
            self._close_if_unused()

        self._loop.watch(connection.fileno(), read)


def _in_use() -> RequestError:
    return RequestError(
        "ENCLAVE_BOOT",
        f"vsock bind error: port {READY_PORT} of CID 3 is in use, by another enclave that is being "
        "started or by a program of the parent instance",
    )


def _answered(connection: socket.socket) -> str:
    """Send back a heartbeat that can be read; return "", or what came in its place."""
    try:
        byte = connection.recv(1)
        if byte == HEARTBEAT:
            connection.sendall(byte)
            return ""
    except OSError as error:
        return f"its connection failed: {os.strerror(error.errno or 0)}"
    if not byte:
        return "it closed its connection without a byte"
    return f"it sent 0x{byte.hex()}, expected 0x{HEARTBEAT.hex()}"
