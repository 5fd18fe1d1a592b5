"""Measure the speed of nitrosim, as ratios to what the machine can do: ``make bench``.

    python tests/benchmarks/run.py [--row N]... [--quick] [--markdown] [--json FILE]

Exit status 1 if a gate is broken. How it is measured is in method.py, what in the modules beside
it: command_line.py (rows 1, 27), start.py (3, 4), nsm.py (7, 9, 10), verify.py (11, 12),
vsock.py (13, 14, 15), eif.py (16, 17).
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import command_line
import eif
import machine
import nsm
import start
import verify
import vsock
from laboratory import Laboratory
from method import FEWEST_SLICES, Method, gate_is_broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from method import Figure

_WITH_FOLDER = {
    1: command_line.nitro_cli,
    3: start.launcher,
    4: start.python_api,
    16: eif.measure,
    17: eif.headers,
    27: command_line.run_enclave,
}
_ALONE = {11: verify.cold, 12: verify.cached}
_INSIDE = {
    7: nsm.get_random,
    9: nsm.attestation,
    10: nsm.documents,
    13: vsock.connect,
    14: vsock.throughput,
    15: vsock.round_trip,
}
_ROWS = sorted({**_WITH_FOLDER, **_ALONE, **_INSIDE})
_QUICK = Method(slices=FEWEST_SLICES, attempts=1, scale=0.2)
_HEADINGS = ("row", "quantity", "ratio", "goal", "gate", "verdict", "spread", "medians")


def main(arguments: list[str]) -> int:
    """Measure, print, and judge."""
    options = _parse(arguments)
    method = _QUICK if options.quick else Method()
    rows = options.row or _ROWS
    before = machine.load_average()
    figures: list[Figure] = []
    penalty = None
    inside = set(rows) & set(_INSIDE)
    with tempfile.TemporaryDirectory(prefix="nitrosim-bench-") as folder:
        Path(folder).chmod(0o755)
        for figure in _measure_with_folder(rows, Path(folder), method):
            _progress(figure)
            figures.append(figure)
        for row in (row for row in _ALONE if row in rows):
            for figure in _ALONE[row](method):
                _progress(figure)
                figures.append(figure)
        if inside:
            with Laboratory(Path(folder)) as laboratory:
                penalty = laboratory.wake_penalty(method.count(2000))
                for row in (row for row in _INSIDE if row in rows):
                    for figure in _INSIDE[row](laboratory, method):
                        _progress(figure)
                        figures.append(figure)
    notes = [
        machine.describe(),
        f"load average before: {before}; after: {machine.load_average()}",
    ]
    if inside:
        notes.append(_note_on_waking(penalty))
    _print(figures, notes, markdown=options.markdown)
    if options.json:
        options.json.write_text(json.dumps(_as_json(figures, notes), indent=2) + "\n", "utf-8")
    return 1 if gate_is_broken(figures) else 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure nitrosim, as ratios to baselines.")
    parser.add_argument("--row", type=int, action="append", choices=_ROWS, help="only this row")
    parser.add_argument("--quick", action="store_true", help="a first impression, not a judgement")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser.parse_args(arguments)


def _measure_with_folder(rows: Iterable[int], folder: Path, method: Method) -> Iterator[Figure]:
    for row in (row for row in _WITH_FOLDER if row in rows):
        measure: Callable[[Path, Method], Iterator[Figure]] = _WITH_FOLDER[row]
        with contextlib.closing(measure(folder, method)) as figures:
            yield from figures


def _progress(figure: Figure) -> None:
    print(f"row {figure.row}: {figure.quantity}: {figure.ratio.value:.2f}", file=sys.stderr)


def _note_on_waking(penalty: float | None) -> str:
    if penalty is None:
        return "one CPU: there is no other one to wake"
    return f"waking another CPU: a 1 B round trip takes {penalty:.1f} times as long"


def _print(figures: list[Figure], notes: list[str], *, markdown: bool) -> None:
    rows = [_HEADINGS, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    edge, between = ("| ", " | ") if markdown else ("", "  ")
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print((edge + between.join(cells) + edge[::-1]).rstrip())
        if number == 0 and markdown:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print()
    for note in notes:
        print(note)


def _cells(figure: Figure) -> tuple[str, ...]:
    ratio, target = figure.ratio, figure.target
    sign = ">=" if target.rate else "<="
    return (
        str(figure.row),
        figure.quantity,
        f"{ratio.value:.2f}",
        f"{sign} {target.goal:g}",
        f"{target.gate:g}" if figure.gated and target.gate is not None else "-",
        str(figure.verdict),
        f"{ratio.low:.2f}-{ratio.high:.2f}",
        f"{ratio.subject / 1000:.4g} / {ratio.baseline / 1000:.4g} us",
    )


def _as_json(figures: list[Figure], notes: list[str]) -> dict[str, object]:
    return {
        "notes": notes,
        "figures": [
            {**dataclasses.asdict(figure), "verdict": str(figure.verdict)} for figure in figures
        ],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
