"""`nitrosim parent`: run a program as the parent instance (CID 3)."""

from __future__ import annotations

import argparse
import sys

EXIT_USAGE = 2


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "parent",
        help="run a program as the parent instance",
        usage="nitrosim parent [OPTION...] -- COMMAND [ARGUMENT...]",
        description="Run a program with its AF_VSOCK calls served by the simulated instance: it is "
        "CID 3 and reaches the enclaves. Standard streams, signals and exit status are its own.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Become the program; returns only when that is not possible."""
    if not args.program:
        print("nitrosim parent: no command: put it after --", file=sys.stderr)
        return EXIT_USAGE
    from nitrosim.instance import Instance  # noqa: PLC0415 - see nitrosim.cli.main

    instance = Instance(args.instance)
    return instance.exec_parent(args.program)
