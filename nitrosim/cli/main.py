"""The ``nitrosim`` command.

Start-up is import discipline: argparse and the module of the sub-command, which
imports what it needs when it runs. ``nitrosim --version`` loads nothing else.

Exit status: 0 success, 1 the answer is no, 2 the command was used wrongly, 3 the
machine lacks something, 4 the instance or an enclave failed; ``run`` and ``parent`` end
with the status of the program (126 and 127 as in a shell).
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from nitrosim import __version__
from nitrosim.directories import DEFAULT_INSTANCE, check_instance_name
from nitrosim.errors import HostNotSupportedError, NitroSimError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_COMMANDS = (
    "demo",
    "run",
    "build",
    "parent",
    "verify",
    "inspect",
    "attest",
    "ca",
    "doctor",
    "compat",
    "allocator",
    "shutdown",
)
#: Sub-commands that take a program to run after ``--``.
_WITH_PROGRAM = ("run", "build", "parent")

EXIT_USAGE = 2
EXIT_HOST = 3
EXIT_FAILED = 4
_EXIT_NOT_FOUND = 127
_EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: that of the process); return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["--version"]:
        # argparse takes as long to load as Python takes to start.
        print(f"nitrosim {__version__}")
        return 0
    parser = build_parser(_commands_of(words))
    words, program = _split_program(words)
    args = parser.parse_args(words)
    if "run" not in args:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    args.program = program
    args.instance = getattr(args, "instance", None) or os.environ.get(
        "NITROSIM_INSTANCE", DEFAULT_INSTANCE
    )
    args.json = getattr(args, "json", False)
    try:
        check_instance_name(args.instance)
        status: int = args.run(args)
        sys.stdout.flush()
    except NitroSimError as error:
        return _report(error, as_json=args.json)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has seen enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_BROKEN_PIPE
    return status


def _commands_of(words: Sequence[str]) -> Sequence[str]:
    """Return the commands that a command line may be about, which have to be loaded for it."""
    left = list(words)
    while left and left[0].startswith("-"):
        # The only option before a command that has a value.
        del left[: 2 if left[0] == "--instance" else 1]
    return left[:1] if left[:1] and left[0] in _COMMANDS else _COMMANDS


def build_parser(commands: Sequence[str] = _COMMANDS) -> argparse.ArgumentParser:
    """Return the parser of the command line, as far as it is about `commands`."""
    import argparse  # noqa: PLC0415 - see main

    parser = argparse.ArgumentParser(
        prog="nitrosim",
        description="Run and test AWS Nitro Enclave programs on this machine. "
        "Not a security boundary: it keeps honest programs honest.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nitrosim {__version__}")
    _add_common(parser)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in commands:
        import_module(f"nitrosim.cli.{name}").add_parser(subparsers)
    for subparser in subparsers.choices.values():
        _add_common(subparser)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    """Add what may stand before and after the name of the command."""
    from argparse import SUPPRESS as left_out  # noqa: N811, PLC0415 - see main

    parser.add_argument(
        "--instance",
        metavar="NAME",
        default=left_out,
        help="the simulated instance (default: $NITROSIM_INSTANCE, else 'default')",
    )
    parser.add_argument(
        "--json", action="store_true", default=left_out, help="print JSON, for programs"
    )


def _split_program(words: list[str]) -> tuple[list[str], list[str]]:
    """Take off what follows ``--`` if the command runs a program: none of it is an option."""
    if "--" not in words:
        return words, []
    at = words.index("--")
    if any(word in _WITH_PROGRAM for word in words[:at]):
        return words[:at], words[at + 1 :]
    return words, []


def _report(error: NitroSimError, *, as_json: bool) -> int:
    if as_json:
        import json  # noqa: PLC0415 - loads more than all else here

        print(json.dumps({"ok": False, "code": error.code, "message": str(error)}, indent=2))
    print(f"nitrosim: {error.code}: {error}", file=sys.stderr)
    if isinstance(error, HostNotSupportedError):
        print("'nitrosim doctor' prints the whole list.", file=sys.stderr)
        return EXIT_HOST
    if error.code == "COMMAND_NOT_FOUND":
        return _EXIT_NOT_FOUND
    if error.code in ("INSTANCE_NAME", "APP_DIR", "ENVIRONMENT", "ENCLAVE_CID"):
        return EXIT_USAGE
    return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
