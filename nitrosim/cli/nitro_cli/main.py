"""The ``nitro-cli`` command.

Exit status: 0, the number of the error code, or 2 for a wrong command line. What is wrong with
nitrosim's own settings, or with the machine, is 125, which is no error code.

Start-up is import discipline: a sub-command is loaded when it runs, and the package says what may
be loaded before that.
"""

from __future__ import annotations

import os
import sys
import time
from importlib import import_module

from nitrosim.cli.nitro_cli.arguments import Answer, parse
from nitrosim.cli.nitro_cli.context import Context
from nitrosim.cli.nitro_cli.environment import Environment
from nitrosim.cli.nitro_cli.failure import CommandError, report
from nitrosim.cli.nitro_cli.log import Log
from nitrosim.cli.nitro_cli.record import Record
from nitrosim.errors import NitroSimError
from nitrosim.sandbox.hardware import refuse_real_hardware

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from nitrosim.cli.nitro_cli.clap import Parsed

EXIT_REFUSED: Final = 125
_EXIT_INTERRUPTED: Final = 130
_EXIT_BROKEN_PIPE: Final = 141
_EXIT_CANNOT_WRITE: Final = 101

SUB_COMMANDS: Final = {
    "build-enclave": ("nitrosim.cli.nitro_cli.build", "build_enclave"),
    "describe-eif": ("nitrosim.cli.nitro_cli.images", "describe_eif"),
    "pcr": ("nitrosim.cli.nitro_cli.images", "pcr"),
    "sign-eif": ("nitrosim.cli.nitro_cli.images", "sign_eif"),
    "run-enclave": ("nitrosim.cli.nitro_cli.run", "run_enclave"),
    "describe-enclaves": ("nitrosim.cli.nitro_cli.enclaves", "describe_enclaves"),
    "terminate-enclave": ("nitrosim.cli.nitro_cli.enclaves", "terminate_enclave"),
    "console": ("nitrosim.cli.nitro_cli.console", "console"),
    "explain": ("nitrosim.cli.nitro_cli.explain", "explain"),
}
"""By sub-command: the module and the function in it that does it; see `Context`."""


class Machine(Record):
    """What a command finds around it.

    Attributes:
        environment: the variables.
        clock: gives nanoseconds since 1970 UTC.
        process: the number of the process.
        guard: raises HostNotSupportedError where real enclaves can run.

    """

    __slots__ = ("clock", "environment", "guard", "process")

    def __init__(
        self,
        *,
        environment: Environment,
        clock: Callable[[], int] = time.time_ns,
        process: int = 0,
        guard: Callable[[], None] = refuse_real_hardware,
    ) -> None:
        self.environment: Final = environment
        self.clock: Final = clock
        self.process: Final = process
        self.guard: Final = guard


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: that of the process); return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    machine = Machine(environment=Environment(variables=os.environ), process=os.getpid())
    try:
        return run(words, machine)
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough.
        _discard_output()
        return _EXIT_BROKEN_PIPE
    except OSError as error:
        # The status of a Rust program that cannot print, for example to a full disk.
        print(f"nitro-cli: cannot write: {error.strerror}", file=sys.stderr)
        _discard_output()
        return _EXIT_CANNOT_WRITE


def _discard_output() -> None:
    """Let what has not been printed go nowhere; Python would complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(words: Sequence[str], machine: Machine) -> int:
    """Run a command line on a machine; return the exit status."""
    try:
        version = machine.environment.version
        parsed = parse(words, version=version)
        if isinstance(parsed, Answer):
            sys.stdout.write(parsed.output)
            sys.stdout.flush()
            sys.stderr.write(parsed.errors)
            return parsed.status
        machine.guard()
        folder = machine.environment.logs()
        try:
            _run_command(parsed, machine, folder)
        except CommandError as error:
            text = report(
                error,
                version=version,
                backtrace=machine.environment.wants_backtrace,
                log_folder=folder,
                clock=machine.clock,
            )
            print(text, file=sys.stderr)
            return error.reason.number
    except NitroSimError as error:
        # DEVIATION: nitro-cli ends with status 125, which it does not have otherwise, when a
        # setting of nitrosim is wrong or the machine can run real enclaves.
        print(f"nitro-cli: {error.code}: {error}", file=sys.stderr)
        return EXIT_REFUSED
    return 0


def _run_command(parsed: Parsed, machine: Machine, logs: str) -> None:
    environment = machine.environment
    who = f"nitro-cli:{machine.process}"
    with Log(logs, who=who, level=environment.log_level, clock=machine.clock) as log:
        log.write("INFO", "Start Nitro CLI")
        context = Context(
            environment=environment, log=log, clock=machine.clock, process=machine.process
        )
        module, function = SUB_COMMANDS[parsed.command]
        command: Callable[[Parsed, Context], None] = getattr(import_module(module), function)
        command(parsed, context)


if __name__ == "__main__":
    sys.exit(main())
