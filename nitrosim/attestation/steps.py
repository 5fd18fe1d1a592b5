"""The verification procedure as data: its 28 steps, and how each one is reported.

`Verifier` performs the steps in this order and tells an observer about each one
when it ends. A refusal is the last report: later steps are not looked at. The
steps, in groups:

A. Bytes (1-4), B. COSE (5-7), C. Payload (8-12): syntax, cheap, no keys involved.
D. Chain (13-22): from our own root down to the key that signed.
E. Signature (23): over the bytes exactly as received.
F. Time (24): of the document, after its timestamp is known to be authentic.
G. Policy (25-28): is it the enclave, and the conversation, that the caller means?

Nothing of the content may be believed before D and E have passed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from nitrosim.attestation.clock import utc_text
from nitrosim.attestation.errors import one_line

STEPS: Final[dict[int, str]] = {
    1: "size of the input",
    2: "one CBOR item, untagged or tag 18, nothing after it",
    3: "array of bstr, map, bstr, bstr; payload attached",
    4: "nesting, counts and lengths within limits",
    5: "protected header is exactly ES384",
    6: "unprotected header is empty",
    7: "signature is 96 bytes, r and s in range",
    8: "payload is one CBOR map",
    9: "no duplicate keys at any level",
    10: "every field has exactly its type",
    11: "mandatory fields present, document of the expected kind",
    12: "digest, timestamp, PCRs and lengths in range",
    13: "certificates are strict DER X.509 v3",
    14: "first certificate is a trusted root, byte for byte",
    15: "each certificate is issued and signed by the one before",
    16: "every signature ecdsa-with-SHA384, every key on P-384",
    17: "issuers are CAs within their path length, the leaf is not",
    18: "no critical extension that is not understood",
    19: "authority key ids match",
    20: "all certificates valid at the evaluation time",
    21: "not revoked by the given lists",
    22: "module_id, certificate names and PCR4 agree",
    23: "document signed by the leaf's key, over the bytes received",
    24: "document is of the right time",
    25: "PCRs satisfy the caller's policy",
    26: "not a debug-mode enclave",
    27: "nonce, user_data and public_key are the expected ones",
    28: "result built from the verified payload only",
}
"""Number and short name of each step."""


class Outcome(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not applicable, or waived by the caller; the detail says which."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step of one verification, as told to the observer.

    Attributes:
        number: 1..28.
        name: short description of the step, from `STEPS`.
        outcome: passed, failed or skipped.
        detail: one printable line of facts, at most 240 characters, or the text of the error
            for a failed step.

    """

    number: int
    name: str
    outcome: Outcome
    detail: str


Observer: TypeAlias = Callable[[StepReport], None]
"""Called in the verifying thread at the end of each step; an exception of its own propagates."""


class Trail:
    """Reports the steps of one verification to its observer, if there is one."""

    __slots__ = ("_observer",)

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer

    @property
    def heard(self) -> bool:
        """Whether anybody listens: for facts that take a while to gather."""
        return self._observer is not None

    def passed(self, number: int, detail: str = "", *facts: object) -> None:
        """Report that the step succeeded; `facts` go into the fields of `detail`.

        They are formatted only if somebody listens: a step takes less time than its report.
        Times are written by `utc_text`.
        """
        if self._observer is not None:
            texts = (utc_text(fact) if isinstance(fact, datetime) else fact for fact in facts)
            line = one_line(detail.format(*texts) if facts else detail)
            self._observer(StepReport(number, STEPS[number], Outcome.PASSED, line))

    def skipped(self, number: int, detail: str) -> None:
        """Report that the step did not apply or was waived, and why."""
        if self._observer is not None:
            self._observer(StepReport(number, STEPS[number], Outcome.SKIPPED, one_line(detail)))

    def failed(self, number: int, detail: str) -> None:
        """Report the refusal, by the text of its error; no further report follows."""
        if self._observer is not None:
            self._observer(StepReport(number, STEPS[number], Outcome.FAILED, detail))
