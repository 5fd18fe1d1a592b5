"""Run and test AWS Nitro Enclave programs, unmodified, on any Linux machine.

::

    from nitrosim import Instance

    with Instance() as instance:
        enclave = instance.run_enclave(["python3", "/app/server.py"], app_dir="app")
        with enclave.connect(5000) as sock:
            ...

Importing this package loads nothing: `nitrosim.attestation`, which people ship, lives
below it and must not bring the simulator along. Not even `typing`: it takes nearly as long to load
as Python takes to start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nitrosim.console import Console
    from nitrosim.enclave import Enclave
    from nitrosim.errors import (
        EnclaveError,
        EnclaveTimeoutError,
        HostNotSupportedError,
        InstanceError,
        NitroSimError,
    )
    from nitrosim.instance import Instance
    from nitrosim.vsock.listener import Listener

__version__ = "0.1.0"

__all__ = [
    "Console",
    "Enclave",
    "EnclaveError",
    "EnclaveTimeoutError",
    "HostNotSupportedError",
    "Instance",
    "InstanceError",
    "Listener",
    "NitroSimError",
    "__version__",
]

_HOMES = {
    "Console": "nitrosim.console",
    "Enclave": "nitrosim.enclave",
    "Instance": "nitrosim.instance",
    "Listener": "nitrosim.vsock.listener",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only who asks pays

    return getattr(import_module(_HOMES.get(name, "nitrosim.errors")), name)
