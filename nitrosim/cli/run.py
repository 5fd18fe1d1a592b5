"""`nitrosim run`: start a program in an enclave."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nitrosim.enclave import Enclave

EXIT_USAGE = 2
_CHUNK = 64 * 1024


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "run",
        help="start a program in an enclave",
        usage="nitrosim run [OPTION...] -- COMMAND [ARGUMENT...]",
        description="Start a program in a fresh enclave: no network, no disk, nothing of this "
        "machine but its system directories. The console is shown, and the exit status is the "
        "program's. Ctrl-C ends the enclave.",
        allow_abbrev=False,
    )
    parser.add_argument("--name", metavar="N", help="name of the enclave (default: the command's)")
    parser.add_argument("--cid", metavar="N", type=int, help="its CID (default: the next from 16)")
    parser.add_argument(
        "--cpu-count", metavar="N", type=_positive, default=2, help="recorded, not enforced"
    )
    parser.add_argument(
        "--memory", metavar="MIB", type=_positive, default=512, help="recorded, not enforced"
    )
    parser.add_argument(
        "--debug-mode", action="store_true", help="documents have zero in PCR0, 1, 2 and 8"
    )
    parser.add_argument(
        "--detach",
        action="store_true",
        help="print what nitro-cli run-enclave prints, and return when the program has started",
    )
    parser.add_argument(
        "--env",
        metavar="K=V",
        type=_variable,
        action="append",
        default=[],
        help="add to the program's environment, which otherwise holds PATH only; may be repeated",
    )
    parser.add_argument(
        "--app-dir",
        metavar="DIR",
        type=Path,
        help="show this directory as /app; writes stay in RAM",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Start the enclave; return the exit status of its program, or 0 when detached."""
    if not args.program:
        print("nitrosim run: no command: put it after --", file=sys.stderr)
        return EXIT_USAGE
    from nitrosim.backends.command import hints, image_from_command  # noqa: PLC0415 - see main
    from nitrosim.instance import Instance  # noqa: PLC0415

    image = image_from_command(args.program, app_dir=args.app_dir, environment=dict(args.env))
    for hint in hints(args.program, args.app_dir):
        print(f"nitrosim run: note: {hint}", file=sys.stderr)
    with Instance(args.instance) as instance:
        enclave = instance.run_image(
            image,
            name=args.name,
            cid=args.cid,
            cpu_count=args.cpu_count,
            memory_mib=args.memory,
            debug_mode=args.debug_mode,
            detach=args.detach,
            lossless=not args.detach,
        )
        if args.detach:
            print(json.dumps(run_enclave_json(enclave), indent=2))
            return 0
        return _foreground(enclave)


def _foreground(enclave: Enclave) -> int:
    """Show the console until the end; a signal that asks us to stop stops the enclave."""

    def stop(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    console, output = enclave.console.fileno(), sys.stdout.fileno()
    os.set_blocking(console, True)
    while data := memoryview(os.read(console, _CHUNK)):
        while data:
            data = data[os.write(output, data) :]
    return enclave.wait()


def run_enclave_json(enclave: Enclave) -> dict[str, Any]:
    """Return the object that ``nitro-cli run-enclave`` prints, keys in its order."""
    return {
        "EnclaveName": enclave.name,
        "EnclaveID": cli_enclave_id(enclave.module_id),
        "ProcessID": enclave.pid,
        "EnclaveCID": enclave.cid,
        "NumberOfCPUs": enclave.cpu_count,
        "CPUIDs": list(enclave.cpu_ids),
        "MemoryMiB": enclave.memory_mib,
    }


def cli_enclave_id(module_id: str) -> str:
    """Return the EnclaveID for a module_id: the number after ``-enc`` without leading zeros."""
    instance, _enc, number = module_id.partition("-enc")
    return f"{instance}-enc{int(number, 16):x}"


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected K=V, got {text!r}")
    return name, value
