"""Boots that last until the init of an image has reported, as nitro-cli waits for them.

run-enclave says that it has started the enclave, and then waits for the heartbeat. So a client asks
twice: ``run`` is answered when the init is executed, and ``booted`` when it has reported, or
has not. A client that leaves in between changes nothing for the enclave, as on hardware, where
another process waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from nitrosim.hypervisor.control import Client, RequestError
from nitrosim.hypervisor.enclaves import Enclave, State
from nitrosim.hypervisor.loop import Loop
from nitrosim.hypervisor.network import Network
from nitrosim.hypervisor.protocol import Message
from nitrosim.hypervisor.ready_port import HEARTBEAT, READY_PORT, ReadyPort


class _Boot:
    """One boot: waited for or not, over or not."""

    def __init__(self) -> None:
        self._over = False
        self._error: RequestError | None = None
        self._client: Client | None = None

    def end(self, error: RequestError | None) -> None:
        self._over, self._error = True, error
        self._tell()

    def wait(self, client: Client) -> None:
        self._client = client
        self._tell()

    def _tell(self) -> None:
        if not self._over or self._client is None:
            return
        if self._error is None:
            self._client.answer({})
        else:
            self._client.refuse(self._error)


class Boots:
    """The port where enclaves report, and who waits for that."""

    def __init__(self, loop: Loop, network: Network) -> None:
        self._loop = loop
        self.port = ReadyPort(loop, network)
        self._boots: dict[Client, _Boot] = {}

    def booted(self, client: Client, _request: Message, _fds: list[int]) -> None:
        """Answer when the enclave that this client has started last has booted."""
        boot = self._boots.pop(client, None)
        if boot is None:
            raise RequestError("PROTOCOL", "this client waits for no enclave to boot")
        boot.wait(client)

    def begin(self, client: Client, enclave: Enclave, on_booted: Callable[[], None]) -> None:
        """Wait for the init of an enclave, for which the port is held; let go of that then.

        `on_booted` is called if it has reported, and may raise RequestError. An enclave that has
        not booted is ended, and the client told when it has.
        """
        boot = self._boots[client] = _Boot()

        def left() -> None:
            self._boots.pop(client, None)

        client.on_close.append(left)

        def done(failure: str) -> None:
            self.port.let_go()
            error = _no_heartbeat(enclave, failure) if failure else None
            if error is None:
                try:
                    on_booted()
                except RequestError as refused:
                    error = refused
            if error is None:
                boot.end(None)
            else:
                self._end(enclave, lambda: boot.end(error))

        self._await_heartbeat(enclave, done)

    def _end(self, enclave: Enclave, then: Callable[[], None]) -> None:
        """End an enclave if it has not ended yet; call `then` when nothing of it is left."""
        if enclave.state is State.ENDED:
            # Some are yet to be told of the end.
            self._loop.call_later(0, then)
        else:
            enclave.end_callbacks.append(then)
            enclave.terminate()

    def answer_heartbeat(self, enclave: Enclave) -> None:
        """Let the init of an enclave find who answers, where nobody waits for it."""

        def reported(failure: str) -> None:
            if failure:
                enclave.console.remark(f"no heartbeat on port {READY_PORT} of CID 3: {failure}")

        self.port.expect(enclave.side, reported)
        enclave.end_callbacks.append(lambda: self.port.forget(enclave.side))

    def _await_heartbeat(self, enclave: Enclave, on_done: Callable[[str], None]) -> None:
        """Call `on_done` when an init has reported, with "", or has not, with the reason."""
        waiting = True

        def done(failure: str) -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                timer.cancel()
                with contextlib.suppress(ValueError):  # it ends: they have been taken
                    enclave.end_callbacks.remove(ended)
                on_done(failure)

        def ended() -> None:
            done(f"it ended with status {enclave.status}")

        seconds = enclave.specification.boot_seconds
        timer = self._loop.call_later(
            seconds, lambda: done(f"nothing came within {seconds:g} seconds")
        )
        enclave.end_callbacks.append(ended)
        self.port.take_first(done)


def _no_heartbeat(enclave: Enclave, failure: str) -> RequestError:
    # Nobody will see the console any more.
    line = enclave.console.last_line()
    said = f"; the last line on its console: {line}" if line else ""
    return RequestError(
        "ENCLAVE_HEARTBEAT",
        f"the init of the image, {enclave.specification.command[0]}, did not report: {failure}; "
        f"expected a connection to port {READY_PORT} of CID 3 with the byte 0x{HEARTBEAT.hex()}"
        f"{said}",
    )
