"""What foreign verifiers are asked about: the cases of the corpus, and real documents.

Verifiers of whole documents are given the document, the root and a time. Those that know only
chains, or need a key, are given the certificates, which are read here by `cbor2`: leniently, since
a document that only a chain is wrong in is not our business.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import cbor2

CORPUS = Path(__file__).resolve().parents[3] / "fixtures" / "attestation"

AWS = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
"""SHA-256 of the root certificate of the commercial partition, as AWS publishes it."""

_LATEST_MS = 253_402_300_799_999
"""The end of the year 9999."""


@dataclass(frozen=True)
class Case:
    """One document with what has to be said of it.

    Attributes:
        id: of the corpus, or ``real/`` and the name of a real document.
        document: its path.
        root: path of the DER of the root to trust.
        clock_ms: the verifier's time, in milliseconds since 1970; None for the document's own.
        kind: what the verifier is asked for, "enclave" or "nitrotpm".
        result: "accept" or "refuse".
        step: of our procedure that refuses (1 to 28); None for accepted documents.
        code: our reason; None for accepted documents.
        weight: "must" or "should".
        about: what is wrong with the document, or what it shows.
        content: what is in an accepted document, as in the index.

    """

    id: str
    document: Path
    root: Path
    clock_ms: int | None
    kind: str
    result: str
    step: int | None
    code: str | None
    weight: str
    about: str
    content: dict[str, Any] | None = None

    @property
    def group(self) -> str:
        """Return the first part of the id."""
        return self.id.partition("/")[0]

    @property
    def is_real(self) -> bool:
        """Say whether AWS made it."""
        return self.group == "real"

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """Return the certificates of the document, root first; none if they cannot be found."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[int | None, tuple[bytes, ...]]:
        return _timestamp_and_certificates(self.document.read_bytes())

    def line(self) -> str:
        """Return the job as the programs in the folders beside this file read it."""
        stated, _certificates = self._read
        time = self.clock_ms if self.clock_ms is not None else stated
        found = ",".join(certificate.hex() for certificate in self.certificates) or "-"
        return "\t".join((self.id, str(time or 0), str(self.root), str(self.document), found))


def corpus(folder: Path = CORPUS) -> list[Case]:
    """Read the index of the corpus."""
    index = json.loads((folder / "index.json").read_text("utf-8"))
    return [
        Case(
            id=entry["id"],
            document=folder / entry["document"],
            root=folder / index["roots"][entry["root"]]["der"],
            clock_ms=_clock(folder, entry),
            kind=entry["document_type"],
            result=entry["result"],
            step=entry["step"],
            code=entry["code"],
            weight=entry["weight"],
            about=entry["about"],
            content=entry["content"],
        )
        for entry in index["cases"]
    ]


def real(folder: Path, scratch: Path) -> list[Case]:
    """Return the real documents of a folder; their root is put into `scratch`, as DER."""
    found = [real_case(path, scratch / "aws-root-g1.der") for path in sorted(folder.glob("*.cbor"))]
    for case in found:
        for certificate in case.certificates:
            if hashlib.sha256(certificate).hexdigest() == AWS:
                case.root.write_bytes(certificate)
    return found


def real_case(document: Path, root: Path) -> Case:
    """Return a real document as a case; what it is stands in its name."""
    damaged = "INVALID" in document.stem
    return Case(
        id=f"real/{document.stem}",
        document=document,
        root=root,
        clock_ms=None,
        kind="nitrotpm" if "nitrotpm" in document.stem else "enclave",
        result="refuse" if damaged else "accept",
        step=23 if damaged else None,
        code="BAD_SIGNATURE" if damaged else None,
        weight="must",
        about="A document that AWS signed." if not damaged else "Its signature is damaged.",
    )


def _clock(folder: Path, entry: dict[str, Any]) -> int:
    """Return the time the verifier is to judge at, which for archived documents is their own."""
    clock = round(datetime.fromisoformat(entry["time"]).timestamp() * 1000)
    if entry["mode"] == "live":
        return clock
    stated, _certificates = _timestamp_and_certificates((folder / entry["document"]).read_bytes())
    return stated if stated is not None and 0 < stated <= _LATEST_MS else clock


def _timestamp_and_certificates(document: bytes) -> tuple[int | None, tuple[bytes, ...]]:
    envelope = _decoded(document)
    while isinstance(envelope, cbor2.CBORTag):
        envelope = envelope.value
    if not isinstance(envelope, list | tuple) or len(envelope) < 3:
        return None, ()
    payload = _decoded(envelope[2])
    if not isinstance(payload, dict):
        return None, ()
    stated, bundle, leaf = (payload.get(k) for k in ("timestamp", "cabundle", "certificate"))
    found = (*bundle, leaf) if isinstance(bundle, list | tuple) else (leaf,)
    whole = all(isinstance(certificate, bytes) for certificate in found)
    return stated if type(stated) is int else None, found if whole else ()


def _decoded(data: object) -> object:
    if not isinstance(data, bytes):
        return None
    try:
        return cbor2.loads(data)
    except (cbor2.CBORError, ValueError, OverflowError, RecursionError):
        return None
