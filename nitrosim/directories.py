"""The directories of an instance as text: what they are called, and how they are made.

Two per instance, both private to the user (mode 0700):

- *state*, which outlives the hypervisor: the root CA in ``ca/``.
  ``$NITROSIM_STATE``, else ``$XDG_STATE_HOME/nitrosim``, else ``~/.local/state/nitrosim``.
- *runtime*, which does not: the control socket, the sockets behind vsock ports,
  the log. ``$XDG_RUNTIME_DIR/nitrosim``, else ``/tmp/nitrosim-UID``. Its path is
  short because an AF_UNIX address has room for 107 bytes.

Directories are made by who writes into them, never by asking for their path. `nitrosim.places` has
the same as `pathlib.Path`. Here is text, because commands start with this module, and `pathlib`
takes about as long to load as Python takes to start.
"""

from __future__ import annotations

import os
import stat

from nitrosim.errors import InstanceError

DEFAULT_INSTANCE = "default"
_LONGEST_NAME = 32
#: Room left for the name of a socket below the runtime directory.
_LONGEST_RUNTIME = 107 - 48


def check_instance_name(name: str) -> str:
    """Return `name` if an instance may be called that.

    Raises:
        InstanceError: ``INSTANCE_NAME`` for anything but 1 to 32 letters, digits,
            dots, hyphens and underscores, beginning with a letter or digit.

    """
    allowed = name.isascii() and all(sign.isalnum() or sign in "._-" for sign in name)
    if not (allowed and name[:1].isalnum() and len(name) <= _LONGEST_NAME):
        raise InstanceError(
            f"the instance cannot be called {name!r}: expected 1 to 32 letters, digits, '.', '-' "
            "or '_', beginning with a letter or digit",
            code="INSTANCE_NAME",
        )
    return name


def state_directory(name: str) -> str:
    """Return the absolute path of what outlives the hypervisor of the instance `name`.

    Raises:
        InstanceError: ``INSTANCE_NAME``; ``INSTANCE_DIRECTORY`` if the user has no home directory.

    """
    check_instance_name(name)
    base = os.environ.get("NITROSIM_STATE")
    if not base:
        base = os.path.join(os.environ.get("XDG_STATE_HOME") or _default_state(), "nitrosim")
    return os.path.join(os.getcwd(), base, name)


def _default_state() -> str:
    state = os.path.expanduser("~/.local/state")
    if state.startswith("~"):
        raise InstanceError(
            "this user has no home directory; set NITROSIM_STATE to a directory of your own",
            code="INSTANCE_DIRECTORY",
        )
    return state


def runtime_base() -> str:
    """Return the path of the directory that holds the runtime directories of this user."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and os.access(given, os.W_OK) and len(given) <= _LONGEST_RUNTIME - 42:
        return os.path.join(given, "nitrosim")
    return f"/tmp/nitrosim-{os.getuid()}"  # noqa: S108 - checked by make_private_directory


def runtime_directory(name: str) -> str:
    """Return the path of what ends with the hypervisor of the instance `name`.

    Raises:
        InstanceError: ``INSTANCE_NAME``.

    """
    return os.path.join(runtime_base(), check_instance_name(name))


def make_private_directory(directory: str) -> str:
    """Create `directory` and what is missing above it; make sure that only this user can enter.

    Raises:
        InstanceError: ``INSTANCE_DIRECTORY`` if it exists and belongs to somebody
            else, is a symbolic link, or cannot be created.

    """
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        status = os.lstat(directory)
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
            if status.st_mode & 0o077:
                os.chmod(directory, 0o700)
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
