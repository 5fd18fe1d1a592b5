"""Signals that ask a command to stop which has something to clear up before it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the block as an exception does, with status 128 plus the number.

    Files that are in the making are then removed, as with Ctrl-C. For the main thread only.
    """

    def stop(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {
        number: signal.signal(number, stop)
        for number in (signal.SIGTERM, signal.SIGHUP)
        # nohup wants the command to go on.
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
