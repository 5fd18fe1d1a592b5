"""`Verifier.verify` behind the signatures, with caches warm and cold.

The input is four bytes of setting and a document. The document and, unless the setting says
otherwise, its certificates are signed anew (`fuzzing.seals`), as somebody could who holds all
keys of the PKI. Then:

* A verifier that remembers nothing accepts, or refuses with an `AttestationError`.
* What it accepts says what cbor2 reads, and its chain may be believed by the terms of the
  cryptography package: root, names, signatures, validity, roles, path lengths, key ids.
* A verifier that has just verified the good document which the input was made of answers the
  same: the same content, or the same code. So it does when asked again, when asked at another
  time, and about the good document afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fuzzing import bases, library, mutation, oracle, seals
from fuzzing.tree import read, write
from nitrosim.attestation import (
    AttestationError,
    DocumentType,
    Historic,
    Live,
    Pcrs,
    StepReport,
    UnsafeSkipPcrs,
    VerifiedDocument,
    Verifier,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

HEAD = 4
"""Bytes of setting: which good document, switches, minutes (signed, 16 bits) since its time."""

STRICT, LIVE, TPM, AS_IS, ANY_ROOT, NO_DEBUG, DEMANDING, LISTED = (1 << bit for bit in range(8))
"""The switches. AS_IS: certificates are not signed anew; ANY_ROOT: the document's own root is
trusted; DEMANDING: PCRs and fields must be those of the good document; LISTED: the revocation
lists that came with it are given."""

_LIVE = Live(max_age=timedelta(hours=1), skew=timedelta(seconds=30))
_REMEMBERED = 8
_TAG = 6


@dataclass(frozen=True)
class Setting:
    """How an input is judged."""

    base: bases.Base
    switches: int
    moment: datetime
    pin: bytes

    def verifier(self, *, remembers: int) -> Verifier:
        """Make a verifier with an empty cache."""
        return Verifier(
            [self.pin],
            now=lambda: self.moment,
            crls=self.base.lists if self.switches & LISTED else (),
            load_key=seals.load_seal_key,
            chain_cache=remembers,
        )

    def options(self, *, live: bool) -> dict[str, Any]:
        """Return the arguments of `verify` but for the document."""
        content, demanding = self.base.content, self.switches & DEMANDING
        return {
            "policy": Pcrs(_measured(content)) if demanding else UnsafeSkipPcrs(),
            **({name: getattr(content, name) or None for name in _FIELDS} if demanding else {}),
            "time": _LIVE if live else Historic(),
            "document_type": (
                DocumentType.NITROTPM if self.switches & TPM else DocumentType.ENCLAVE
            ),
            "allow_debug": not self.switches & NO_DEBUG,
            "strict": bool(self.switches & STRICT),
        }


_FIELDS = ("nonce", "user_data", "public_key")


def seeds() -> Sequence[bytes]:
    """Return all documents of the corpus, each in a setting that suits it."""
    position = {case["id"]: i for i, case in enumerate(bases.base_cases())}
    made = []
    for i, case in enumerate(library.cases()):
        switches = (
            STRICT * case["strict"]
            | LIVE * (case["mode"] == "live")
            | TPM * (case["document_type"] == "nitrotpm")
            | ANY_ROOT * (case["root"] != "corpus")
            | NO_DEBUG * (not case["allow_debug"])
            | AS_IS * (i % 5 == 3)
            | DEMANDING * (i % 5 == 4)
            | LISTED * bool(case["crls"])
        )
        base = position.get(case["after"] or case["id"], i % len(position))
        head = bytes((base, switches, 0, 1))
        made.append(head + seals.sealed(library.document(case)))
    return made


def mutate(data: bytes, random: Random, havoc: mutation.Havoc | None = None) -> bytes:
    """Change the setting, or the document behind it."""
    if len(data) < HEAD:
        return data + random.randbytes(HEAD)
    head, document = bytearray(data[:HEAD]), data[HEAD:]
    if random.random() < 0.15:
        head[random.randrange(HEAD)] ^= 1 << random.randrange(8)
    elif random.random() < 0.2:
        document = mutation.mutate(document, random, havoc)
    else:
        document = _with_payload(document, lambda data: mutation.mutate(data, random, havoc))
    return bytes(head) + document


def _with_payload(document: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change the payload of a document, as far as there is one."""
    tree = read(document)
    parts = tree.children[0].children if tree.first == _TAG and tree.children else tree.children
    if len(parts) < 3:
        return change(document)
    parts[2].replace(change(parts[2].body()))
    return write(tree)


def target(data: bytes) -> None:
    """Seal, verify with caches cold and warm, and compare."""
    if len(data) < HEAD:
        return
    setting, document = _prepared(data)
    live = bool(setting.switches & LIVE)
    cold = setting.verifier(remembers=0)
    answer = _verify(cold, document, setting, live=live)
    assert answer == _observed(cold, document, setting, live=live)
    if isinstance(answer, VerifiedDocument):
        _check(answer, document, setting)
    elif answer[1] < _FIRST_STEP_OF_CHAIN:
        return
    warm = setting.verifier(remembers=_REMEMBERED)
    _verify_base(warm, setting)
    assert answer == _verify(warm, document, setting, live=live)
    assert answer == _observed(warm, document, setting, live=live)
    assert _verify(cold, document, setting, live=not live) == _verify(
        warm, document, setting, live=not live
    )
    _verify_base(warm, setting)


_FIRST_STEP_OF_CHAIN = 13


def _prepared(data: bytes) -> tuple[Setting, bytes]:
    base = bases.bases()[data[0] % len(bases.bases())]
    switches = data[1]
    document = seals.sealed(data[HEAD:], certificates=not switches & AS_IS)
    pin = base.pin
    if switches & ANY_ROOT:
        pin = bases.root_pin(document) or pin
    minutes = int.from_bytes(data[2:HEAD], "big", signed=True)
    moment = base.content.timestamp + timedelta(minutes=minutes)
    return Setting(base, switches, moment, pin), document


def _verify(verifier: Verifier, document: bytes, setting: Setting, *, live: bool) -> bases.Answer:
    try:
        return verifier.verify(document, **setting.options(live=live))
    except AttestationError as error:
        oracle.check_refusal(error)
        return error.code, error.step


def _observed(verifier: Verifier, document: bytes, setting: Setting, *, live: bool) -> bases.Answer:
    """Verify, and assert that the reports on the way tell of the same."""
    reports: list[StepReport] = []
    try:
        answer: bases.Answer = verifier.verify(
            document, observer=reports.append, **setting.options(live=live)
        )
    except AttestationError as error:
        answer = error.code, error.step
    numbers = [report.number for report in reports]
    assert numbers == sorted(set(numbers))
    assert all(report.detail.isprintable() and len(report.detail) < 800 for report in reports)
    *before, last = reports
    assert not any(report.outcome == "failed" for report in before)
    assert last.number == (28 if isinstance(answer, VerifiedDocument) else answer[1])
    assert (last.outcome == "failed") == (not isinstance(answer, VerifiedDocument))
    return answer


def _verify_base(verifier: Verifier, setting: Setting) -> None:
    """Have a verifier see the good document, which it must accept if it trusts its root."""
    base = setting.base
    if setting.pin == base.pin:
        expected = base.listed if setting.switches & LISTED else base.content
        assert expected == bases.first_look(verifier, base.document, base.type)


def _check(content: VerifiedDocument, document: bytes, setting: Setting) -> None:
    """Assert that an accepted document may be believed."""
    live, strict = bool(setting.switches & LIVE), bool(setting.switches & STRICT)
    oracle.check_content(content, document)
    oracle.check_chain(
        content,
        pin=setting.pin,
        at=setting.moment if live else content.timestamp,
        leeway=_LIVE.skew if live else timedelta(0),
        strict=strict,
        is_signed=lambda point, r, s, message: (r, s) == seals.seal(point, message),
    )
    if setting.switches & LISTED:
        oracle.check_not_listed(content, setting.base.lists)
    assert content.live == live
    assert not live or -_LIVE.skew <= setting.moment - content.timestamp <= _LIVE.max_age
    assert not strict or not content.unknown_fields
    if setting.switches & NO_DEBUG and content.document_type is DocumentType.ENCLAVE:
        assert all(any(content.pcrs[index]) for index in (0, 1, 2))
    if setting.switches & DEMANDING:
        wanted = setting.base.content
        assert _measured(wanted).items() <= dict(content.pcrs).items()
        for name in _FIELDS:
            demanded = getattr(wanted, name)
            assert not demanded or demanded == getattr(content, name)


def _measured(content: VerifiedDocument) -> dict[int, bytes]:
    """Return the registers that a policy can demand: zeros are none."""
    return {index: value for index, value in content.pcrs.items() if any(value)}
