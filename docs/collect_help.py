# noqa: INP001 - a script, not a package
"""Write what every command of the command line says with --help into cli.md."""

from __future__ import annotations

import argparse
import os
import sys

from generated import main

from nitrosim.cli.main import build_parser

#: Fixed, because argparse fills lines to the width of the terminal.
_COLUMNS = "100"


def _render() -> str:
    os.environ["COLUMNS"] = _COLUMNS
    # Python 3.14 colours help where it thinks that somebody looks.
    os.environ["NO_COLOR"] = "1"
    parser = build_parser()
    parts = [_section("nitrosim", parser)]
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            for name, subparser in action.choices.items():
                parts.append(_section(f"nitrosim {name}", subparser))
    return "\n\n".join(parts)


def _section(name: str, parser: argparse.ArgumentParser) -> str:
    return f"## {name}\n\n```text\n{parser.format_help().strip()}\n```"


if __name__ == "__main__":
    sys.exit(main({"cli.md": _render()}, description=__doc__))
