"""Descriptors of a child that is started with ``posix_spawn``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

#: One action of ``posix_spawn``, as the standard library takes it.
FileAction = Any


def place_descriptors(fds: Mapping[int, int]) -> list[FileAction]:
    """Return the actions of ``posix_spawn`` that put our descriptors at the child's numbers.

    A source may itself have one of those numbers: all go out of the way first.
    """
    above = max((*fds, *fds.values())) + 1
    away = [(os.POSIX_SPAWN_DUP2, fd, above + n) for n, fd in enumerate(fds)]
    home = [(os.POSIX_SPAWN_DUP2, above + n, number) for n, number in enumerate(fds.values())]
    gone = [(os.POSIX_SPAWN_CLOSE, above + n) for n in range(len(fds))]
    return [*away, *home, *gone]
