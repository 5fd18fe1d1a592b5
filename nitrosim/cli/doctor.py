"""`nitrosim doctor`: what this machine lacks to run enclaves, and the command that fixes it."""

from __future__ import annotations

import argparse
import json

EXIT_HOST = 3


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="say what this machine lacks",
        description="Try everything that enclaves need on this machine. Exit status 0 when all is "
        "there, 3 when something is missing.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print every requirement; return the exit status."""
    from nitrosim.sandbox.requirements import checks  # noqa: PLC0415 - see nitrosim.cli.main

    found = list(checks())
    complete = all(check.missing is None for check in found)
    if args.json:
        entries = [
            {
                "name": check.name,
                "purpose": check.purpose,
                "ok": check.missing is None,
                "found": check.missing.found if check.missing else None,
                "fix": check.missing.fix if check.missing else None,
            }
            for check in found
        ]
        print(json.dumps({"ok": complete, "requirements": entries}, indent=2))
        return 0 if complete else EXIT_HOST
    for check in found:
        print(f"{'ok     ' if check.missing is None else 'MISSING'}  {check.name}: {check.purpose}")
        if check.missing is not None:
            print(f"         found: {check.missing.found}")
            print(f"         fix:   {check.missing.fix}")
    print("this machine can run enclaves" if complete else "this machine cannot run enclaves yet")
    return 0 if complete else EXIT_HOST
