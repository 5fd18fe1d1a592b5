"""The guard against real hardware: nothing fake runs where it could be taken for real."""

from __future__ import annotations

import os

from nitrosim.errors import HostNotSupportedError, Requirement

_DEVICES = ("/dev/nsm", "/dev/nitro_enclaves")


def real_hardware() -> Requirement | None:
    """Return what makes this machine a real enclave, or one that can run real enclaves."""
    for device in _DEVICES:
        if os.path.exists(device):
            return Requirement(
                "no-real-hardware",
                f"{device} exists: this is an enclave, or an instance that can run real ones",
                "use nitro-cli here, and nitrosim on another machine",
            )
    return None


def refuse_real_hardware() -> None:
    """Do not run beside real enclaves.

    Raises:
        HostNotSupportedError: this machine has a real NSM or can run real enclaves.

    """
    found = real_hardware()
    if found is not None:
        raise HostNotSupportedError([found])
