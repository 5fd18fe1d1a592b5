"""Where an instance keeps its files, and what an instance may be called.

Two directories per instance, both private to the user (mode 0700):

- *state*, which outlives the hypervisor: the root CA in ``ca/``.
  ``$NITROSIM_STATE``, else ``$XDG_STATE_HOME/nitrosim``, else ``~/.local/state/nitrosim``.
- *runtime*, which does not: the control socket, the sockets behind vsock ports,
  the log. ``$XDG_RUNTIME_DIR/nitrosim``, else ``/tmp/nitrosim-UID``. Its path is
  short because an AF_UNIX address has room for 107 bytes.

Directories are made by who writes into them, never by asking for their path.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from nitrosim.errors import InstanceError

DEFAULT_INSTANCE = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
#: Room left for the name of a socket below the runtime directory.
_LONGEST_RUNTIME = 107 - 48


@dataclass(frozen=True, slots=True)
class Places:
    """The two directories of one instance; `name` is None for one that leaves nothing behind."""

    name: str | None
    state: Path
    runtime: Path


def check_instance_name(name: str) -> str:
    """Return `name` if an instance may be called that.

    Raises:
        InstanceError: ``INSTANCE_NAME`` for anything but 1 to 32 letters, digits,
            dots, hyphens and underscores, beginning with a letter or digit.

    """
    if not _NAME.fullmatch(name):
        raise InstanceError(
            f"the instance cannot be called {name!r}: expected 1 to 32 letters, digits, '.', '-' "
            "or '_', beginning with a letter or digit",
            code="INSTANCE_NAME",
        )
    return name


def instance_state(name: str) -> Path:
    """Return the directory of what outlives the hypervisor of the instance `name`."""
    check_instance_name(name)
    base = os.environ.get("NITROSIM_STATE")
    if not base:
        home = os.environ.get("XDG_STATE_HOME")
        try:
            base = str(Path(home) if home else Path("~/.local/state").expanduser())
        except RuntimeError as error:
            raise InstanceError(
                "this user has no home directory; set NITROSIM_STATE to a directory of your own",
                code="INSTANCE_DIRECTORY",
            ) from error
        base = str(Path(base, "nitrosim"))
    return Path(base).absolute() / name


def _runtime_base() -> Path:
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and os.access(given, os.W_OK) and len(given) <= _LONGEST_RUNTIME - 42:
        return Path(given, "nitrosim")
    return Path(f"/tmp/nitrosim-{os.getuid()}")  # noqa: S108 - checked by make_private


def named_places(name: str) -> Places:
    """Return the places of the user's instance `name`."""
    return Places(name, instance_state(name), _runtime_base() / check_instance_name(name))


def ephemeral_places() -> Places:
    """Make a directory for an instance that ends with its creator; the caller removes it."""
    import tempfile  # noqa: PLC0415 - loads more than the rest of the command line together

    base = make_private(_runtime_base())
    directory = Path(tempfile.mkdtemp(prefix="e-", dir=base))
    return Places(None, directory / "state", directory)


def make_private(directory: Path) -> Path:
    """Create `directory` and what is missing above it; make sure that only this user can enter.

    Raises:
        InstanceError: ``INSTANCE_DIRECTORY`` if it exists and belongs to somebody
            else, is a symbolic link, or cannot be created.

    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
            if status.st_mode & 0o077:
                directory.chmod(0o700)
            return directory
    except OSError as error:
        raise InstanceError(
            f"cannot use the directory {directory}: {error.strerror}; set NITROSIM_STATE or "
            "XDG_RUNTIME_DIR to a directory of your own",
            code="INSTANCE_DIRECTORY",
        ) from error
    raise InstanceError(
        f"will not use {directory}: expected a directory of user {os.getuid()}, found mode "
        f"{stat.filemode(status.st_mode)} of user {status.st_uid}; remove it",
        code="INSTANCE_DIRECTORY",
    )
