"""`nitrosim compat`: the table of system calls that the simulator answers."""

from __future__ import annotations

import argparse
import errno
import json


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "compat",
        help="list the system calls that are served",
        description="List the system calls that the simulator answers, and how faithfully. Every "
        "other call runs natively. The last lines are for enclaves with the init of their image.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the page of the documentation"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from nitrosim.sandbox.calls import (  # noqa: PLC0415 - see nitrosim.cli.main
        CALLS,
        HOST_ROOT_CALLS,
        OWN_INIT_CALLS,
    )

    rows = [
        (
            call.name,
            call.subject,
            f"{call.support.value} {_error_name(call.error)}" if call.error else call.support.value,
            call.note,
        )
        for call in (*CALLS, *OWN_INIT_CALLS, *HOST_ROOT_CALLS)
    ]
    if args.json:
        keys = ("call", "subject", "support", "note")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=2))
    elif args.markdown:
        print("| system call | on | support | what differs |\n|---|---|---|---|")
        for call, subject, support, note in rows:
            print(f"| `{call}` | {subject} | {support} | {note} |")
    else:
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)]
            print("  ".join([*cells, row[3]]).rstrip())
    return 0


def _error_name(error: int) -> str:
    # Linux has two names for this number, and the other one is for files.
    return "EOPNOTSUPP" if error == errno.EOPNOTSUPP else errno.errorcode[error]
