"""``python -m forgery FOLDER`` writes the corpus; with ``--check`` it only says what differs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from forgery.library import differences, write


def main(argv: list[str] | None = None) -> int:
    """Write or check a corpus; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m forgery", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if anything differs")
    args = parser.parse_args(argv)
    if not args.check:
        write(args.folder)
        return 0
    changed = differences(args.folder)
    for name in changed:
        print(f"differs from what the generator makes: {args.folder / name}", file=sys.stderr)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
