# noqa: INP001 - a script, not a package
"""Write what foreign verifiers say of the corpus into verifiers.md.

It asks none of them: ``tests/third_party/verifiers/record.py`` does, and writes down the verdicts
that this page is made of.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from generated import REPOSITORY, main

sys.path.insert(0, str(REPOSITORY / "tests" / "third_party"))

from verifiers import findings
from verifiers.jobs import Case, corpus
from verifiers.oracles import ORACLES, PARTS, Oracle

_SAYS = {
    "accept": "accept",
    "refuse": "refuse",
    "misread": "misread",
    "crash": "crash on",
    "hang": "hang on",
}
_SECTIONS = {
    "theirs": "## What they get wrong",
    "ours": "## What we get wrong",
    "neither": "## Where nobody is wrong",
}


def _who(versions: dict[str, str]) -> str:
    rows = [
        f"| [{oracle.name}]({oracle.address}) | {versions[oracle.name]} | {oracle.kind} "
        f"| {', '.join(_parts(oracle))} | {oracle.how} |"
        for oracle in ORACLES.values()
    ]
    head = [
        "| verifier | version | what it is | its part | how it is asked |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def _parts(oracle: Oracle) -> list[str]:
    return [part for part in PARTS if part in oracle.parts]


def _agreement(cases: list[Case], recorded: dict[str, findings.Findings]) -> str:
    groups = list(dict.fromkeys(case.group for case in cases))
    head = [
        f"| cases | {' | '.join(ORACLES)} |",
        f"|---{'|--:' * len(ORACLES)}|",
    ]
    rows = []
    for group in [*groups, None]:
        members = [case for case in cases if group in {None, case.group}]
        cells = [_cell(oracle, members, recorded[name]) for name, oracle in ORACLES.items()]
        label = f"{group}/ ({len(members)})" if group else f"**all** ({len(members)})"
        rows.append(f"| {label} | {' | '.join(cells)} |")
    faults = [_faults(name, recorded[name]) for name in ORACLES]
    for label, numbers in zip(findings.WHOSE.values(), zip(*faults, strict=True), strict=True):
        rows.append(f"| disagreements, {label} | {' | '.join(numbers)} |")
    return "\n".join([*head, *rows])


def _cell(oracle: Oracle, cases: list[Case], found: findings.Findings) -> str:
    asked = [
        case.id
        for case in cases
        if (oracle.covers(case) or case.id in found.differs) and case.id not in found.unsupported
    ]
    agreed = [name for name in asked if name not in found.differs]
    return f"{len(agreed)} of {len(asked)}" if asked else ""


def _disagreements(cases: list[Case], recorded: dict[str, findings.Findings]) -> str:
    """Return a table for each kind of fault that there is: a row for each explanation."""
    must = {case.id for case in cases if case.weight == "must"}
    known = findings.explanations()
    sections = []
    for whose, heading in _SECTIONS.items():
        rows = [
            f"| {', '.join(explanation.oracles)} | {_SAYS[explanation.verdict]} "
            f"| {_these(explanation, recorded, must)} | {explanation.why} |"
            for explanation in known
            if explanation.whose == whose
        ]
        if rows:
            head = "| these | do this | to these cases | why |\n|---|---|---|---|"
            sections.append("\n".join([f"{heading}\n\n{head}", *rows]))
    return "\n\n".join(sections)


def _these(
    explanation: findings.Explanation, recorded: dict[str, findings.Findings], must: set[str]
) -> str:
    """Name the cases of an explanation; those that not all its verifiers differ in, with them."""
    who: dict[str, list[str]] = {}
    for oracle in explanation.oracles:
        for case, said in recorded[oracle].differs.items():
            if explanation.fits(oracle, case, said):
                who.setdefault(case, []).append(oracle)
    groups: dict[tuple[str, ...], list[str]] = {}
    for case in sorted(who):
        label = f"**{case}**" if case in must else case
        groups.setdefault(tuple(who[case]), []).append(label)
    named = [
        ", ".join(labels)
        if oracles == explanation.oracles
        else f"only {_listed(oracles)}: {', '.join(labels)}"
        for oracles, labels in sorted(groups.items(), key=lambda group: -len(group[0]))
    ]
    return "; ".join(named)


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _faults(name: str, found: findings.Findings) -> list[str]:
    """Return how many disagreements of a verifier are whose fault."""
    whose = Counter(
        explanation.whose
        for case, said in found.differs.items()
        for explanation in findings.explanations()
        if explanation.fits(name, case, said)
    )
    return [str(whose[key]) for key in findings.WHOSE]


def _real(record: dict[str, Any]) -> str:
    head = [f"| document | nitrosim | {' | '.join(ORACLES)} |", f"|---|---{'|---' * len(ORACLES)}|"]
    rows = []
    for document, expected in record["real"].items():
        said = [record["oracles"][name]["real"][document] for name in ORACLES]
        cells = ["" if verdict == "unsupported" else verdict for verdict in said]
        rows.append(f"| {document.removeprefix('real/')} | {expected} | {' | '.join(cells)} |")
    return "\n".join([*head, *rows])


def page() -> str:
    """Return the generated part of the page."""
    record = findings.read_record()
    recorded = findings.recorded(record)
    cases = corpus()
    versions = {name: entry["version"] for name, entry in record["oracles"].items()}
    return "\n\n".join(
        [
            "## Who is asked",
            _who(versions),
            "## How far they agree",
            _agreement(cases, recorded),
            _disagreements(cases, recorded),
            "## Real documents",
            _real(record),
        ]
    )


if __name__ == "__main__":
    sys.exit(main({"verifiers.md": page()}, description=__doc__))
