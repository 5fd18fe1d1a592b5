"""Calls that wait: a blocking accept, a connect on its way to its timeout. Linux only.

A parked call keeps a duplicate of the caller's socket in the loop, and answers
when the socket is ready. It ends early in three ways:

- its deadline passes (SO_RCVTIMEO, the connect timeout);
- its thread ends: the pidfd becomes readable, the notification is dead;
- a signal arrives. Under WAIT_KILLABLE_RECV the kernel holds back every signal
  that has a handler while we have the notification, and tells nobody: a server
  that waits in accept would ignore SIGTERM and Ctrl-C. So the parked threads are
  looked at now and then: one with a deliverable signal gets its call interrupted
  the way the kernel does it (ERESTARTSYS: handler first, then EINTR or the call
  again, as SA_RESTART says).

Looking costs about 10 us per thread, so the interval grows with their number:
50 ms for a few, half a second for a thousand.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from nitrosim.hypervisor.answers import ERESTARTSYS, Answer, Fail
from nitrosim.hypervisor.loop import READABLE, Loop, Timer
from nitrosim.hypervisor.notify import Listener, Notification
from nitrosim.hypervisor.tracee import GoneError, read_status

# DEVIATION: A signal with a handler interrupts a waiting accept, connect or recvfrom up to 50 ms
# late (half a second when a thousand calls wait), and such a call in a process of several threads
# ends with EINTR even when the handler asked for it to be restarted.
_SHORTEST_INTERVAL = 0.05
_SECONDS_PER_CALL = 0.0005


class ParkedCall:
    """One waiting call. It owns `sock` and `pidfd` and closes them when it ends."""

    __slots__ = ("_lot", "_timer", "listener", "notification", "pidfd", "retry", "sock")

    def __init__(  # noqa: PLR0913 - a value that closes itself
        self,
        lot: ParkingLot,
        listener: Listener,
        notification: Notification,
        *,
        pidfd: int,
        sock: socket.socket | None,
        retry: Callable[[], Answer | None],
    ) -> None:
        self._lot = lot
        self._timer: Timer | None = None
        self.listener = listener
        self.notification = notification
        self.pidfd = pidfd
        self.sock = sock
        self.retry = retry

    def set_deadline(self, loop: Loop, seconds: float, answer: Answer) -> None:
        """Answer with `answer` unless something else has by then."""
        self._timer = loop.call_later(seconds, lambda: self._lot.finish(self, answer))

    def close(self, loop: Loop) -> None:
        """Let go of everything."""
        if self._timer is not None:
            self._timer.cancel()
        loop.forget(self.pidfd)
        os.close(self.pidfd)
        if self.sock is not None:
            loop.forget(self.sock.fileno())
            self.sock.close()


class ParkingLot:
    """All waiting calls of an instance."""

    def __init__(
        self, loop: Loop, deliver: Callable[[Listener, Notification, Answer], None]
    ) -> None:
        """Answer calls through `deliver`."""
        self._loop = loop
        self._deliver = deliver
        self._calls: set[ParkedCall] = set()
        self._round: Timer | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def park(
        self,
        listener: Listener,
        notification: Notification,
        *,
        pidfd: int,
        sock: socket.socket | None,
        retry: Callable[[], Answer | None],
    ) -> ParkedCall:
        """Keep a call until `retry` has an answer; it is tried whenever `sock` is readable.

        Takes over `pidfd` and `sock`. `retry` returns None to go on waiting.
        """
        call = ParkedCall(self, listener, notification, pidfd=pidfd, sock=sock, retry=retry)
        self._calls.add(call)
        self._loop.watch(pidfd, lambda _events: self._abandon(call), READABLE)
        if sock is not None:
            self._loop.watch(sock.fileno(), lambda _events: self._try(call), READABLE)
        if self._round is None:
            self._round = self._loop.call_later(_SHORTEST_INTERVAL, self._look_at_all)
        return call

    def finish(self, call: ParkedCall, answer: Answer) -> None:
        """Answer `call` and let it go."""
        if call in self._calls:
            self._deliver(call.listener, call.notification, answer)
            self._abandon(call)

    def drop_listener(self, listener: Listener) -> None:
        """Let go of every call of a filter without processes."""
        for call in [call for call in self._calls if call.listener is listener]:
            self._abandon(call)

    def _try(self, call: ParkedCall) -> None:
        if not call.listener.is_valid(call.notification):
            self._abandon(call)
            return
        answer = call.retry()
        if answer is not None:
            self.finish(call, answer)

    def _abandon(self, call: ParkedCall) -> None:
        if call in self._calls:
            self._calls.remove(call)
            call.close(self._loop)

    def _look_at_all(self) -> None:
        for call in list(self._calls):
            if not call.listener.is_valid(call.notification):
                self._abandon(call)
            elif call.listener.killable and (error := _interruption(call.notification.thread)):
                self.finish(call, Fail(error))
        self._round = None
        if self._calls:
            interval = max(_SHORTEST_INTERVAL, _SECONDS_PER_CALL * len(self._calls))
            self._round = self._loop.call_later(interval, self._look_at_all)


def _interruption(thread: int) -> int | None:
    """Return the errno that interrupts the call of `thread`, None without a signal for it.

    A signal to the whole process may be meant for another thread of it, and
    ERESTARTSYS is only understood by the kernel in a thread that handles a signal:
    then plain EINTR, which every caller of accept has to expect.
    """
    try:
        status = read_status(thread)
    except GoneError:
        return None
    blocked = int(status["SigBlk"], 16)
    if int(status["SigPnd"], 16) & ~blocked:
        return ERESTARTSYS
    if int(status["ShdPnd"], 16) & ~blocked:
        return ERESTARTSYS if status["Threads"] == "1" else errno.EINTR
    return None
