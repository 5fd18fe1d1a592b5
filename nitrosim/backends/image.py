"""What every source of an enclave yields: a root file system, a command, measurements.

The measurements follow the formula of Enclave Image Files (AWS documentation of
aws-nitro-enclaves-image-format; verified against published values):
``PCR = SHA384(48 zero bytes + SHA384(content))``, where the content of PCR0 is
kernel, command line and all ramdisks, of PCR1 the same with the first ramdisk
only, of PCR2 the other ramdisks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nitrosim.sandbox.operation import Operation

_ZERO = bytes(48)


class EnclaveImage(NamedTuple):
    """An enclave that could be started.

    `operations` assemble the root file system, `command` and `environment` are what
    is executed there, `pcrs` are PCR0, 1, 2 (and 8 if signed), 48 bytes each. `name`
    is what an enclave is called that was given no name. `metadata` is what describe-enclaves
    adds about the image: the text of a JSON object, "" for none. `own_init` is the kernel's
    command line if the command is the init that an image brings, and None if nitrosim plays init.
    """

    name: str
    operations: tuple[Operation, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    pcrs: Mapping[int, bytes]
    metadata: str = ""
    own_init: str | None = None


def measure(
    *, kernel: bytes, cmdline: bytes, bootstrap: bytes, application: bytes
) -> dict[int, bytes]:
    """Return PCR0, PCR1 and PCR2 of an image with these sections."""
    import hashlib  # noqa: PLC0415 - not for images that are measured already

    def pcr(content: bytes) -> bytes:
        return hashlib.sha384(_ZERO + hashlib.sha384(content).digest()).digest()

    base = kernel + cmdline + bootstrap
    return {0: pcr(base + application), 1: pcr(base), 2: pcr(application)}
