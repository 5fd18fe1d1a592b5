"""What the ramdisks of an Enclave Image File unpack to, and what its init would make of that.

The kernel unpacks all ramdisks, one after the other, into one root directory, later entries over
earlier ones, and starts ``/init``. In images of nitro-cli that is the init of
aws-nitro-enclaves-sdk-bootstrap, and these facts are read from its ``init.c``:

* It reads ``/env`` and ``/cmd``, one value a line without quoting. Without any value they are
  ``PATH=/sbin:/usr/sbin:/bin:/usr/bin`` and ``sh``.
* ``/rootfs`` becomes the root directory. ``/dev``, ``/proc``, ``/sys``, ``/run`` and ``/tmp``
  are made if they are missing and mounted upon, so what an image has in there is never seen.
* The command is found on that same PATH, whatever ``env`` says, and gets the environment as it
  stands in ``env``, nothing else.

No init of an image is ever executed here: what it does is done by the launcher, and an image
whose init does something else cannot be run.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from nitrosim.eif import Eif, SectionType
from nitrosim.eif.cpio import Entry
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.eif.ramdisk import ROOT, values
from nitrosim.errors import EnclaveError
from nitrosim.images.unpack import unpack

_DEFAULT_COMMAND: Final = ("sh",)
_DEFAULT_ENVIRONMENT: Final = ("PATH=/sbin:/usr/sbin:/bin:/usr/bin",)
_HIDDEN: Final = ("dev", "proc", "sys", "run", "tmp")
_FEWEST_RAMDISKS: Final = 2
_MOST_SHOWN: Final = 12

# DEVIATION: An enclave that is started from an Enclave Image File executes neither its kernel nor
# its init: images of other layouts than that of nitro-cli (a single ramdisk, an init of one's own)
# are refused, and the kernel command line has no effect.
# DEVIATION: In an enclave that is started from an Enclave Image File all files belong to root,
# whatever owners the image gives them.


def unpack_image(eif: Eif, target: Path, *, root: str) -> dict[str, Any]:
    """Unpack the ramdisks into `target`: below `root` there, what the program sees as ``/``.

    Returns ``command`` and ``environment``, lists of text as init reads them; bytes that are no
    UTF-8 are surrogates, as `os.fsdecode` has them.

    Raises:
        EnclaveError: ``EIF_LAYOUT``.
        CpioError: a ramdisk is damaged.
        ImageError: it cannot be unpacked, with the reason as its code.

    """
    ramdisks = eif.sections_of(SectionType.RAMDISK)
    if len(ramdisks) < _FEWEST_RAMDISKS:
        raise _unsupported("the image has a single ramdisk", "two, the second with the application")
    tree = target / "tree"
    unpack(_merged([eif.payload(ramdisk) for ramdisk in ramdisks]), tree)
    _check(tree)
    facts = {
        "command": _read(tree / "cmd") or _DEFAULT_COMMAND,
        "environment": _read(tree / "env") or _DEFAULT_ENVIRONMENT,
    }
    (tree / os.fsdecode(ROOT)).rename(target / root)
    shutil.rmtree(tree)
    for name in _HIDDEN:
        _clear(target / root / name)
    return facts


def _merged(ramdisks: Sequence[memoryview]) -> Iterator[Entry]:
    for number, ramdisk in enumerate(ramdisks):
        for entry in read_cpio(ramdisk):
            # Hard links are those of one archive; archives are numbered within their ramdisk.
            yield entry if entry.group is None else replace(entry, group=(number, *entry.group))


def _check(tree: Path) -> None:
    """Refuse what is not the layout of nitro-cli."""
    wanted = {
        "init": stat.S_IFREG,
        os.fsdecode(ROOT): stat.S_IFDIR,
        "cmd": stat.S_IFREG,
        "env": stat.S_IFREG,
    }
    for name, kind in wanted.items():
        path = tree / name
        if not os.path.lexists(path):
            raise _unsupported(f"its ramdisks have no {name}, but {_names(tree)}")
        if stat.S_IFMT(path.lstat().st_mode) != kind:
            raise _unsupported(
                f"{name} of its ramdisks is {stat.filemode(path.lstat().st_mode)}",
                "a directory" if kind == stat.S_IFDIR else "a regular file",
            )


def _names(tree: Path) -> str:
    names = sorted(entry.name for entry in tree.iterdir())
    shown = ", ".join(ascii(name)[1:-1] for name in names[:_MOST_SHOWN]) or "nothing"
    return shown if len(names) <= _MOST_SHOWN else f"{shown} and {len(names) - _MOST_SHOWN} more"


def _read(path: Path) -> tuple[str, ...]:
    # It may be unreadable for all but root.
    path.chmod(0o600)
    return tuple(map(os.fsdecode, values(path.read_bytes())))


def _clear(path: Path) -> None:
    """Remove what is hidden on hardware: devices and files in /dev would be in the way."""
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        raise _unsupported(f"/{path.name} of its root directory is not a directory", "a directory")
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _unsupported(found: str, expected: str = "init, rootfs, cmd and env") -> EnclaveError:
    return EnclaveError(
        f"this layout of an image cannot be run here: {found}; expected {expected}, as in images "
        "that nitro-cli builds (an init of your own runs on hardware only)",
        code="EIF_LAYOUT",
    )
