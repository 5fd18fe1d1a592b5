"""Lines in the log of nitro-cli.

A line is ``[<who>][<LEVEL>][<time>][<file>:<line>] <text>``, with the time in RFC 3339, UTC,
milliseconds. It is from ``nitro-cli:<pid>`` for a command and from ``enc-<slot>:<pid>`` for the
process of an enclave. Source: nitro-cli 1.5.0.
"""

from __future__ import annotations

import os

from nitrosim.rfc3339 import rfc3339_milliseconds


def log_line(*, who: str, level: str, now: int, place: str, text: str) -> bytes:
    """Return a line; `now` in ns since 1970 UTC, `place` is a file and the number of a line."""
    line = f"[{who}][{level}][{rfc3339_milliseconds(now)}][{place}] {text}\n"
    return line.encode("utf-8", "backslashreplace")


def append(path: str, line: bytes) -> None:
    """Add a line to a log that exists.

    Raises:
        OSError: that cannot be done.

    """
    # A pipe in place of a log shall keep nobody waiting.
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)
