"""Where the root CA of an instance lives: two files in a directory of the user's own.

``root.pem`` (0644) is the certificate that verifiers are given, ``root.key`` (0600) its private
key, in a directory with mode 0700. They are made once and used by every process of the user, so
creation is guarded by a lock file and each file appears complete or not at all. Files that
somebody else could have read or written are refused, not repaired: whoever has the key can make
documents that this user's verifiers accept.

The key is written before the certificate. A key alone is therefore what an interrupted creation
leaves, nobody has been given its certificate, and a new root takes its place.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING

from fake_nsm import FakeNsmError, RootAuthority
from nitrosim.errors import NitroSimError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fake_nsm import Clock, Entropy

CERTIFICATE_FILE = "root.pem"
"""Name of the certificate in the directory."""
KEY_FILE = "root.key"
"""Name of the private key in the directory."""
_LOCK_FILE = "root.lock"

_LARGEST = 1 << 16


class AuthorityError(NitroSimError):
    """The root CA of an instance cannot be used.

    Codes: ``AUTHORITY_DIRECTORY`` (the directory or a file cannot be reached),
    ``AUTHORITY_PERMISSIONS`` (others could have read or changed it), ``AUTHORITY_DAMAGED``
    (a file is missing or is not what it should be), ``AUTHORITY_CLOCK`` (this machine's clock is
    outside what test roots cover).
    """

    code = "AUTHORITY"


def _system_clock() -> int:
    return time.time_ns() // 1_000_000


def load_or_create_root(
    directory: Path, *, clock: Clock = _system_clock, entropy: Entropy = os.urandom
) -> RootAuthority:
    """Return the root in `directory`, made now if there is none; processes may race for it.

    `clock` (milliseconds since 1970) and `entropy` are used when a root is made.

    Raises:
        AuthorityError: if the files are not the user's own, too open, or damaged.

    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private_directory(directory)
        with _locked(directory):
            root = _load(directory)
            return root or _create(directory, clock=clock, entropy=entropy)
    except OSError as error:
        raise AuthorityError(
            f"cannot use the root CA in {directory}: {error.strerror}: {error.filename}; set "
            "NITROSIM_STATE to a directory of your own",
            code="AUTHORITY_DIRECTORY",
        ) from error


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock file of the directory; the kernel lets go of it when the process ends."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(directory / _LOCK_FILE, flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _load(directory: Path) -> RootAuthority | None:
    """Return the root, or None if there is no certificate."""
    try:
        certificate = _read(directory / CERTIFICATE_FILE, forbidden=0o022)
    except FileNotFoundError:
        return None
    try:
        key = _read(directory / KEY_FILE, forbidden=0o077)
    except FileNotFoundError as error:
        raise _damaged(directory, f"{KEY_FILE} is missing") from error
    try:
        return RootAuthority.from_pem(certificate.decode("ascii"), key.decode("ascii"))
    except (FakeNsmError, UnicodeDecodeError) as error:
        raise _damaged(directory, str(error)) from error


def _create(directory: Path, *, clock: Clock, entropy: Entropy) -> RootAuthority:
    try:
        root = RootAuthority.create(clock=clock, entropy=entropy)
    except FakeNsmError as error:
        raise AuthorityError(f"cannot make a root CA: {error}", code="AUTHORITY_CLOCK") from error
    certificate_pem, private_key_pem = root.to_pem()
    _write(directory / KEY_FILE, private_key_pem, mode=0o600)
    _write(directory / CERTIFICATE_FILE, certificate_pem, mode=0o644)
    return root


def _check_private_directory(directory: Path) -> None:
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise AuthorityError(
            f"{directory} must be a directory, found {stat.filemode(status.st_mode)}; remove it",
            code="AUTHORITY_DIRECTORY",
        )
    _check_access(directory, status, forbidden=0o077)


def _check_access(path: Path, status: os.stat_result, *, forbidden: int) -> None:
    """Refuse what belongs to somebody else or gives others any of the forbidden rights."""
    if status.st_uid != os.geteuid():
        raise AuthorityError(
            f"will not use {path}: it belongs to user {status.st_uid}, expected {os.geteuid()}; "
            "remove it or set NITROSIM_STATE to a directory of your own",
            code="AUTHORITY_PERMISSIONS",
        )
    if status.st_mode & forbidden:
        rights = stat.S_IMODE(status.st_mode)
        raise AuthorityError(
            f"will not use {path}: its mode is {rights:04o}, expected {rights & ~forbidden:04o}, "
            "so others could have read or replaced the key; remove the directory to make a new "
            f"root, or keep it with 'chmod {rights & ~forbidden:o} {path}'",
            code="AUTHORITY_PERMISSIONS",
        )


def _read(path: Path, *, forbidden: int) -> bytes:
    """Read a regular file after looking at what was opened, not at what the name meant before."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _damaged(path.parent, f"{path.name} is no regular file")
        _check_access(path, status, forbidden=forbidden)
        return file.read(_LARGEST)


def _write(path: Path, text: str, *, mode: int) -> None:
    """Put a file into place complete and on disk; the caller holds the lock."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(fresh, flags, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123 - as above
        file.write(text)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _damaged(directory: Path, what: str) -> AuthorityError:
    return AuthorityError(
        f"the root CA in {directory} is damaged: {what}; remove the directory to make a new root "
        "(verifiers that were given the old one must get the new one)",
        code="AUTHORITY_DAMAGED",
    )
