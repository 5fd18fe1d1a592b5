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
    from nitrosim.backends.image import EnclaveImage
    from nitrosim.enclave import Enclave

EXIT_USAGE = 2
_CHUNK = 64 * 1024


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "run",
        help="start a program in an enclave",
        usage="nitrosim run [OPTION...] -- COMMAND [ARGUMENT...]\n"
        "       nitrosim run [OPTION...] --eif FILE",
        description="Start a program in a fresh enclave: no network, no disk, nothing of this "
        "machine but its system directories; or what is in an Enclave Image File, with nothing of "
        "this machine at all. The console is shown, and the exit status is the program's. Ctrl-C "
        "ends the enclave.",
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
    parser.add_argument(
        "--eif",
        metavar="FILE",
        type=Path,
        help="run this Enclave Image File, which brings command, environment and files with it",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Start the enclave; return the exit status of its program, or 0 when detached."""
    if problem := _misuse(args):
        print(f"nitrosim run: {problem}", file=sys.stderr)
        return EXIT_USAGE
    from nitrosim.instance import Instance  # noqa: PLC0415 - see main

    image = _image_of_command(args) if args.eif is None else _image_of_file(args.eif)
    with Instance(args.instance) as instance:
        enclave = instance.run_image(
            image,
            name=args.name,
            cid=args.cid,
            cpu_count=args.cpu_count,
            memory_mib=args.memory,
            debug_mode=args.debug_mode,
            detach=args.detach,
            sockets=_sockets(args.instance) if args.detach else None,
            lossless=not args.detach,
        )
        if args.detach:
            print(json.dumps(run_enclave_json(enclave), indent=2))
            return 0
        return _foreground(enclave)


def _misuse(args: argparse.Namespace) -> str | None:
    """Say what is wrong with the combination of arguments, if anything is."""
    if args.eif is None:
        return None if args.program else "no command: put it after --, or give --eif FILE"
    if args.program or args.env or args.app_dir:
        return "--eif brings its command, environment and files: no command, --env or --app-dir"
    return None


def _image_of_command(args: argparse.Namespace) -> EnclaveImage:
    from nitrosim.backends.command import hints, image_from_command  # noqa: PLC0415 - see main

    image = image_from_command(args.program, app_dir=args.app_dir, environment=dict(args.env))
    for hint in hints(args.program, args.app_dir):
        print(f"nitrosim run: note: {hint}", file=sys.stderr)
    return image


def _image_of_file(path: Path) -> EnclaveImage:
    from nitrosim.backends.eif import image_from_file  # noqa: PLC0415 - see main

    def tell() -> None:
        if sys.stderr.isatty():
            print(f"nitrosim run: unpacking {path}, this once", file=sys.stderr)

    return image_from_file(path, on_unpacking=tell)


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


def _sockets(instance: str) -> str:
    """Return the directory where nitro-cli looks for the enclaves of the instance."""
    from nitrosim.cli.nitro_cli.environment import Environment  # noqa: PLC0415 - see main

    variables = {**os.environ, "NITROSIM_INSTANCE": instance}
    return os.path.abspath(Environment(variables=variables).sockets())  # noqa: PTH100 - as text


def run_enclave_json(enclave: Enclave) -> dict[str, Any]:
    """Return the object that ``nitro-cli run-enclave`` prints, keys in its order."""
    return {
        "EnclaveName": enclave.name,
        "EnclaveID": enclave.enclave_id,
        "ProcessID": enclave.pid,
        "EnclaveCID": enclave.cid,
        "NumberOfCPUs": enclave.cpu_count,
        "CPUIDs": list(enclave.cpu_ids),
        "MemoryMiB": enclave.memory_mib,
    }


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
