"""Programs of the parent instance: unmodified, with their AF_VSOCK calls served as CID 3.

The launcher installs the filter, hands its listener to the hypervisor over the
control connection that it is given, and becomes the program: there is no process
in between, so standard streams, signals and exit status are the program's own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nitrosim.hypervisor.client import Connection
from nitrosim.sandbox.launcher import filter_file, launcher_path


@dataclass(frozen=True, slots=True)
class ParentCommand:
    """What to execute, and the descriptors that must be inherited."""

    words: list[str]
    fds: tuple[int, int]


@contextlib.contextmanager
def prepare_parent(
    connection: Connection, command: Sequence[str | os.PathLike[str]]
) -> Iterator[ParentCommand]:
    """Yield how `command` is executed; takes over `connection`, and closes it at the end."""
    try:
        pid = connection.request("hello")["pid"]
        fds = (connection.fileno(), filter_file())
        words = [str(launcher_path()), "parent", str(pid), *map(str, fds), "--"]
        yield ParentCommand([*words, *(os.fspath(word) for word in command)], fds)
    finally:
        connection.close()
