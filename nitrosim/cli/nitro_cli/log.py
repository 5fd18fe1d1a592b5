"""The log file that every nitro-cli and every enclave process of a machine appends to.

A line is ``[<who>][<LEVEL>][<time>][<file>:<line>] <text>``. The file is made writable for all
by its owner, because any user may run nitro-cli. It is opened before any sub-command runs, and a
command that cannot open it does nothing else. Source: nitro-cli 1.5.0.
"""

from __future__ import annotations

import os
import sys

from nitrosim.cli.nitro_cli.environment import LEVELS
from nitrosim.cli.nitro_cli.failure import CommandError, source_name
from nitrosim.hypervisor.cli_log import log_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Final, Self

FILE_NAME: Final = "nitro_enclaves.log"

_MODE: Final = 0o766
_ACTION: Final = "Logger"


class Log:
    """The log, open for appending; use it in a ``with`` statement."""

    def __init__(self, folder: str, *, who: str, level: str, clock: Callable[[], int]) -> None:
        """Open the log in `folder`; `who` is what lines begin with.

        Raises:
            CommandError: E19 if it cannot be opened, E18 if its owner cannot make it writable.

        """
        self.path = os.path.join(folder, FILE_NAME)
        self._who = who
        self._wanted = LEVELS[: LEVELS.index(level) + 1]
        self._clock = clock
        try:
            self._file = os.open(
                self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666
            )
        except OSError as error:
            from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

            raise CommandError(
                ErrorCode.FILE_OPERATION,
                f"Failed to open log file: {error.strerror}",
                action=_ACTION,
                info=(self.path, "Open"),
            ) from error
        try:
            if os.fstat(self._file).st_uid == os.getuid():
                os.fchmod(self._file, _MODE)
        except OSError as error:
            self.close()
            from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

            raise CommandError(
                ErrorCode.FILE_PERMISSIONS,
                f"Failed to change log file permissions: {error.strerror}",
                action=_ACTION,
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def write(self, level: str, text: str) -> None:
        """Append a line, if lines of this level are wanted.

        Raises:
            OSError: the file cannot be written to.

        """
        if level not in self._wanted:
            return
        # The line names its caller, as those of nitro-cli do; inspect would take longer to load
        # than the command runs.
        caller = sys._getframe(1)  # noqa: SLF001 - see above
        place = f"{source_name(caller.f_code.co_filename)}:{caller.f_lineno}"
        line = log_line(who=self._who, level=level, now=self._clock(), place=place, text=text)
        os.write(self._file, line)
