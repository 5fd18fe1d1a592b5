"""Who an enclave is: the instance it runs on, and the module id derived from its launch.

``module_id`` is ``i-<17 hex>-enc<16 hex>``. The last 16 digits are the launch time as 48 bits of
milliseconds since 1970, then 16 random bits (observed in real documents). ``nitro-cli`` prints the
same number without its leading zero, so its EnclaveID is not string-equal to the module id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fake_nsm.errors import InvalidValueError

if TYPE_CHECKING:
    from fake_nsm.sources import Clock, Entropy

# Old instances have ids of 8 digits.
_INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{17}|[0-9a-f]{8})")
# A common name has 64 characters at most (X.520), which leaves 15 for the region in that of a leaf.
_REGION = re.compile(r"(?=.{1,15}\Z)[a-z]+(?:-[a-z]+)+-[0-9]+")


def random_instance_id(entropy: Entropy) -> str:
    """Return an instance id of today's form, ``i-`` and 17 hexadecimal digits."""
    return f"i-{entropy(9).hex()[:17]}"


def check_instance_id(instance_id: str) -> None:
    """Raise `InvalidValueError` unless the text is ``i-`` and 17 (or 8) hexadecimal digits."""
    if not _INSTANCE_ID.fullmatch(instance_id):
        raise InvalidValueError(
            f"an instance id is 'i-' and 17 lower-case hexadecimal digits, got {instance_id!r}"
        )


def check_region(region: str) -> None:
    """Raise `InvalidValueError` unless the text looks like ``us-east-1``, 15 characters at most."""
    if not _REGION.fullmatch(region):
        raise InvalidValueError(
            f"a region looks like 'us-east-1' and has 15 characters at most, got {region!r}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveIdentity:
    """What makes one launch of an enclave unique.

    `launched_ms` counts milliseconds since 1970 (48 bits), `suffix` has 16 random bits.
    """

    instance_id: str
    region: str
    launched_ms: int
    suffix: int

    def __post_init__(self) -> None:
        check_instance_id(self.instance_id)
        check_region(self.region)
        if not 0 <= self.launched_ms < 1 << 48:
            raise InvalidValueError(f"a launch time has 48 bits, got {self.launched_ms}")
        if not 0 <= self.suffix < 1 << 16:
            raise InvalidValueError(f"a suffix has 16 bits, got {self.suffix}")

    @classmethod
    def launch(
        cls, *, instance_id: str, region: str, clock: Clock, entropy: Entropy
    ) -> EnclaveIdentity:
        """Return the identity of an enclave that starts now."""
        return cls(
            instance_id=instance_id,
            region=region,
            launched_ms=clock(),
            suffix=int.from_bytes(entropy(2), "big"),
        )

    @property
    def enclave_number(self) -> int:
        """The 64 bits behind ``-enc``."""
        return self.launched_ms << 16 | self.suffix

    @property
    def module_id(self) -> str:
        """``i-<17 hex>-enc<16 hex>``, as in documents and DescribeNSM."""
        return f"{self.instance_id}-enc{self.enclave_number:016x}"

    @property
    def cli_enclave_id(self) -> str:
        """The EnclaveID as ``nitro-cli`` prints it: without leading zeros in the number."""
        return f"{self.instance_id}-enc{self.enclave_number:x}"
