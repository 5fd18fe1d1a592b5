"""A command that failed, and what nitro-cli writes about it.

On standard error stand the headline, a link and, if that could be written, the path of a file
with the backtrace: the action, what was done within it from the outside to the inside, and where
in the source. With ``BACKTRACE=1`` the backtrace is on standard error too. The exit status is the
number in the code. Source: nitro-cli 1.5.0.
"""

from __future__ import annotations

import os

from nitrosim.errors import NitroSimError
from nitrosim.rfc3339 import rfc3339_nanoseconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from nitrosim.cli.nitro_cli.codes import ErrorCode

_PACKAGES: Final = __file__.removesuffix(os.path.join("nitrosim", "cli", "nitro_cli", "failure.py"))
"""What holds the package nitrosim, with a slash; sources are named relative to it."""


class CommandError(NitroSimError):
    """A command of nitro-cli ends with one of its error codes.

    Attributes:
        reason: which one.
        action: what the command was about, in words.
        subactions: what was done within it, the innermost first; callers may add.

    """

    def __init__(
        self,
        reason: ErrorCode,
        cause: str,
        *,
        action: str,
        info: Sequence[str] = (),
    ) -> None:
        self.reason = reason
        self.action = action
        self.subactions = [cause]
        self.headline = reason.headline(info)
        super().__init__(f"{self.headline} ({cause})", code=reason.code)

    def backtrace(self, version: str) -> str:
        """Return the lines about where it happened, without a final line break."""
        file, line = self._origin()
        return "\n".join(
            [
                f"  Action: {self.action}",
                "  Subactions:",
                *(f"    {subaction}" for subaction in reversed(self.subactions)),
                f"  Root error file: {file}",
                f"  Root error line: {line}",
                f"  Version: {version}",
            ]
        )

    def _origin(self) -> tuple[str, int]:
        trace = self.__traceback__
        if trace is None:
            return "?", 0
        while trace.tb_next is not None:
            trace = trace.tb_next
        return source_name(trace.tb_frame.f_code.co_filename), trace.tb_lineno


def source_name(path: str) -> str:
    """Return the name by which nitro-cli's texts call one of our source files."""
    # DEVIATION: Backtraces and log lines of nitro-cli name files and lines of nitrosim's sources,
    # since those of AWS's nitro-cli mean nothing here.
    return path.removeprefix(_PACKAGES)


def report(
    error: CommandError,
    *,
    version: str,
    backtrace: bool,
    log_folder: str | None,
    clock: Callable[[], int],
) -> str:
    """Write the backtrace of an error to a file of its own and return the text for the user.

    Args:
        error: what happened.
        version: of the nitro-cli that is imitated.
        backtrace: whether the text contains the backtrace.
        log_folder: where the file goes; None if there is no such place.
        clock: gives nanoseconds since 1970 UTC.

    """
    trace = error.backtrace(version)
    parts = [error.headline, f"For more details, please visit {error.reason.link}"]
    if backtrace:
        parts.append(f"Backtrace:\n{trace}")
    written = None if log_folder is None else _write(log_folder, trace, clock())
    if written is not None:
        parts.append(
            f'If you open a support ticket, please provide the error log found at "{written}"'
        )
    return "\n\n".join(parts)


def _write(folder: str, trace: str, now: int) -> str | None:
    """Write a backtrace to a new file; None if that cannot be done, which nitro-cli ignores."""
    path = os.path.join(folder, f"err{rfc3339_nanoseconds(now)}.log")
    try:
        with open(path, "wb") as file:
            file.write(trace.encode("utf-8", "backslashreplace"))
    except OSError:
        # The text for the user then says nothing of a file.
        return None
    return path
