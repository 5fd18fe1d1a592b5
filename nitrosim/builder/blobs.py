"""What boots an enclave: kernel, command line, init and the kernel module of the NSM.

nitro-cli brings these files along, in a folder of their own for each architecture:

==================================== ==============================================================
``bzImage`` (aarch64: ``Image``)     the kernel
``bzImage.config`` (``Image.config``) how it was configured; the third line names its version
``cmdline``                          its command line; blanks around it do not count
``init``                             the program that starts the enclave
``nsm.ko``                           the kernel module of the Nitro Secure Module
==================================== ==============================================================

(It also brings ``linuxkit``, whose work `nitrosim.eif.ramdisk` does here.) They decide PCR0 and
PCR1. Where they are not at hand, all of them are replaced by placeholders: bytes that say what they
are, always the same, and boot nothing. Such an image runs under nitrosim, which executes neither
kernel nor init; its PCR2 is the real one, its PCR0 and PCR1 cannot be. Real and placeholder blobs
are never mixed, since such an image would boot nowhere and have the PCRs of nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nitrosim.builder.errors import BuildCode
from nitrosim.eif.cpio import BytesContent, Content
from nitrosim.eif.header import Architecture
from nitrosim.images.directory import FileContent

DEFAULT_BLOBS: Final = Path("/usr/share/nitro_enclaves/blobs/")
"""Where an installation of nitro-cli has them."""

PLACEHOLDER_VERSION: Final = "nitrosim-placeholder"
"""What the metadata of an image with placeholders has as the version of its kernel."""

_KERNELS: Final[dict[Architecture, str]] = {"x86_64": "bzImage", "aarch64": "Image"}
_UNKNOWN: Final = "Unknown"
"""What nitro-cli writes when the configuration of the kernel does not say."""

_CONSOLE: Final = "reboot=k panic=30 pci=off nomodules console=ttyS0"
_CMDLINES: Final[dict[Architecture, str]] = {
    "x86_64": (f"{_CONSOLE} i8042.noaux i8042.nomux i8042.nopnp i8042.dumbkbd random.trust_cpu=on"),
    "aarch64": f"{_CONSOLE} random.trust_cpu=on root=/dev/ram0",
}
"""Those of nitro-cli 1.5.0, for whoever looks at a placeholder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """The parts of an image that are not the user's.

    Attributes:
        architecture: what they are for.
        kernel: a bzImage or Image.
        cmdline: of the kernel, without blanks around it.
        init: the program that starts the enclave.
        nsm_module: the kernel module of the NSM.
        operating_system: for the metadata: ``Linux``.
        kernel_version: for the metadata, such as ``4.14.256``.
        folder: where they were looked for.
        missing: which files were not there; then all of this is placeholders.

    """

    architecture: Architecture
    kernel: Content
    cmdline: str
    init: Content
    nsm_module: Content
    operating_system: str
    kernel_version: str
    folder: Path
    missing: tuple[str, ...] = ()

    @property
    def are_placeholders(self) -> bool:
        """Whether PCR0 and PCR1 are not those that the image has on EC2."""
        return bool(self.missing)

    @property
    def note(self) -> str | None:
        """One sentence for the user about placeholders; None for real blobs."""
        if not self.missing:
            return None
        return (
            f"PCR0 and PCR1 will differ on EC2, PCR2 will not: {self.folder} lacks "
            f"{', '.join(self.missing)}, so placeholders stand for kernel and init"
        )


def find_blobs(
    folder: Path, architecture: Architecture = "x86_64", *, required: bool = False
) -> Blobs:
    """Return the blobs of a folder if all of them are there, and otherwise placeholders.

    Contents are read when the image is written. With `required` placeholders will not do.

    Raises:
        BuildError: `BLOBS_UNREADABLE`; with `required`, `BLOBS_INCOMPLETE`.

    """
    kernel = _KERNELS[architecture]
    config = f"{kernel}.config"
    names = (kernel, config, "cmdline", "init", "nsm.ko")
    missing = tuple(name for name in names if not (folder / name).is_file())
    if missing and required:
        raise BuildCode.BLOBS_INCOMPLETE(
            f"{folder} lacks {', '.join(missing)}; expected the blobs of nitro-cli for "
            f"{architecture}: name their folder, or none for placeholders"
        )
    if missing:
        return placeholders(architecture, folder=folder, missing=missing)
    system, version = kernel_release(_lines(folder / config))
    return Blobs(
        architecture=architecture,
        kernel=_content(folder / kernel),
        cmdline=_text(folder / "cmdline").strip(),
        init=_content(folder / "init"),
        nsm_module=_content(folder / "nsm.ko"),
        operating_system=system,
        kernel_version=version,
        folder=folder,
    )


def placeholders(architecture: Architecture, *, folder: Path, missing: Iterable[str]) -> Blobs:
    """Return blobs that say in their bytes that they are none."""
    # DEVIATION: Where the blobs of nitro-cli are not at hand, an image is built with placeholders
    # for them, and its PCR0 and PCR1 are not those of nitro-cli, which refuses to build without.
    return Blobs(
        architecture=architecture,
        kernel=_placeholder("a kernel", architecture),
        cmdline=f"nitrosim.placeholder {_CMDLINES[architecture]}",
        init=_placeholder("an init", architecture),
        nsm_module=_placeholder("an nsm.ko", architecture),
        operating_system="Linux",
        kernel_version=PLACEHOLDER_VERSION,
        folder=folder,
        missing=tuple(missing),
    )


def kernel_release(lines: list[str]) -> tuple[str, str]:
    """Return operating system and version from the configuration of a kernel.

    The third line is ``# Linux/x86_64 4.14.256-209.484.amzn2.x86_64 Kernel Configuration``, which
    is Linux and 4.14.256. What is not there is ``Unknown``. Source:
    aws-nitro-enclaves-image-format 0.5.0, ``generate_build_info``.
    """
    third = lines[2] if len(lines) > 2 else ""
    words = third.replace("/", " ").replace("-", " ").split(" ")
    return (
        words[1] if len(words) > 1 else _UNKNOWN,
        words[3] if len(words) > 3 else _UNKNOWN,
    )


def _placeholder(what: str, architecture: Architecture) -> BytesContent:
    text = (
        f"nitrosim placeholder: not {what} for {architecture}. This image runs under nitrosim "
        "only; its PCR0 and PCR1 are not those of nitro-cli.\n"
    )
    return BytesContent(text.encode())


def _content(path: Path) -> FileContent:
    # A blob may be a symbolic link; what is read later must not be one.
    real = Path(os.path.realpath(path))
    try:
        return FileContent(os.fsencode(real), real.stat().st_size)
    except OSError as error:
        raise _unreadable(path, error.strerror) from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not UTF-8") from error


def _lines(path: Path) -> list[str]:
    return _text(path).split("\n")


def _unreadable(path: Path, why: str | None) -> Exception:
    return BuildCode.BLOBS_UNREADABLE(f"cannot use {path}: {why}")
