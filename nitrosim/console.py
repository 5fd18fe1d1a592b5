"""The console of an enclave, read from the client's side."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

from nitrosim.errors import EnclaveTimeoutError

_CHUNK = 64 * 1024
_SHOWN = 2000


class Console:
    """What an enclave has written to its terminal since it was started.

    Raw bytes: lines end in CR LF, as a terminal makes them. Nothing can be typed; the
    console of an enclave is for reading.
    """

    def __init__(self, fd: int) -> None:
        """Take over `fd`, a pipe that the hypervisor writes the console to."""
        os.set_blocking(fd, False)
        self._fd = fd
        self._text = bytearray()
        self._ended = False

    def read(self) -> bytes:
        """Return everything from the start of the enclave until now.

        What the program has written just before may still be on its way: wait for it
        with :meth:`wait_for`, or for the end with :meth:`read_all`.
        """
        while self._take():
            pass
        return bytes(self._text)

    def read_all(self, timeout: float | None = None) -> bytes:
        """Return everything, once the enclave has ended.

        Raises:
            EnclaveTimeoutError: it has not ended within `timeout` seconds.

        """
        self._wait(lambda: self._ended, timeout, "the end of the enclave")
        return bytes(self._text)

    def wait_for(self, text: bytes, timeout: float | None = None) -> bytes:
        """Wait until the console holds `text`, and return everything until then.

        Raises:
            EnclaveTimeoutError: not within `timeout` seconds, or the enclave has ended
                without; the message shows the end of the console.

        """
        self._wait(lambda: text in self._text or self._ended, timeout, f"{text!r}")
        if text not in self._text:
            raise EnclaveTimeoutError(
                f"the enclave ended without {text!r} on its console{self._tail()}"
            )
        return bytes(self._text)

    def fileno(self) -> int:
        """Return the descriptor the console comes through, for selectors."""
        return self._fd

    def close(self) -> None:
        """Stop reading."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._ended = True

    def __del__(self) -> None:
        self.close()

    def _wait(self, done: Callable[[], bool], timeout: float | None, what: str) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        if self._fd >= 0:
            poll.register(self._fd, select.POLLIN)
        while not done():
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not poll.poll(None if left is None else left * 1000) and left == 0:
                raise EnclaveTimeoutError(
                    f"no {what} on the console within {timeout} s{self._tail()}"
                )
            self._take()

    def _take(self) -> bool:
        """Take what is there; False when that is nothing."""
        if self._fd < 0:
            return False
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.close()
        self._text += data
        return bool(data)

    def _tail(self) -> str:
        tail = self._text[-_SHOWN:].decode("utf-8", "replace").replace("\r\n", "\n").strip()
        return f"; it says:\n{tail}" if tail else "; it is empty"
