"""`nitrosim ca`: show the root CA of the simulated instance, made now if there is none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "ca",
        help="show the instance's root certificate",
        description="Show path, SHA-256 and PEM of the root certificate to which the documents of "
        "the simulated instance chain. It is made on first use, for this user alone.",
        allow_abbrev=False,
    )
    parser.add_argument("--pem", action="store_true", help="print nothing but the PEM")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the root; return the exit status."""
    # Loads the crypto library, which takes longer than the rest of the command line together.
    from nitrosim.authority import CERTIFICATE_FILE, load_or_create_root  # noqa: PLC0415
    from nitrosim.places import instance_state, make_private  # noqa: PLC0415

    directory = make_private(instance_state(args.instance)) / "ca"
    root = load_or_create_root(directory)
    path = str(directory / CERTIFICATE_FILE)
    if args.json:
        facts = {"path": path, "sha256": root.sha256, "pem": root.certificate_pem}
        print(json.dumps(facts, indent=2))
    elif args.pem:
        print(root.certificate_pem, end="")
    else:
        print(f"path    {path}")
        print(f"sha256  {root.sha256}")
        print(root.certificate_pem, end="")
    return 0
