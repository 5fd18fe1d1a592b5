"""Platform configuration registers: what was measured, and the rules for changing it.

There are 32 registers of 48 bytes (SHA-384). Extending replaces a register by
``SHA384(old + data)``, with the data taken raw whatever its length. At boot the registers 0..15
are locked and 16..31 are zero and belong to the application; a lock holds for the life of the
enclave. An attestation document contains the locked registers only.

What the launch writes into the first sixteen (AWS user guide; the formulas for 3 and 4 are
confirmed on real documents, where every PCR4 is that of the instance named in ``module_id``):

====  ===========================================================================
PCR   value, with ``0^48`` for 48 zero bytes and ``+`` for raw concatenation
====  ===========================================================================
0     ``SHA384(0^48 + SHA384(kernel + command line + all ramdisks))``
1     the same over kernel, command line and first ramdisk
2     the same over the other ramdisks
3     ``SHA384(0^48 + ascii(role ARN))``, zero when the instance has no role
4     ``SHA384(0^48 + ascii(instance id))``
8     ``SHA384(0^48 + SHA384(certificate DER))``, zero when the image is unsigned
====  ===========================================================================

So 0, 1, 2 and 8 extend with a digest, 3 and 4 with the text itself. In debug mode 0, 1, 2 and 8
stay zero while 3 and 4 keep their values (observed in real documents of debug enclaves).
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_nsm.errors import ErrorName, InvalidValueError, RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

PCR_COUNT = 32
"""Number of registers, indices 0..31."""

PCR_LENGTH = 48
"""Length of a register in bytes: one SHA-384 digest."""

BOOT_LOCKED = 16
"""Registers below this index are locked when the enclave starts."""

ZERO_PCR = bytes(PCR_LENGTH)
"""The value of a register that was never extended."""


def extended(old: bytes, data: bytes) -> bytes:
    """Return the value of a register after extending `old` (48 bytes) with raw `data`."""
    return hashlib.sha384(old + data).digest()


def measure_text(text: str) -> bytes:
    """Return PCR3 for a role ARN or PCR4 for an instance id: a zero register extended with it.

    Raises `InvalidValueError` for a text that is not ASCII.
    """
    if not text.isascii():
        raise InvalidValueError(f"a role ARN or an instance id is ASCII text, got {text!r}")
    return extended(ZERO_PCR, text.encode("ascii"))


def measure_bytes(content: bytes) -> bytes:
    """Return PCR0, 1, 2 or 8 for image sections or a certificate: zero extended with a digest."""
    return extended(ZERO_PCR, hashlib.sha384(content).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The registers that the launch of an enclave sets; each 48 bytes, zero by default."""

    pcr0: bytes = ZERO_PCR
    pcr1: bytes = ZERO_PCR
    pcr2: bytes = ZERO_PCR
    pcr3: bytes = ZERO_PCR
    pcr4: bytes = ZERO_PCR
    pcr8: bytes = ZERO_PCR

    def __post_init__(self) -> None:
        for index, value in self.by_index().items():
            _check_length(index, value)

    def of_parent(self, *, instance_id: str, role_arn: str | None = None) -> Measurements:
        """Return a copy with PCR4 of this instance and PCR3 of its role (zero without one)."""
        pcr3 = ZERO_PCR if role_arn is None else measure_text(role_arn)
        return dataclasses.replace(self, pcr3=pcr3, pcr4=measure_text(instance_id))

    def in_debug_mode(self) -> Measurements:
        """Return a copy with PCR0, 1, 2 and 8 zero, as ``--debug-mode`` has it."""
        return dataclasses.replace(self, pcr0=ZERO_PCR, pcr1=ZERO_PCR, pcr2=ZERO_PCR, pcr8=ZERO_PCR)

    def by_index(self) -> dict[int, bytes]:
        """Return index and value of the six registers."""
        return {
            0: self.pcr0,
            1: self.pcr1,
            2: self.pcr2,
            3: self.pcr3,
            4: self.pcr4,
            8: self.pcr8,
        }


class PcrBank:
    """The 32 registers of one enclave and their locks.

    `values` gives registers that do not start as zero, by index. Methods that the guest can
    reach raise `RequestRefusedError` with the name that the module answers; the index is checked
    before the lock. `generation` grows with every change, so that an encoding can be kept.
    """

    def __init__(self, values: Mapping[int, bytes] | None = None) -> None:
        self._values = [ZERO_PCR] * PCR_COUNT
        self._locked = [index < BOOT_LOCKED for index in range(PCR_COUNT)]
        self.generation = 0
        for index, value in (values or {}).items():
            if not 0 <= index < PCR_COUNT:
                raise InvalidValueError(f"a PCR index is 0..{PCR_COUNT - 1}, got {index}")
            _check_length(index, value)
            self._values[index] = value

    @classmethod
    def measured(cls, measurements: Measurements) -> PcrBank:
        """Return the bank of a freshly started enclave."""
        return cls(measurements.by_index())

    def describe(self, index: int) -> tuple[bool, bytes]:
        """Return whether a register is locked, and its 48 bytes.

        Raises `RequestRefusedError` InvalidIndex from 32 on.
        """
        self._check_index(index)
        return self._locked[index], self._values[index]

    def extend(self, index: int, data: bytes) -> bytes:
        """Extend a register with raw data of any length and return its new value.

        Raises `RequestRefusedError` InvalidIndex, or ReadOnlyIndex for a locked register.
        """
        self._check_writable(index)
        self._values[index] = extended(self._values[index], data)
        self.generation += 1
        return self._values[index]

    def lock(self, index: int) -> None:
        """Lock one register for good; it need not have been extended.

        Raises `RequestRefusedError` InvalidIndex, or ReadOnlyIndex if it is locked already.
        """
        self._check_writable(index)
        self._locked[index] = True
        self.generation += 1

    def lock_range(self, count: int) -> None:
        """Lock the registers 0..count-1; locked ones among them are no error, nor is count 0.

        Raises `RequestRefusedError` InvalidIndex for more than 32.
        """
        if count > PCR_COUNT:
            raise RequestRefusedError(ErrorName.INVALID_INDEX)
        self._locked[:count] = [True] * count
        self.generation += 1

    def locked_indices(self) -> list[int]:
        """Return the indices of the locked registers, ascending."""
        return [index for index, locked in enumerate(self._locked) if locked]

    def locked_values(self) -> dict[int, bytes]:
        """Return the locked registers, ascending: those that a document shows."""
        return {index: self._values[index] for index in self.locked_indices()}

    def _check_index(self, index: int) -> None:
        if not 0 <= index < PCR_COUNT:
            raise RequestRefusedError(ErrorName.INVALID_INDEX)

    def _check_writable(self, index: int) -> None:
        self._check_index(index)
        if self._locked[index]:
            raise RequestRefusedError(ErrorName.READ_ONLY_INDEX)


def _check_length(index: int, value: bytes) -> None:
    if len(value) != PCR_LENGTH:
        raise InvalidValueError(f"PCR{index} has {PCR_LENGTH} bytes, got {len(value)}")
