"""Put a root file system, blobs and labels together into an Enclave Image File.

The sections are those of nitro-cli: kernel, command line, metadata, the ramdisk that boots, the
ramdisk of the application, and a signature if there is a signer. All contents are streams: memory
holds an entry of metadata for each file of the image, whatever their sizes.

The same input gives the same PCRs, whenever and wherever it is built. The bytes are the same too if
the time in `Labels` is: nothing else depends on the day. Signatures are deterministic where the
cryptography library can do that. The output is replaced when the new file is complete, and
otherwise nothing of it is left.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import Final

from nitrosim.builder.blobs import Blobs
from nitrosim.builder.errors import BuildCode, BuildError
from nitrosim.eif.header import Architecture
from nitrosim.eif.measure import Measurements
from nitrosim.eif.metadata import BuildInfo, Metadata
from nitrosim.eif.ramdisk import bootstrap_ramdisk, customer_ramdisk
from nitrosim.eif.serde import Json
from nitrosim.eif.signing import Signer
from nitrosim.eif.writer import write_eif
from nitrosim.images.config import ImageConfig
from nitrosim.images.root import RootFilesystem

_BY_GO_NAME: Final[dict[str, Architecture]] = {"amd64": "x86_64", "arm64": "aarch64"}
_BY_MACHINE: Final[dict[str, Architecture]] = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What the metadata of an image says about it; none of this is measured.

    Attributes:
        name: of the image.
        version: of the image.
        tool: name of the program that builds it.
        tool_version: its version.
        time: of the build, RFC 3339; see `nitrosim.builder.inputs.build_time`.
        docker_info: what ``docker image inspect`` says; None for what is no container image.
        custom: what the user wants to be there, or None.

    """

    name: str
    version: str
    tool: str
    tool_version: str
    time: str
    docker_info: Json = None
    custom: Json = None


def build_eif(
    output: str | os.PathLike[str],
    *,
    root: RootFilesystem,
    blobs: Blobs,
    labels: Labels,
    signer: Signer | None = None,
) -> Measurements:
    """Write an image that boots `blobs` and then executes the command of `root`.

    Raises:
        BuildError: `BUILD_ARCHITECTURE` if the root file system is for another architecture than
            the blobs, `BLOBS_UNREADABLE`, `BUILD_OUTPUT`.
        ImageError: `IMAGE_COMMAND`, or a content cannot be read.
        EifError: a part has no place in the format, or the signer refuses.

    """
    architecture_of(root.config, wanted=blobs.architecture)
    bootstrap = bootstrap_ramdisk(blobs.init, blobs.nsm_module)
    customer = customer_ramdisk(root.exported(), root.config.command(), root.config.env)
    try:
        return write_eif(
            output,
            kernel=blobs.kernel.chunks(),
            cmdline=blobs.cmdline,
            ramdisks=[bootstrap.chunks(), customer.chunks()],
            metadata=_metadata(labels, blobs),
            architecture=blobs.architecture,
            signer=signer,
        )
    except OSError as error:
        raise output_error(output, error) from error


def architecture_of(config: ImageConfig, *, wanted: Architecture | None = None) -> Architecture:
    """Return what an image is for; the architecture of this machine if the image does not say.

    Raises:
        BuildError: `BUILD_ARCHITECTURE` if that is not `wanted`, or has no enclaves.

    """
    if config.architecture is None:
        return this_machine() if wanted is None else wanted
    found = _BY_GO_NAME.get(config.architecture)
    if found is None:
        raise BuildCode.BUILD_ARCHITECTURE(
            f"the image is for {config.architecture}, expected amd64 or arm64: there are no "
            "enclaves of other architectures"
        )
    if wanted not in (None, found):
        raise BuildCode.BUILD_ARCHITECTURE(
            f"the image is for {found}, expected {wanted}: take an image for {wanted}, or ask for "
            f"{found}"
        )
    return found


def this_machine() -> Architecture:
    """Return the architecture of this machine.

    Raises:
        BuildError: `BUILD_ARCHITECTURE` if it has no enclaves.

    """
    machine = platform.machine()
    found = _BY_MACHINE.get(machine.lower())
    if found is None:
        raise BuildCode.BUILD_ARCHITECTURE(
            f"this machine is {machine}, expected x86_64 or aarch64: say which one to build for"
        )
    return found


def output_error(output: str | os.PathLike[str], error: OSError) -> BuildError:
    """Return the error for an output that the system does not let us write."""
    return BuildCode.BUILD_OUTPUT(
        f"cannot write {os.fspath(output)}: {error.strerror or type(error).__name__}"
    )


def _metadata(labels: Labels, blobs: Blobs) -> Metadata:
    return Metadata(
        image_name=labels.name,
        image_version=labels.version,
        build=BuildInfo(
            time=labels.time,
            tool=labels.tool,
            tool_version=labels.tool_version,
            operating_system=blobs.operating_system,
            kernel_version=blobs.kernel_version,
        ),
        docker_info=labels.docker_info,
        custom=labels.custom,
    )
