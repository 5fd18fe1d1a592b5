"""Consoles: what an enclave writes to its terminal, kept from boot and sent to followers.

The console of an enclave is a serial line that everything is written to and
nothing is read from. The hypervisor keeps the last 4 MiB. A follower gets what is
kept and then what comes, through a pipe, as raw bytes: the lines end in CR LF, as
a terminal makes them.

A follower that reads too slowly loses the oldest bytes and is told how many in
the stream; one that must not lose anything (*lossless*: a foreground command)
holds the program back instead, as a slow serial line would.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from nitrosim.hypervisor.loop import HUNG_UP, READABLE, WRITABLE, Loop

# DEVIATION: The console can be read whether or not the enclave runs in debug mode, and ends with
# everything that the program has written; hardware shows it in debug mode only.
# DEVIATION: The console holds what the program has written and nothing else: no messages of a
# kernel, a boot loader or an init.
_KEPT = 4 * 1024 * 1024
_READ_SIZE = 64 * 1024
#: How far a lossless follower may lag before the program is held back.
_LAG = 1024 * 1024
#: As far back a last line begins at most.
_LAST = 400


class _Follower:
    __slots__ = ("fd", "lossless", "position", "waiting")

    def __init__(self, fd: int, *, lossless: bool) -> None:
        self.fd = fd
        self.lossless = lossless
        self.position = 0
        self.waiting = False


class Console:
    """The console of one enclave."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._terminal: int | None = None
        self._held_back = False
        self._kept = bytearray()
        self._start = 0
        self._followers: list[_Follower] = []
        self._ended = False
        self._on_end: Callable[[], None] | None = None

    def attach(self, terminal: int) -> None:
        """Take over the master side of the enclave's terminal."""
        os.set_blocking(terminal, False)
        self._terminal = terminal
        self._loop.watch(terminal, self._read)

    def follow(self, *, lossless: bool) -> int:
        """Return the reading end of a pipe with everything kept and everything to come.

        It ends (end of file) with the enclave. The caller closes it.
        """
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(writer, False)
        follower = _Follower(writer, lossless=lossless)
        follower.position = self._start
        self._followers.append(follower)
        self._loop.watch(writer, lambda events: self._feed_ready(follower, events), 0)
        self._feed(follower)
        return reader

    def end(self) -> None:
        """Read what is left in the terminal, and end the followers when they have it."""
        self._ended = True
        while self._terminal is not None:
            self._read(READABLE)
        for follower in list(self._followers):
            self._feed(follower)

    def close(self) -> None:
        """Let go of everything, whoever still reads."""
        self._close_terminal()
        for follower in list(self._followers):
            self._drop(follower)

    # ---- the terminal ----

    def _read(self, _events: int) -> None:
        assert self._terminal is not None
        try:
            data = os.read(self._terminal, _READ_SIZE)
        except BlockingIOError:
            # After the end only a copy that was sent out of the enclave can keep the other side
            # open: nobody waits for that.
            if self._ended:
                self._close_terminal()
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""  # nobody has the other side open any more
        if not data:
            self._close_terminal()
            return
        self._keep(data)

    def remark(self, line: str) -> None:
        """Add a line of nitrosim's own, after what has come from the program so far.

        The kernel hands on what is written to a terminal a little later, so what the program has
        written last may stand behind the line.
        """
        if self._terminal is not None and not self._held_back:
            self._read(READABLE)
        start = "\r\n" if self._kept and not self._kept.endswith(b"\n") else ""
        self._keep(f"{start}[nitrosim: {line}]\r\n".encode("utf-8", "replace"))

    def last_line(self) -> str:
        """Return what was written last, without control characters; "" for nothing."""
        lines = [line for line in self._kept[-_LAST:].splitlines() if line.strip()]
        return ascii(lines[-1].decode("utf-8", "replace"))[1:-1] if lines else ""

    def _keep(self, data: bytes) -> None:
        self._kept += data
        if len(self._kept) > _KEPT:
            surplus = len(self._kept) - _KEPT
            del self._kept[:surplus]
            self._start += surplus
        for follower in list(self._followers):
            self._feed(follower)
        self._hold_back_or_go_on()

    def _close_terminal(self) -> None:
        if self._terminal is not None:
            if not self._held_back:
                self._loop.forget(self._terminal)
            os.close(self._terminal)
            self._terminal = None

    def _hold_back_or_go_on(self) -> None:
        if self._terminal is None:
            return
        end = self._start + len(self._kept)
        behind = any(f.lossless and end - f.position > _LAG for f in self._followers)
        if behind and not self._held_back:
            self._loop.forget(self._terminal)
        elif self._held_back and not behind:
            self._loop.watch(self._terminal, self._read)
        self._held_back = behind

    # ---- followers ----

    def _feed_ready(self, follower: _Follower, events: int) -> None:
        if events & WRITABLE:
            self._feed(follower)
            self._hold_back_or_go_on()
        elif events & ~HUNG_UP:  # EPOLLERR: the reader is gone
            self._drop(follower)
            self._hold_back_or_go_on()

    def _feed(self, follower: _Follower) -> None:
        if follower.position < self._start:
            lost = self._start - follower.position
            notice = f"\r\n[nitrosim: {lost} bytes of console output are gone]\r\n".encode()
            if not self._write(follower, notice):
                return
            follower.position = self._start
        while True:
            at = follower.position - self._start
            chunk = bytes(memoryview(self._kept)[at : at + _READ_SIZE])
            if not chunk:
                if self._ended and self._terminal is None:
                    self._drop(follower)
                elif follower.waiting:
                    follower.waiting = False
                    self._loop.rearm(follower.fd, 0)
                return
            written = self._write(follower, chunk)
            follower.position += written
            if not written:
                return

    def _write(self, follower: _Follower, data: bytes) -> int:
        try:
            return os.write(follower.fd, data)
        except BlockingIOError:
            if not follower.waiting:
                follower.waiting = True
                self._loop.rearm(follower.fd, WRITABLE)
        except BrokenPipeError:
            self._drop(follower)
        return 0

    def _drop(self, follower: _Follower) -> None:
        if follower in self._followers:
            self._followers.remove(follower)
            self._loop.forget(follower.fd)
            os.close(follower.fd)
