"""What a case is: a function that makes one document, and what a verifier must say to it.

The function's name is the case's, its docstring says what is wrong (or what it
shows), its decorator the answer. It takes a `Forge` of its own and returns the document, or
`judged(document, ...)` when the verifier is to be asked in another way than usual: with another
clock, other expectations, a revocation list. The module it stands in is its group.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from forgery.forge import NOW, Forge
from forgery.notes import NOTES

Weight: TypeAlias = Literal["must", "should"]
"""must: another answer is unsafe (refuse) or useless in the field (accept).
should: stricter than safety needs; careful verifiers may differ."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How the verifier is asked.

    Attributes:
        time: its clock.
        live: whether the document must be fresh; otherwise it is judged at its own time.
        max_age_s: greatest age, seconds, live only.
        skew_s: how far the module's clock may be ahead, seconds, live only.
        document_type: enclave or nitrotpm.
        allow_debug: whether debug mode is accepted.
        strict: whether unknown and overlong fields and inconsistent names are refused.
        expect: what is demanded of pcrs (index -> value), nonce, user_data, public_key; None
            for what is usual: the true PCR0, 1 and 2, and the nonce.
        crls: DER of revocation lists.
        after: id of a case that the same verifier has judged before.

    """

    time: datetime = NOW
    live: bool = True
    max_age_s: int = 300
    skew_s: int = 30
    document_type: Literal["enclave", "nitrotpm"] = "enclave"
    allow_debug: bool = False
    strict: bool = True
    expect: dict[str, Any] | None = None
    crls: tuple[bytes, ...] = ()
    after: str | None = None


USUAL = Setting()

Made: TypeAlias = bytes | tuple[bytes, Setting]
Build: TypeAlias = Callable[[Forge], Made]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case, not yet made.

    Attributes:
        id: group and name, as in ``payload/pcrs-twice``.
        about: what is wrong, or what it shows.
        build: makes the document.
        code: code of the refusal; None when the document must be accepted.
        weight: how much it matters.
        notes: what goes wrong in the field when it is judged wrongly (slugs of `NOTES`).
        alike: id of the case whose keys and ids this one shares, normally its own.

    """

    id: str
    about: str
    build: Build
    code: str | None
    weight: Weight
    notes: tuple[str, ...]
    alike: str


@dataclass(frozen=True)
class MadeCase:
    """A case with its document, how to judge it, and the root that is trusted."""

    case: Case
    document: bytes
    setting: Setting
    root: bytes
    expect: dict[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {}
"""All cases by id, in the order of definition. Filled when `forgery.cases` is imported."""


def refuse(
    code: str, *notes: str, weight: Weight = "must", alike: str | None = None
) -> Callable[[Build], Build]:
    """Register a document that must be refused, with this code."""
    return _register(code, notes, weight, alike)


def accept(
    *notes: str, weight: Weight = "must", alike: str | None = None
) -> Callable[[Build], Build]:
    """Register a document that must be accepted."""
    return _register(None, notes, weight, alike)


def judged(document: bytes, **changes: Any) -> Made:
    """Return a document together with how to judge it; see `Setting`."""
    return document, Setting(**changes)


def make(case: Case) -> MadeCase:
    """Make the case's document, with a forge of its own."""
    forge = Forge(case.alike, indefinite=True)
    usual = {
        "pcrs": {index: forge.pcrs()[index] for index in (0, 1, 2)},
        "nonce": forge.nonce,
    }
    made = case.build(forge)
    document, setting = made if isinstance(made, tuple) else (made, USUAL)
    expect = usual if setting.expect is None else setting.expect
    return MadeCase(case, document, setting, forge.root, expect)


def _register(
    code: str | None, notes: tuple[str, ...], weight: Weight, alike: str | None
) -> Callable[[Build], Build]:
    unknown = set(notes) - set(NOTES)
    if unknown:
        raise ValueError(f"no such notes: {unknown}")

    def register(build: Build) -> Build:
        # A group that takes several modules says its name in them.
        group = getattr(build, "__globals__", {}).get("GROUP", build.__module__.rpartition(".")[2])
        case_id = f"{group}/{build.__name__.replace('_', '-')}"
        if case_id in CASES:
            raise ValueError(f"two cases called {case_id}")
        if not build.__doc__:
            raise ValueError(f"{case_id} does not say what is wrong")
        CASES[case_id] = Case(
            id=case_id,
            about=re.sub(r"\s+", " ", build.__doc__).strip(),
            build=build,
            code=code,
            weight=weight,
            notes=notes,
            alike=alike or case_id,
        )
        return build

    return register
