"""One running enclave, as its user holds it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from nitrosim.console import Console
from nitrosim.errors import EnclaveError
from nitrosim.hypervisor.client import Connection

#: Gives a connection of its own for one request: requests may wait, on any thread.
Asking = Callable[[], AbstractContextManager[Connection]]


class Enclave:
    """A running enclave. Made by :meth:`Instance.run_enclave` or :meth:`Instance.enclave`.

    ``name``, ``cid`` (its vsock address), ``module_id`` (as in its documents), ``pid`` (of its
    init, on this machine), ``enclave_id`` (as nitro-cli prints it), ``cpu_count``, ``cpu_ids``,
    ``memory_mib``, ``debug_mode``.
    ``pcrs`` are the launch measurements as in its documents: 48 bytes by index; zero in
    debug mode.
    """

    def __init__(self, asking: Asking, facts: Mapping[str, Any], console_fd: int) -> None:
        self._asking = asking
        self._number: int = facts["number"]
        self.name: str = facts["name"]
        self.cid: int = facts["cid"]
        self.module_id: str = facts["module_id"]
        self.enclave_id: str = facts["enclave_id"]
        self.pid: int = facts["pid"]
        self.cpu_count: int = facts["cpu_count"]
        self.cpu_ids: tuple[int, ...] = tuple(facts["cpu_ids"])
        self.memory_mib: int = facts["memory_mib"]
        self.debug_mode: bool = facts["debug_mode"]
        self.pcrs = {int(index): bytes.fromhex(value) for index, value in facts["pcrs"].items()}
        #: Everything the enclave has written to its terminal.
        self.console = Console(console_fd)

    def connect(self, port: int, timeout: float | None = 10.0) -> socket.socket:
        """Return a connected socket to `port` of the enclave, as the parent instance (CID 3).

        Waits until the program listens there. It is an AF_UNIX stream socket with the
        behaviour of a vsock one.

        Raises:
            EnclaveTimeoutError: nobody listens within `timeout` seconds (0: look once).
            EnclaveError: ``ENCLAVE_ENDED`` or ``CONNECTION_RESET``.

        """
        with self._asking() as ask:
            _answer, fd = ask.request_with_fd(
                "connect", enclave=self._number, port=port, timeout=timeout
            )
        assert fd is not None
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the enclave; return its program's exit status.

        128 plus the signal's number if a signal ended it.

        Raises:
            EnclaveTimeoutError: it has not ended within `timeout` seconds.

        """
        with self._asking() as ask:
            status: int = ask.request("wait", enclave=self._number, timeout=timeout)["status"]
        return status

    def terminate(self) -> int:
        """End the enclave and everything in it, and return when it is gone; 137 if it ran.

        An enclave that has ended already keeps its status.
        """
        try:
            with self._asking() as ask:
                status: int = ask.request("terminate", enclave=self._number)["status"]
        except EnclaveError as error:
            if error.code != "ENCLAVE_ENDED":
                raise
            return self.wait()
        return status

    def nsm_request(self, request: bytes) -> bytes:
        """Put a CBOR request to the Nitro Secure Module of the enclave; return its CBOR answer.

        What the program in the enclave would get from ``/dev/nsm``.
        """
        with self._asking() as ask:
            answer = ask.request("nsm", enclave=self._number, request=request.hex())
        return bytes.fromhex(answer["response"])

    def __repr__(self) -> str:
        return f"<Enclave {self.name} cid={self.cid} {self.module_id}>"
