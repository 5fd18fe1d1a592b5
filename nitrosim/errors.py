"""The errors of nitrosim: one tree, every leaf with a stable code.

::

    NitroSimError
    |-- HostNotSupportedError     this machine lacks something; .missing says what
    |-- InstanceError             the simulated instance or its hypervisor
    |-- EnclaveError              one enclave: cannot start, gone, no such name
    `-- AttestationError          in nitrosim.attestation.errors, which imports nothing of ours

A message says what failed, what was got and expected, and what to do. The code
is for programs: it never changes once released, and the command line prints it.
"""

from __future__ import annotations


class NitroSimError(Exception):
    """Base of all errors that nitrosim raises on purpose.

    `code` is stable, upper-case, and meant for programs.
    """

    code = "NITROSIM"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
