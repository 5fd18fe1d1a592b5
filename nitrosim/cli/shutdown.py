"""`nitrosim shutdown`: end an instance and all its enclaves."""

from __future__ import annotations

import argparse
import json


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "shutdown",
        help="end the instance and its enclaves",
        description="End the hypervisor of the instance and every enclave on it. "
        "The root CA stays.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """End the instance; succeeds also when it does not run."""
    from nitrosim.hypervisor.client import end_hypervisor  # noqa: PLC0415 - see nitrosim.cli.main
    from nitrosim.places import named_places  # noqa: PLC0415 - see nitrosim.cli.main

    ran = end_hypervisor(named_places(args.instance))
    if args.json:
        print(json.dumps({"instance": args.instance, "ran": ran}, indent=2))
    else:
        print(f"instance {args.instance} {'has ended' if ran else 'was not running'}")
    return 0
