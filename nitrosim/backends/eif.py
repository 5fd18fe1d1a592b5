"""An Enclave Image File as the source of an enclave.

The file is checked as it is when an enclave is started on hardware: header, tables, checksum,
architecture, and the signature if there is one; what has been found is remembered until the file
changes. Its root directory is unpacked once into the user's cache, under a name that its content
decides, and lies below the root directory in RAM of every enclave that is started from it: the
enclaves share what they only read, and what one writes no other sees.

The measurements are those of the file, the same that ``nitro-cli describe-eif`` prints.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from nitrosim.backends.eif_cache import CacheEntry, cache_directory, cached, look_up
from nitrosim.backends.eif_known import FileIdentity, Known
from nitrosim.backends.image import EnclaveImage
from nitrosim.errors import EnclaveError
from nitrosim.sandbox.operation import Operation

if TYPE_CHECKING:
    from nitrosim.eif import Eif
    from nitrosim.eif.header import Architecture

ROOT_DIRECTORY: Final = "root"
"""The enclave's root directory in an entry of the cache."""

_FORMAT: Final = 2
"""Of an entry in the cache: to be changed with what `unpack_image` makes of an image."""

_SUFFIX: Final = ".eif"


def eif_image(
    path: str | os.PathLike[str],
    *,
    cache: Path,
    at: datetime,
    on_unpacking: Callable[[], None] | None = None,
) -> EnclaveImage:
    """Return the image of an enclave that is started from the file at `path`.

    `cache` is the directory for unpacked images, made if need be; `at` the time, with its zone,
    at which a signing certificate has to be valid. `on_unpacking` is called before an image is
    unpacked because the cache lacks it.

    Raises:
        EifError: the file is damaged, for another architecture, or its signature does not hold;
            the reason as its code.
        ImageError: what is in it cannot be unpacked.
        EnclaveError: ``EIF_FILE``, ``EIF_LAYOUT``, ``EIF_CACHE``.

    """
    cache = cache.absolute()
    machine = os.uname().machine
    try:
        identity = FileIdentity(path, f"{_FORMAT}-{machine}")
        known = identity.recall(cache)
        entry = look_up(cache, known.key) if known is not None and known.holds(at) else None
        if known is None or entry is None:
            known, entry = _check(
                path, machine=machine, cache=cache, at=at, on_unpacking=on_unpacking
            )
            # What was read is what was looked at only if nobody has replaced it in between.
            if identity.still_holds():
                identity.remember(cache, known, at=at)
    except OSError as error:
        raise EnclaveError(
            f"cannot read the image {os.fspath(path)}: {error.strerror}", code="EIF_FILE"
        ) from error
    root = (entry.directory / ROOT_DIRECTORY).resolve()
    # DEVIATION: The root directory of an enclave that is started from an Enclave Image File is an
    # overlay file system in RAM, where hardware has a RAM disk: mount says so, switch_root of
    # busybox refuses it (mount --move and chroot do not), and a file of the image that is open for
    # reading does not show the first change made through another opening.
    # DEVIATION: rename(2) of a directory that comes from an Enclave Image File fails with EXDEV, as
    # between file systems, upon which mv copies; directories that the program made, and all files,
    # can be renamed.
    return EnclaveImage(
        name=_name(path),
        operations=(Operation("overlay", (str(root), "/")),),
        command=tuple(entry.facts["command"]),
        environment=environment_of(entry.facts["environment"]),
        pcrs=known.pcrs,
        metadata=known.metadata,
        own_init=entry.facts["own_init"],
    )


def image_from_file(
    path: str | os.PathLike[str], *, on_unpacking: Callable[[], None] | None = None
) -> EnclaveImage:
    """Return the image of the file at `path`, as of now and with the user's own cache.

    Raises as `eif_image`.
    """
    cache = cache_directory() / "eif"
    return eif_image(path, cache=cache, at=datetime.now(UTC), on_unpacking=on_unpacking)


def _check(
    path: str | os.PathLike[str],
    *,
    machine: str,
    cache: Path,
    at: datetime,
    on_unpacking: Callable[[], None] | None,
) -> tuple[Known, CacheEntry]:
    """Read the file as a whole, and have it in the cache; raises as `eif_image`, and OSError."""
    # What reads images is loaded by who has a new one.
    from nitrosim.backends.eif_layout import unpack_image  # noqa: PLC0415 - see above
    from nitrosim.eif import Eif  # noqa: PLC0415 - see above

    # Another machine than the two of the format has no launcher either.
    with Eif.open(path, check="boot", architecture=cast("Architecture", machine)) as eif:
        known = Known.of(eif, key=_key(eif), at=at)

        def unpack(target: Path) -> dict[str, object]:
            if on_unpacking is not None:
                on_unpacking()
            return unpack_image(eif, target, root=ROOT_DIRECTORY)

        return known, cached(cache, known.key, unpack)


def environment_of(lines: Sequence[str]) -> dict[str, str]:
    """Return the variables that a program finds in an environment of these lines."""
    # DEVIATION: A line of an image's environment that has no name or no equals sign is left out,
    # and of several lines with one name the first counts, as for getenv; the init of a real
    # enclave passes all of them on.
    environment: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if name and equals:
            environment.setdefault(name, value)
    return environment


def _key(eif: Eif) -> str:
    """Return what an image's entry in the cache is called: 96 hexadecimal digits.

    PCR0 is over the measured sections end to end; with their sizes it decides what each holds.
    """
    import hashlib  # noqa: PLC0415 - as in _check
    import json  # noqa: PLC0415 - as in _check

    from nitrosim.eif.sections import MEASURED  # noqa: PLC0415 - as in _check

    sizes = [
        (section.type.name, section.size) for section in eif.sections if section.type in MEASURED
    ]
    text = json.dumps([_FORMAT, eif.measure().pcr0.hex(), sizes])
    return hashlib.sha384(text.encode()).hexdigest()


def _name(path: str | os.PathLike[str]) -> str:
    """Return what nitro-cli calls an enclave: the name of the file without every ``.eif``."""
    name = Path(path).name
    while name.endswith(_SUFFIX):
        name = name.removesuffix(_SUFFIX)
    return name
