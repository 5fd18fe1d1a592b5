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

_SAYS = {"accept": "accepts", "refuse": "refuses", "crash": "crashes on", "hang": "hangs on",
    "misread": "misreads",
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
    known = findings.explanations()
    must = {case.id for case in cases if case.weight == "must"}
    sections = []
    for name, found in recorded.items():
        rows = ["| it | these | whose | why |", "|---|---|---|---|"]
        for explanation in known:
            fitting = [
                case for case, said in found.differs.items() if explanation.fits(name, case, said)
            ]
            if fitting:
                these = ", ".join(f"**{c}**" if c in must else c for c in fitting)
                whose = findings.WHOSE[explanation.whose]
                said = _SAYS[explanation.verdict]
                rows.append(f"| {said} | {these} | {whose} | {explanation.why} |")
        sections.append(f"### {name}\n\n{_sum(found, known, name)}\n\n" + "\n".join(rows))
    return "\n\n".join(sections)


def _sum(found: findings.Findings, known: list[findings.Explanation], name: str) -> str:
    whose = Counter(
        explanation.whose
        for case, said in found.differs.items()
        for explanation in known
        if explanation.fits(name, case, said)
    )
    counts = [f"{whose[key]} {word}" for key, word in findings.WHOSE.items() if whose[key]]
    return f"{len(found.differs)} disagreements: {', '.join(counts)}."


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
            "## Where they do not",
            _disagreements(cases, recorded),
            "## Real documents",
            _real(record),
        ]
    )


if __name__ == "__main__":
    sys.exit(main({"verifiers.md": page()}, description=__doc__))
