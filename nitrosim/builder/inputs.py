"""What a build takes from the command line: metadata, certificate and key, output, time."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from nitrosim.builder.assembly import output_error
from nitrosim.builder.errors import BuildCode
from nitrosim.eif.metadata import MAX_CUSTOM_BYTES
from nitrosim.eif.serde import Json, JsonError, read
from nitrosim.eif.signing import PemSigner

EPOCH_VARIABLE: Final = "SOURCE_DATE_EPOCH"
"""Of the specification https://reproducible-builds.org/specs/source-date-epoch/."""

_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999."""


def read_custom_metadata(path: str | os.PathLike[str]) -> Json:
    """Return what a file with metadata says.

    Raises:
        BuildError: `BUILD_METADATA` if it cannot be read, is larger than 4096 bytes or no JSON.

    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_CUSTOM_BYTES + 1)
    except OSError as error:
        raise BuildCode.BUILD_METADATA(
            f"cannot read the metadata {os.fspath(path)}: {error.strerror}"
        ) from error
    if len(content) > MAX_CUSTOM_BYTES:
        raise BuildCode.BUILD_METADATA(
            f"the metadata {os.fspath(path)} is too large, expected at most {MAX_CUSTOM_BYTES} "
            "bytes, as nitro-cli has it"
        )
    try:
        return read(content)
    except JsonError as error:
        raise BuildCode.BUILD_METADATA(
            f"the metadata {os.fspath(path)} is not JSON, at byte {error.position}: {error}"
        ) from error


def read_signer(certificate: str, private_key: str) -> PemSigner:
    """Return the signer of two PEM files.

    Raises:
        BuildError: `BUILD_SIGNING` if one cannot be read.
        EifError: as `PemSigner.from_files`.

    """
    try:
        return PemSigner.from_files(certificate, private_key)
    except OSError as error:
        raise BuildCode.BUILD_SIGNING(f"cannot read {error.filename}: {error.strerror}") from error


def check_output(path: str | os.PathLike[str], *, outside: Path | None = None) -> None:
    """Find out before the work whether a file can be written; nothing is written or made.

    The file must not lie in the directory `outside`: of what is built from that, the next build
    would have the result of this one in it.

    Raises:
        BuildError: `BUILD_OUTPUT`.

    """
    target = Path(os.path.realpath(path))
    if outside is not None and target.is_relative_to(os.path.realpath(outside)):
        raise BuildCode.BUILD_OUTPUT(
            f"{os.fspath(path)} lies in {outside}, and would be part of the next image: name a "
            "file elsewhere"
        )
    try:
        mode = target.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(None, "it is a directory")
        replaced = stat.S_ISREG(mode)
    except FileNotFoundError:
        replaced = True
    except OSError as error:
        raise output_error(path, error) from error
    place = target.parent if replaced else target
    if replaced and not place.is_dir():
        raise BuildCode.BUILD_OUTPUT(f"cannot write {os.fspath(path)}: there is no folder {place}")
    if not os.access(place, os.W_OK | os.X_OK if replaced else os.W_OK):
        raise BuildCode.BUILD_OUTPUT(
            f"cannot write {os.fspath(path)}: this user may not write to {place}"
        )


def build_time(variables: Mapping[str, str], now: int) -> str:
    """Return the time of the build as RFC 3339 with nanoseconds, as nitro-cli writes it.

    That is ``SOURCE_DATE_EPOCH``, in seconds since 1970 UTC, or else `now`, in nanoseconds.

    Raises:
        BuildError: `BUILD_TIME`.

    """
    given = variables.get(EPOCH_VARIABLE)
    if given is None:
        seconds, nanoseconds = divmod(now, 1_000_000_000)
    elif given.isascii() and given.isdigit() and len(given) <= len(str(_LAST_SECOND)):
        seconds, nanoseconds = int(given), 0
    else:
        raise _no_time(given)
    if seconds > _LAST_SECOND:
        raise _no_time(str(seconds))
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}+00:00"


def _no_time(given: str) -> Exception:
    return BuildCode.BUILD_TIME(
        f"{EPOCH_VARIABLE} is {given!r}, expected a whole number of seconds since 1970"
    )
