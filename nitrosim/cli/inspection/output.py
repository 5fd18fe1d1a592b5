"""Writing a page to where somebody wants it: whole, or not at all.

A file is written beside its final place and moved there in one step, so that nobody ever finds
half a page, and an older page survives a full disk. A device or a pipe cannot be replaced and is
written to directly.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Final

from nitrosim.cli.documents import UsageError

_MODE: Final = 0o666
"""Before the umask, as for any file that a program writes on request."""


def write_page(target: str, page: str) -> None:
    """Write a page as UTF-8 to a file, or to standard output for ``-``.

    A symbolic link is followed. Raises `UsageError` if it cannot be written.
    """
    data = page.encode()
    if target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        _write(Path(target), data)
    except OSError as error:
        raise UsageError(f"--html: cannot write {target}: {error.strerror}") from error


def check_target(target: str, document: str) -> None:
    """Raise `UsageError` if the page would be written over the document that it shows."""
    if target == "-" or document == "-":
        return
    try:
        same = Path(target).samefile(document)
    except OSError:
        # One of them does not exist (yet), which reading or writing will tell.
        return
    if same:
        raise UsageError(f"--html: {target} is the document itself; name another file")


def _write(path: Path, data: bytes) -> None:
    # Path.resolve has an exception of its own for links that go round in a circle.
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if place.exists() and not stat.S_ISREG(place.stat().st_mode):
        with place.open("wb") as file:
            file.write(data)
        return
    beside = place.with_name(f".{place.name[:64]}.{secrets.token_hex(8)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
