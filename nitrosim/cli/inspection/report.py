"""One document, looked at: everything that `nitrosim inspect` shows, before it is shown.

A `Report` is built once and rendered as text, JSON or a page. What comes out of the document
is in it as it stands; each renderer escapes it for where it goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from nitrosim.attestation import DocumentType
from nitrosim.attestation.roots import AWS_ROOTS
from nitrosim.cli.documents import PARTITIONS

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from nitrosim.attestation import AttestationError, StepReport
    from nitrosim.cli.inspection.content import Content

PCR_BYTES: Final = 48
LAUNCH_REGISTERS: Final = (0, 1, 2)


class Standing(StrEnum):
    """Who vouches for a document."""

    GENUINE = "genuine"
    """The root of an AWS partition."""
    SIMULATED = "simulated"
    """The root of the simulated instance."""
    OTHER_ROOT = "other-root"
    """Another root that the caller has given."""
    REFUSED = "refused"
    """None of the roots that were tried."""
    DAMAGED = "damaged"
    """None, because it is not a document."""


@dataclass(frozen=True, slots=True)
class Register:
    """A PCR: its index, name (may be empty), value, and what its being all zero means."""

    index: int
    name: str
    value: bytes
    zero_means: str | None

    @property
    def zero(self) -> bool:
        """Whether all 48 bytes are zero."""
        return len(self.value) == PCR_BYTES and not any(self.value)


@dataclass(frozen=True, slots=True)
class Field:
    """An optional field: `looks_like` names a key or point in it, `text` is it as text."""

    name: str
    value: bytes | None
    looks_like: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """One certificate of the chain; without its times and names, and with a `problem`, if unread.

    `size` is in bytes, `sha256` is that of the DER.
    """

    place: str
    size: int
    sha256: bytes
    problem: str | None = None
    common_name: str = ""
    serial: int | None = None
    begins: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier says with one root: at the document's own time, and now.

    Attributes:
        root: the name of the root as it was given.
        steps: of the verification at the document's own time.
        refusal: why that refused the document, or None.
        root_sha256: the root that vouches for the document, or None. A document with a
            `refusal` has one if only the rules of strict mode are against it.
        live_refusal: why a live verifier with default settings refuses; None if it would accept.

    """

    root: str
    steps: tuple[StepReport, ...]
    refusal: AttestationError | None
    root_sha256: bytes | None
    live_refusal: AttestationError | None

    @property
    def ok(self) -> bool:
        """Whether the verifier takes the document at its own time."""
        return self.refusal is None

    @property
    def genuine(self) -> bool:
        """Whether the holder of this root has issued the document, odd or not."""
        return self.root_sha256 is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything there is to show. See `Content` for what the document itself says.

    Attributes:
        name: the file as the caller named it.
        now: the time of looking.
        size: bytes of the file.
        sha256: of the file.
        problem: why it is not a document, or None.
        hint: what to do about that, if it is clear.
        content: what the document says.
        issued: its timestamp as a time, if there is one.
        launched: when the enclave was started, by its module id.
        region: out of the leaf's name.
        registers: ascending.
        fields: public_key, user_data, nonce.
        chain: root first.
        verdicts: one for each root.

    """

    name: str
    now: datetime
    size: int
    sha256: bytes
    problem: AttestationError | None
    hint: str | None
    content: Content
    issued: datetime | None
    launched: datetime | None
    region: str | None
    registers: tuple[Register, ...]
    fields: tuple[Field, ...]
    chain: tuple[Link, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def age(self) -> timedelta | None:
        """How old the document is; negative for one from the future."""
        return None if self.issued is None else self.now - self.issued

    @property
    def instance_id(self) -> str | None:
        """The EC2 instance, out of the module id."""
        module_id = self.content.module_id
        return None if module_id is None else "-".join(module_id.split("-", 2)[:2])

    @property
    def debug(self) -> bool:
        """Whether a launch measurement of an enclave is all zero."""
        return bool(self.zero_launch_registers)

    @property
    def zero_launch_registers(self) -> tuple[int, ...]:
        """Those of PCR0, 1 and 2 that are all zero, which means debug mode."""
        if self.content.document_type != DocumentType.ENCLAVE:
            return ()
        return tuple(r.index for r in self.registers if r.index in LAUNCH_REGISTERS and r.zero)

    @property
    def voucher(self) -> Verdict | None:
        """The verdict that says the most: a genuine one, else the one that came furthest."""
        genuine = [verdict for verdict in self.verdicts if verdict.genuine]
        if genuine:
            return min(genuine, key=lambda verdict: verdict.root not in PARTITIONS)
        return max(self.verdicts, key=lambda verdict: verdict.steps[-1].number, default=None)

    @property
    def standing(self) -> Standing:
        """Who vouches for the document."""
        if self.problem is not None:
            return Standing.DAMAGED
        voucher = self.voucher
        if voucher is None or not voucher.genuine:
            return Standing.REFUSED
        if voucher.root_sha256 in AWS_ROOTS.values():
            return Standing.GENUINE
        return Standing.SIMULATED if voucher.root == "instance" else Standing.OTHER_ROOT
