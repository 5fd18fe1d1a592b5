"""What every sub-command of nitro-cli is given.

A sub-command is a function ``(parsed: Parsed, context: Context) -> None``. It prints, returns if it
has done what was asked for, and raises `CommandError` if not. It is entered with one line in
`nitrosim.cli.nitro_cli.main.SUB_COMMANDS`, by the names of its module and its function; the module
is loaded when the sub-command runs.
"""

from __future__ import annotations

from nitrosim.cli.nitro_cli.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from nitrosim.cli.nitro_cli.environment import Environment
    from nitrosim.cli.nitro_cli.log import Log


class Context(Record):
    """What a sub-command finds around it.

    Attributes:
        environment: what the environment variables say.
        log: the log, open; whoever has made the context closes it.
        clock: gives nanoseconds since 1970 UTC.
        process: the number of the process.

    """

    __slots__ = ("clock", "environment", "log", "process")

    def __init__(
        self, *, environment: Environment, log: Log, clock: Callable[[], int], process: int
    ) -> None:
        self.environment: Final = environment
        self.log: Final = log
        self.clock: Final = clock
        self.process: Final = process
