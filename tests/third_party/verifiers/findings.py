"""Compares what foreign verifiers say with what the corpus says, and demands an explanation.

Every disagreement has exactly one explanation in ``explained.toml``: whose fault it is, and why.
What each verifier said last, as far as it is not what the corpus says, stands in ``verdicts.json``:
so the page about them can be made without any of them, and a change shows in the history.
"""

from __future__ import annotations

import fnmatch
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verifiers.asking import Answer
from verifiers.jobs import Case, real_case
from verifiers.oracles import ORACLES, Oracle

HERE = Path(__file__).resolve().parent
VERDICTS = HERE / "verdicts.json"
EXPLAINED = HERE / "explained.toml"

WHOSE = {"theirs": "theirs", "ours": "ours", "neither": "nobody's"}
"""Whose fault a disagreement can be.

theirs: an attacker or an honest user can be harmed. ours: the corpus, or our reading of the
format, is wrong or stricter than genuine documents allow. neither: both are sound, or it is the
caller's work.
"""


@dataclass(frozen=True)
class Findings:
    """What one verifier says of the corpus.

    Attributes:
        differs: case id -> verdict, where it is not what the corpus says.
        unsupported: ids of cases that it cannot be asked about.

    """

    differs: dict[str, str]
    unsupported: list[str]


def compare(oracle: Oracle, cases: Iterable[Case], answers: dict[str, Answer]) -> Findings:
    """Sort a verifier's answers.

    A crash is never an agreement, whatever is wrong, and neither is to accept a document for
    another content than it has: that is called "misread".
    """
    differs = {}
    unsupported = []
    for case in cases:
        answer = answers[case.id]
        verdict = answer.verdict
        if verdict in {"crash", "hang"}:
            differs[case.id] = verdict
        elif not oracle.covers(case):
            continue
        elif verdict == "unsupported":
            unsupported.append(case.id)
        elif verdict != case.result:
            differs[case.id] = verdict
        elif None not in (answer.content, case.content) and answer.content != case.content:
            differs[case.id] = "misread"
    return Findings(differs, unsupported)


@dataclass(frozen=True)
class Explanation:
    """Why some verifiers say otherwise of some cases.

    Attributes:
        oracles: names.
        cases: ids, or patterns of them.
        verdict: what they say.
        whose: a key of `WHOSE`.
        why: a sentence or two, for the page.

    """

    oracles: tuple[str, ...]
    cases: tuple[str, ...]
    verdict: str
    whose: str
    why: str

    def fits(self, oracle: str, case: str, verdict: str) -> bool:
        """Say whether this explains a verdict."""
        return (
            oracle in self.oracles
            and verdict == self.verdict
            and any(fnmatch.fnmatchcase(case, pattern) for pattern in self.cases)
        )


def explanations(path: Path = EXPLAINED) -> list[Explanation]:
    """Read the file of explanations."""
    entries = tomllib.loads(path.read_text("utf-8"))["explained"]
    return [
        Explanation(
            oracles=tuple(entry["oracles"]),
            cases=tuple(entry["cases"]),
            verdict=entry["verdict"],
            whose=entry["whose"],
            why=" ".join(entry["why"].split()),
        )
        for entry in entries
    ]


def unexplained(recorded: dict[str, Findings], known: list[Explanation]) -> list[str]:
    """Tell which disagreements have no explanation, or more than one."""
    found = []
    for oracle, findings in recorded.items():
        for case, verdict in findings.differs.items():
            fitting = sum(explanation.fits(oracle, case, verdict) for explanation in known)
            if fitting != 1:
                found.append(f"{oracle}: {verdict} {case}: {fitting} explanations")
    return found


def stale(recorded: dict[str, Findings], known: list[Explanation]) -> list[str]:
    """Tell which explanations explain nothing (any more).

    Each pattern has to fit a disagreement of some verifier that is named, and each verifier has to
    disagree about some case that is.
    """
    found = []
    for explanation in known:
        fitting = [
            (oracle, case)
            for oracle in explanation.oracles
            for case, verdict in recorded[oracle].differs.items()
            if explanation.fits(oracle, case, verdict)
        ]
        found += [
            f"{oracle}: {explanation.why}"
            for oracle in explanation.oracles
            if oracle not in {name for name, _case in fitting}
        ]
        found += [
            f"{pattern}: {explanation.why}"
            for pattern in explanation.cases
            if not fnmatch.filter([case for _name, case in fitting], pattern)
        ]
    return found


def read_record(path: Path = VERDICTS) -> dict[str, Any]:
    """Read what every verifier said last."""
    record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return record


def recorded(record: dict[str, Any]) -> dict[str, Findings]:
    """Return the findings of a record, by the verifier's name, real documents included.

    Unsupported cases are only those of the corpus. `record` keeps real verdicts in full.
    """
    found = {}
    for name, entry in record["oracles"].items():
        verdicts = {case: Answer(verdict) for case, verdict in entry["real"].items()}
        genuine = [real_case(Path(case).with_suffix(".cbor"), Path()) for case in verdicts]
        real = compare(ORACLES[name], genuine, verdicts)
        found[name] = Findings(entry["differs"] | real.differs, entry["unsupported"])
    return found
