"""One epoll loop with timers: everything in the hypervisor runs on it, nothing blocks.

A callback that raises ends the hypervisor (and with it every enclave) unless it
catches for itself: a loop that goes on after an unknown failure would leave
programs hanging instead.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable

#: Called with the epoll event bits.
FdCallback = Callable[[int], None]

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
HUNG_UP = select.EPOLLHUP


class Timer:
    """A call in the future; `cancel` makes it not happen."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Forget the call."""
        self.callback = None


class Loop:
    """Wait for file descriptors and for times, and call back."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, FdCallback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._stopped = False

    def watch(self, fd: int, callback: FdCallback, events: int = READABLE) -> None:
        """Call `callback` whenever `fd` is ready; errors and hang-ups are always reported."""
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def rearm(self, fd: int, events: int) -> None:
        """Change what `fd` is watched for."""
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching `fd`; it must still be open. Unknown ones are ignored."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once, after `seconds`."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def stop(self) -> None:
        """Let :meth:`run` return after the callbacks of this round."""
        self._stopped = True

    def run(self) -> None:
        """Call back until :meth:`stop`."""
        poll = self._epoll.poll
        callbacks = self._callbacks
        while True:
            timeout = self._run_timers()
            # Looked at after the timers: one may have called stop, and nothing else would wake us.
            if self._stopped:
                break
            for fd, events in poll(timeout):
                # An earlier callback of this round may have forgotten this one.
                callback = callbacks.get(fd)
                if callback is not None:
                    callback(events)
        self._epoll.close()

    def _run_timers(self) -> float | None:
        """Call what is due; return the seconds until the next, None without one."""
        timers = self._timers
        while timers:
            when, _order, timer = timers[0]
            if timer.callback is None:
                heapq.heappop(timers)
                continue
            wait = when - time.monotonic()
            if wait > 0:
                return wait
            heapq.heappop(timers)
            callback, timer.callback = timer.callback, None
            callback()
        return None
