"""One step of the plan by which the launcher sets up an enclave."""

from __future__ import annotations

from typing import NamedTuple


class Operation(NamedTuple):
    """One step of setting up an enclave's file system.

    `name` is an option of the launcher without its hyphens: ``ro-bind`` (source,
    target), ``overlay`` (source, target: writes stay in RAM), ``symlink`` (text,
    link), ``dir`` (path), ``tmpfs`` (path), ``content`` (text, file). Targets are
    absolute paths inside; sources are absolute and free of symbolic links.

    An ``overlay`` of ``/`` makes the whole root directory. Its source has nothing but
    empty directories, if anything, at ``/dev``, ``/proc``, ``/sys``, ``/run`` and ``/tmp``:
    they are mounted upon from outside, where a symbolic link would lead to the host.
    """

    name: str
    arguments: tuple[str, ...]
