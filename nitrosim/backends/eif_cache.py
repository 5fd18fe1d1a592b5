"""Directories that are made once from their content's name and then only read.

An entry is called after what it is made from, so it never changes; it is made in a directory
of its own beside its place and moved there when it is complete. Several processes that want the
same entry at once wait for the one that makes it, on a lock that the kernel gives free when its
holder ends, however that happens.

Nothing but this module should write there, but people clean up caches by hand, and programs do so
by age. An entry therefore notes the modification time of each of its directories: whatever is
added, removed or renamed in one changes that time. Comparing them takes some microseconds a
directory; an entry that fails is made anew. Bytes that are changed inside of a file are not
noticed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from nitrosim.errors import EnclaveError, InstanceError
from nitrosim.places import make_private

_MANIFEST: Final = "entry.json"


class CacheEntry(NamedTuple):
    """A complete entry: its `directory`, and what its maker has noted of it (`facts`)."""

    directory: Path
    facts: Mapping[str, Any]


def cache_directory() -> Path:
    """Return the user's cache directory of nitrosim; it need not exist.

    That is ``$XDG_CACHE_HOME/nitrosim``, else ``~/.cache/nitrosim``.

    Raises:
        EnclaveError: ``EIF_CACHE`` when there is neither that variable nor a home directory.

    """
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base, "nitrosim").absolute()
    try:
        return Path("~/.cache/nitrosim").expanduser()
    except RuntimeError as error:
        raise _refused("this user has no home directory") from error


def cached(cache: Path, key: str, make: Callable[[Path], Mapping[str, Any]]) -> CacheEntry:
    """Return the entry `key` of the directory `cache`, made by `make` if it is not there.

    `key` is the first part of no other key and is free of slashes. `make` is given an empty
    directory to fill and returns facts that JSON can express; what it raises leaves nothing behind
    and is passed on, but for OSError. Directories of the entry are writable for their owner.

    Raises:
        EnclaveError: ``EIF_CACHE`` if `cache` cannot be written or belongs to somebody else.

    """
    entry = look_up(cache, key)
    if entry is not None:
        return entry
    try:
        make_private(cache)
    except InstanceError as error:
        raise _refused(f"cannot use the directory {cache} ({error.__cause__ or error})") from error
    with _locked(cache, key):
        # Somebody else may have been faster.
        entry = look_up(cache, key)
        if entry is None:
            entry = _make(cache, key, make)
    return entry


def look_up(cache: Path, key: str) -> CacheEntry | None:
    """Return the entry `key` of the directory `cache`; None if there is none that is whole."""
    place = cache / key
    try:
        manifest = json.loads((place / _MANIFEST).read_text("utf-8"))
        facts = manifest["facts"]
        for name, modified in manifest["directories"]:
            # Twice as fast as with Path, and there may be thousands.
            if os.stat(f"{place}/{name}", follow_symlinks=False).st_mtime_ns != modified:  # noqa: PTH116
                return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return CacheEntry(place, facts)


def _make(cache: Path, key: str, make: Callable[[Path], Mapping[str, Any]]) -> CacheEntry:
    """Make an entry anew, under its lock."""
    import tempfile  # noqa: PLC0415 - loads more than all else here

    place = cache / key
    with _reported(cache):
        # Whoever left these was killed: they are made under the lock only.
        for left in cache.glob(f".{key}.*"):
            _remove(left)
        fresh = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=cache))
    try:
        with _reported(cache):
            facts = make(fresh)
            manifest = {"facts": facts, "directories": list(_directories(fresh))}
            (fresh / _MANIFEST).write_text(json.dumps(manifest), "utf-8")
            if os.path.lexists(place):
                place.rename(fresh.with_name(f"{fresh.name}-damaged"))
            fresh.rename(place)
    finally:
        for left in cache.glob(f".{key}.*"):
            _remove(left)
    return CacheEntry(place, facts)


def _directories(top: Path) -> Iterator[tuple[str, int]]:
    """Yield the directories below `top`, relative to it, with their modification times in ns."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(top / prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    name = f"{prefix}{entry.name}"
                    yield name, entry.stat(follow_symlinks=False).st_mtime_ns
                    waiting.append(f"{name}/")


def _remove(path: Path) -> None:
    import shutil  # noqa: PLC0415 - as in _make

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(cache: Path, key: str) -> Iterator[None]:
    with _reported(cache):
        # The file stays: removing it would let two processes lock different ones.
        fd = os.open(cache / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _reported(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(f"cannot write to {cache} ({error})") from error


def _refused(reason: str) -> EnclaveError:
    return EnclaveError(
        f"there is no place to unpack images to: {reason}; set XDG_CACHE_HOME to a directory of "
        "your own",
        code="EIF_CACHE",
    )
