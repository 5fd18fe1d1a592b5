# noqa: INP001 - a script's helper, not a package
"""Pages with a generated part: write it, or check that it is what it should be.

The part stands between ``<!-- generated:begin -->`` and ``<!-- generated:end -->``; what is around
it is written by hand. Used by the scripts beside this file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

BEGIN = "<!-- generated:begin -->"
END = "<!-- generated:end -->"
REPOSITORY = Path(__file__).resolve().parent.parent


def main(parts: dict[str, str], *, description: str | None) -> int:
    """Put each part into the page of its name, or with ``--check`` say which pages are stale."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if out of date")
    args = parser.parse_args()
    stale = [name for name, part in parts.items() if not _refresh(name, part, write=not args.check)]
    for name in stale:
        script = Path(sys.argv[0]).name
        print(f"docs/{name} is out of date: run 'python docs/{script}'", file=sys.stderr)
    return 1 if stale else 0


def _refresh(name: str, part: str, *, write: bool) -> bool:
    """Return whether the page has the part, or has it now."""
    page = REPOSITORY / "docs" / name
    text = page.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{page} has no {BEGIN} and {END}")
    fresh = f"{before}{BEGIN}\n\n{part.strip()}\n\n{END}{after}"
    if text != fresh and write:
        page.write_text(fresh, "utf-8")
        return True
    return text == fresh
