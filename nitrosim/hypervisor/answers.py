"""What a handler can say to a system call."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Return:
    """The call succeeds with `value` (0 unless it counts something)."""

    value: int = 0


@dataclass(frozen=True, slots=True)
class Fail:
    """The call fails with `error`, a positive errno."""

    error: int


@dataclass(frozen=True, slots=True)
class Native:
    """The call is none of ours: the kernel runs it as if nobody had looked."""


@dataclass(frozen=True, slots=True)
class Install:
    """The call returns a new descriptor: a copy of `sock`, with `fd_flags` (0 or O_CLOEXEC)."""

    sock: socket.socket
    fd_flags: int


@dataclass(frozen=True, slots=True)
class Later:
    """The call waits: somebody has parked it and will answer."""


Answer = Return | Fail | Native | Install | Later

SUCCESS = Return(0)
NATIVE = Native()
LATER = Later()
BAD_ADDRESS = Fail(errno.EFAULT)

#: The kernel's own "make the call again, or EINTR, as the signal's action says".
#: Only for a thread that has a signal to handle: others would see the number.
ERESTARTSYS = 512
