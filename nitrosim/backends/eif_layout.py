"""What the ramdisks of an Enclave Image File unpack to, and what is executed there.

The kernel unpacks all ramdisks, one after the other, into one root directory, later entries over
earlier ones, and starts ``/init``. In images of nitro-cli, which have ``init``, ``rootfs``, ``cmd``
and ``env``, that is the init of aws-nitro-enclaves-sdk-bootstrap, and these facts are read from its
``init.c``:

* It reads ``/env`` and ``/cmd``, one value a line without quoting. Without any value they are
  ``PATH=/sbin:/usr/sbin:/bin:/usr/bin`` and ``sh``.
* ``/rootfs`` becomes the root directory. ``/dev``, ``/proc``, ``/sys``, ``/run`` and ``/tmp``
  are made if they are missing and mounted upon, so what an image has in there is never seen.
* The command is found on that same PATH, whatever ``env`` says, and gets the environment as it
  stands in ``env``, nothing else.

That init is not executed: what it does is done by the launcher. In an image of any other layout
the init is executed, as the kernel would do it, with the merged ramdisks as its root directory.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from nitrosim.backends.eif_cmdline import InitCall, init_call
from nitrosim.backends.eif_init import why_not
from nitrosim.eif import Eif, SectionType
from nitrosim.eif.cpio import Entry
from nitrosim.eif.cpio_reader import read_cpio
from nitrosim.eif.ramdisk import ROOT, values
from nitrosim.errors import EnclaveError
from nitrosim.images.unpack import unpack

_DEFAULT_COMMAND: Final = ("sh",)
_DEFAULT_ENVIRONMENT: Final = ("PATH=/sbin:/usr/sbin:/bin:/usr/bin",)
_HIDDEN_FROM_ALL: Final = ("dev", "proc", "sys")
_HIDDEN: Final = (*_HIDDEN_FROM_ALL, "run", "tmp")
_MOST_SHOWN: Final = 12
_INIT: Final = "init"

# DEVIATION: An enclave that is started from an Enclave Image File does not execute its kernel, nor
# its init if it has the layout of nitro-cli; the kernel command line then has no effect, unless it
# names another init (rdinit=).
# DEVIATION: Images whose root file system is on a block device, such as those of Bottlerocket, are
# refused.
# DEVIATION: An image whose init cannot be executed is refused before it is started; the kernel
# would try /sbin/init, /etc/init, /bin/init and /bin/sh.
# DEVIATION: For the init of an image, /dev, /proc and /sys are mounted before it begins; what the
# image has there is never seen.
# DEVIATION: In an enclave that is started from an Enclave Image File all files belong to root,
# whatever owners the image gives them.


def unpack_image(eif: Eif, target: Path, *, root: str) -> dict[str, Any]:
    """Unpack the ramdisks into `target`: below `root` there, what the program sees as ``/``.

    Returns ``command`` and ``environment``, lists of text as init or the kernel has them; bytes
    that are no UTF-8 are surrogates, as `os.fsdecode` has them. ``own_init`` is the kernel's
    command line if the command is the init of the image, None if that is not executed.

    Raises:
        EnclaveError: ``EIF_LAYOUT``.
        CpioError: a ramdisk is damaged.
        ImageError: it cannot be unpacked, with the reason as its code.

    """
    ramdisks = eif.sections_of(SectionType.RAMDISK)
    (section,) = eif.sections_of(SectionType.CMDLINE)
    command_line = os.fsdecode(bytes(eif.payload(section))).partition("\0")[0]
    call = init_call(command_line)
    tree = target / "tree"
    unpack(_merged([eif.payload(ramdisk) for ramdisk in ramdisks]), tree)
    differs = _difference(tree, call)
    if differs:
        _check_init(tree, call, differs)
        tree.rename(target / root)
        for name in _HIDDEN_FROM_ALL:
            _clear(target / root / name)
        return {
            "command": [call.program, *call.arguments],
            "environment": [f"{name}={value}" for name, value in call.environment.items()],
            "own_init": command_line,
        }
    facts = {
        "command": _read(tree / "cmd") or _DEFAULT_COMMAND,
        "environment": _read(tree / "env") or _DEFAULT_ENVIRONMENT,
        "own_init": None,
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


def _difference(tree: Path, call: InitCall) -> str:
    """Say in what an image differs from the layout of nitro-cli; "" for nothing."""
    if call.program != f"/{_INIT}":
        return f"its command line says rdinit={ascii(call.program)[1:-1]}"
    wanted = {
        _INIT: stat.S_IFREG,
        os.fsdecode(ROOT): stat.S_IFDIR,
        "cmd": stat.S_IFREG,
        "env": stat.S_IFREG,
    }
    for name, kind in wanted.items():
        path = tree / name
        if not os.path.lexists(path):
            return f"its ramdisks have no {name}, but {_names(tree)}"
        if stat.S_IFMT(path.lstat().st_mode) != kind:
            return f"{name} of its ramdisks is {stat.filemode(path.lstat().st_mode)}"
    return ""


def _check_init(tree: Path, call: InitCall, differs: str) -> None:
    """Refuse an image whose init cannot be executed either."""
    if not any(tree.iterdir()):
        raise _unsupported(
            "its ramdisks are empty, and a root file system on a block device is not supported"
        )
    reason = why_not(tree, call.program, machine=os.uname().machine)
    if reason:
        raise _unsupported(
            f"it is none of nitro-cli's ({differs}), and its init cannot be executed: {reason}"
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
        raise _unsupported(f"/{path.name} of its root directory is not a directory")
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _unsupported(found: str) -> EnclaveError:
    return EnclaveError(
        f"this image cannot be run here: {found}; expected ramdisks with init, rootfs, cmd and "
        "env, as nitro-cli builds them, or with an init of your own that can be executed",
        code="EIF_LAYOUT",
    )
