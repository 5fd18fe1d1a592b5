"""The errors of nitrosim: one tree, every leaf with a stable code.

::

    NitroSimError
    |-- HostNotSupportedError     this machine lacks something; .missing says what
    |-- InstanceError             the simulated instance or its hypervisor
    |-- EnclaveError              one enclave: cannot start, gone, no such name
    |   `-- EnclaveTimeoutError   what was waited for did not happen in time
    |-- EifError                  in nitrosim.eif.errors: an Enclave Image File
    |-- ImageError                in nitrosim.images.errors: a container image
    |-- BuildError                in nitrosim.builder.errors: an Enclave Image File is not built
    `-- AttestationError          in nitrosim.attestation.errors, which imports nothing of ours

A message says what failed, what was got and expected, and what to do. The code
is for programs: it never changes once released, and the command line prints it.

Every program loads this module first, so it loads nothing: `typing` or `dataclasses` alone take
about as long as Python takes to start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_LONGEST_LINE: Final = 240


def one_line(text: str) -> str:
    """Return text that a stranger may have chosen as one printable line of bounded length.

    At most 240 characters. What is such a line already stays as it is.
    """
    if not text.isprintable():
        text = text.encode("unicode_escape").decode("ascii")
    if len(text) > _LONGEST_LINE:
        end = f"... ({len(text)} characters)"
        text = text[: _LONGEST_LINE - len(end)] + end
    return text


class NitroSimError(Exception):
    """Base of all errors that nitrosim raises on purpose.

    `code` is stable, upper-case, and meant for programs.
    """

    code = "NITROSIM"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class InstanceError(NitroSimError):
    """The simulated instance cannot do what was asked: its name, its files, its hypervisor."""

    code = "INSTANCE"


class EnclaveError(NitroSimError):
    """An enclave cannot be started, is gone, or does not exist."""

    code = "ENCLAVE"


class EnclaveTimeoutError(EnclaveError, TimeoutError):
    """Something that was waited for has not happened in the time given."""

    code = "TIMEOUT"


class Requirement:
    """Something this machine lacks.

    `name` is stable ("userns", "seccomp-notify", "launcher", ...), `found` says what
    was seen, `fix` is the command or step that helps. Two with the same of each are equal.
    """

    __slots__ = ("fix", "found", "name")
    __match_args__ = ("name", "found", "fix")

    def __init__(self, name: str, found: str, fix: str) -> None:
        self.name: Final = name
        self.found: Final = found
        self.fix: Final = fix

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Requirement):
            return NotImplemented
        return (self.name, self.found, self.fix) == (other.name, other.found, other.fix)

    def __hash__(self) -> int:
        return hash((self.name, self.found, self.fix))

    def __repr__(self) -> str:
        return f"Requirement(name={self.name!r}, found={self.found!r}, fix={self.fix!r})"


class HostNotSupportedError(NitroSimError):
    """The machine lacks something that enclaves need; `missing` lists every item."""

    code = "HOST"

    def __init__(self, missing: Sequence[Requirement]) -> None:
        self.missing = tuple(missing)
        lines = [f"{item.name}: {item.found}. Fix: {item.fix}" for item in missing]
        super().__init__("\n".join(["this machine cannot run enclaves:", *lines]))
