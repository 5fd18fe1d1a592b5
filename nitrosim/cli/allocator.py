"""`nitrosim allocator`: the CPUs and the memory that nitro-cli has for enclaves."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "allocator",
        help="show the CPUs and the memory that nitro-cli has for enclaves",
        description="Show the pool that nitro-cli run-enclave takes CPUs and memory from, where it "
        "is set, and what enclaves have of it now. The pool is set by a file in the format of "
        "allocator.yaml: the one that $NITROSIM_ALLOCATOR names, else "
        "/etc/nitro_enclaves/allocator.yaml, else there is a default.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the pool and what is lent of it."""
    from nitrosim.cli.nitro_cli.allocator import read_pool  # noqa: PLC0415 - see nitrosim.cli.main
    from nitrosim.hypervisor.client import connect  # noqa: PLC0415 - see nitrosim.cli.main
    from nitrosim.places import named_places  # noqa: PLC0415 - see nitrosim.cli.main

    pool = read_pool(os.environ.get("NITROSIM_ALLOCATOR"))
    lent: dict[str, Any] = {"cpu_ids": [], "memory_mib": 0}
    connection = connect(named_places(args.instance))
    if connection is not None:
        lent = connection.request("lent")
        connection.close()
    if args.json:
        facts = {
            "file": pool.source,
            "cores": pool.cores,
            "memory_mib": pool.memory_mib,
            "lent_cpu_ids": lent["cpu_ids"],
            "lent_memory_mib": lent["memory_mib"],
        }
        print(json.dumps(facts, indent=2))
        return 0
    cores = "  ".join(",".join(map(str, core)) for core in pool.cores)
    print(f"file     {pool.source or 'none, this is the default'}")
    print(f"CPUs     {len(pool.cpu_ids)}, by core: {cores}")
    print(f"         lent: {', '.join(map(str, lent['cpu_ids'])) or 'none'}")
    print(f"memory   {pool.memory_mib} MiB, lent: {lent['memory_mib']} MiB")
    return 0
