"""Where an instance keeps its files.

What the directories are for and what they are called is said in `nitrosim.directories`, which is
the same as text.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nitrosim.directories import (
    DEFAULT_INSTANCE,
    check_instance_name,
    make_private_directory,
    runtime_base,
    state_directory,
)

__all__ = [
    "DEFAULT_INSTANCE",
    "Places",
    "check_instance_name",
    "ephemeral_places",
    "instance_state",
    "make_private",
    "named_places",
]


class Places(NamedTuple):
    """The two directories of one instance; `name` is None for one that leaves nothing behind."""

    name: str | None
    state: Path
    runtime: Path


def instance_state(name: str) -> Path:
    """Return the directory of what outlives the hypervisor of the instance `name`.

    Raises:
        InstanceError: ``INSTANCE_NAME``; ``INSTANCE_DIRECTORY`` if the user has no home directory.

    """
    return Path(state_directory(name))


def _runtime_base() -> Path:
    return Path(runtime_base())


def named_places(name: str) -> Places:
    """Return the places of the user's instance `name`.

    Raises:
        InstanceError: ``INSTANCE_NAME``; ``INSTANCE_DIRECTORY`` if the user has no home directory.

    """
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
    make_private_directory(str(directory))
    return directory
