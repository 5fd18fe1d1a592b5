"""Asks all foreign verifiers (or those named) and writes what they say into ``verdicts.json``.

Then make the page anew with ``docs/collect_verifiers.py``, and explain in ``explained.toml`` what
the tests ask for. With ``--show`` every disagreement is printed with the verifier's own words.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from verifiers import findings  # noqa: E402 - found through the line above
from verifiers.jobs import Case, corpus, real  # noqa: E402
from verifiers.oracles import ORACLES, Oracle  # noqa: E402

REAL = HERE.parents[3] / "shared" / "real-docs"


def ask(oracle: Oracle, cases: list[Case], genuine: list[Case], *, show: bool) -> dict[str, Any]:
    """Return the entry of one verifier."""
    answers = oracle.ask([*cases, *genuine])
    found = findings.compare(oracle, cases, answers)
    if show:
        by_id = {case.id: case for case in cases}
        for name, verdict in found.differs.items():
            case = by_id[name]
            expected = f"{case.weight} {case.code or 'ACCEPT'}"
            reason = answers[name].reason[:100]
            print(f"{oracle.name}: {verdict} {name} ({expected}) {reason}")
    return {
        "version": oracle.version(),
        "differs": found.differs,
        "unsupported": found.unsupported,
        "real": {case.id: answers[case.id].verdict for case in genuine},
    }


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print disagreements with reasons")
    parser.add_argument("--real-docs", type=Path, default=REAL, help="folder of real documents")
    parser.add_argument("oracle", nargs="*", help=f"one of: {', '.join(ORACLES)}; default: all")
    args = parser.parse_args()
    record = findings.read_record()
    cases = corpus()
    with tempfile.TemporaryDirectory() as scratch:
        genuine = real(args.real_docs, Path(scratch))
        for name in args.oracle or ORACLES:
            entry = ask(ORACLES[name], cases, genuine, show=args.show)
            if not genuine:
                entry["real"] = record["oracles"][name]["real"]
            record["oracles"][name] = entry
    if genuine:
        record["real"] = {case.id: case.result for case in genuine}
    findings.VERDICTS.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
