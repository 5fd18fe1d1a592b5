"""The values: what a document claims, and what has been verified."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NoReturn, Self, SupportsIndex

if TYPE_CHECKING:
    from collections.abc import Mapping

PCR_BYTES: Final = 48
"""Size of every PCR: SHA-384."""

ZERO_PCR: Final = bytes(PCR_BYTES)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DocumentType(StrEnum):
    """Who issued the document. Both kinds chain to the same root."""

    ENCLAVE = "enclave"
    """A Nitro Enclave; field `pcrs`; PCR 0-2 are launch measurements nobody inside can change."""

    NITROTPM = "nitrotpm"
    """The NitroTPM of an EC2 instance; field `nitrotpm_pcrs`; TPM meaning of the registers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a document says about itself. Believe it only as a `VerifiedDocument`.

    Attributes:
        document_type: enclave or NitroTPM, by which PCR field is present.
        module_id: ``i-<hex>-enc<16 hex>``, or ``i-<hex>-tpm<16 hex>``.
        timestamp_ms: time of issue, milliseconds since 1970 UTC, by the module's clock.
        pcrs: index -> 48 bytes, read-only. Only registers that are in the document.
        certificate: DER of the leaf, whose key signed the document.
        cabundle: DER of the issuers, root first.
        public_key: bytes put in by the requester, None when null or missing. The module
            does not look at them: they need not be a key.
        user_data: as `public_key`.
        nonce: as `public_key`.
        unknown_fields: names of further fields, whose values are dropped.

    """

    document_type: DocumentType
    module_id: str
    timestamp_ms: int
    pcrs: Mapping[int, bytes]
    certificate: bytes
    cabundle: tuple[bytes, ...]
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None
    unknown_fields: tuple[str, ...] = ()

    def __hash__(self) -> int:
        # The registers are a mapping, which has none.
        return hash((self.module_id, self.timestamp_ms, self.nonce))

    @property
    def timestamp(self) -> datetime:
        """Time of issue, UTC, to the millisecond."""
        return _EPOCH + timedelta(milliseconds=self.timestamp_ms)

    @property
    def instance_id(self) -> str:
        """EC2 instance id: the part of `module_id` before its second hyphen."""
        return "-".join(self.module_id.split("-", 2)[:2])

    @property
    def debug(self) -> bool:
        """Whether this is an enclave with an all-zero PCR0, PCR1 or PCR2.

        Debug mode zeroes PCR 0, 1, 2 and 8; PCR 3 and 4 keep their values
        (observed in ten real debug documents).
        """
        return self.document_type is DocumentType.ENCLAVE and any(
            self.pcrs.get(index) == ZERO_PCR for index in (0, 1, 2)
        )


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class VerifiedDocument(Claims):
    """Claims that `Verifier.verify` has verified: there is no other way to get one.

    Calling the type, `dataclasses.replace` and unpickling are refused, because what they would
    make has not been verified. Copies are the object itself.

    Attributes:
        root_sha256: SHA-256 of the DER of the root that the chain leads to.
        evaluated_at: the time, UTC, at which all certificates were valid. With
            `Historic` it is the document's own timestamp and says nothing about freshness.
        live: whether the document was fresh by the verifier's clock (`Live`).

    """

    root_sha256: bytes
    evaluated_at: datetime
    live: bool

    def __init__(self, *_arguments: object, **_fields: object) -> None:
        raise TypeError("only Verifier.verify makes a VerifiedDocument, out of verified bytes")

    def __hash__(self) -> int:
        return Claims.__hash__(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            "a VerifiedDocument cannot be pickled: nobody knows what was done to it meanwhile;"
            " keep the document's bytes and verify them again"
        )


def _verified(
    claims: Claims, *, root_sha256: bytes, evaluated_at: datetime, live: bool
) -> VerifiedDocument:
    """Turn claims into facts. For `Verifier.verify` alone, after everything else."""
    document = VerifiedDocument.__new__(VerifiedDocument)
    # The type refuses to be written to, its slots do not.
    for slot in _CLAIMED_SLOTS:
        slot.__set__(document, slot.__get__(claims))
    write = object.__setattr__
    write(document, "root_sha256", root_sha256)
    write(document, "evaluated_at", evaluated_at)
    write(document, "live", live)
    return document


_CLAIMED_SLOTS: Final = tuple(Claims.__dict__[field.name] for field in fields(Claims))
