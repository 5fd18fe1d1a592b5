"""What clap 4.5 prints: help, usage lines and errors, without colours.

The usage line of a help text lists what is required after ``[OPTIONS]``; that of an error lists
instead what was given and what is missing. If the help of one option would not fit beside the
names on 100 columns, all helps of that list stand below the names. Nothing is wrapped.

Source: clap_builder 4.6.7 without its feature ``wrap_help``.
"""

from __future__ import annotations

from nitrosim.cli.nitro_cli.clap import HELP, Command, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

PROGRAM: Final = "nitro-cli"

_COLUMNS: Final = 100
_MOST_FOR_NAMES: Final = 0.4
_MARGIN: Final = 4
"""The blanks before the names of options and behind them."""

HELP_COMMAND: Final = Command(
    name="help", about="Print this message or the help of the given subcommand(s)"
)


def program_help(about: str, commands: Sequence[Command]) -> str:
    """Return the help of the whole program."""
    rows = [(command.name, command.about) for command in (*commands, HELP_COMMAND)]
    flags = [("-h, --help", HELP.help), ("-V, --version", "Print version")]
    return (
        f"{about}\n\n{program_usage()}\n\n"
        f"Commands:\n{_beside(rows)}\n\nOptions:\n{_beside(flags)}\n"
    )


def command_help(command: Command) -> str:
    """Return the help of a sub-command."""
    rows = [(f"    {option}", option.help) for option in command.options]
    rows.append(("-h, --help", HELP.help))
    longest = max(len(name) for name, _help in rows)
    taken = longest + _MARGIN
    below = taken / _COLUMNS > _MOST_FOR_NAMES and any(
        len(text) > _COLUMNS - taken for _name, text in rows
    )
    listed = _below(rows) if below else _beside(rows)
    return f"{command.about}\n\n{usage(command)}\n\nOptions:\n{listed}\n"


def help_command_help() -> str:
    """Return the help of the sub-command ``help``."""
    return (
        f"{HELP_COMMAND.about}\n\nUsage: {PROGRAM} {HELP_COMMAND.name} [COMMAND]...\n\n"
        "Arguments:\n  [COMMAND]...  Print help for the subcommand(s)\n"
    )


def program_usage(used: Sequence[str] = ()) -> str:
    """Return the usage line of the whole program; with `used`, that of an error."""
    return " ".join([f"Usage: {PROGRAM}", *([f"--{name}" for name in used] or ["[COMMAND]"])])


def usage(command: Command, *, used: Sequence[str] = (), required: Sequence[str] = ()) -> str:
    """Return the usage line of a sub-command; with `used`, that of an error."""
    parts = [f"Usage: {PROGRAM} {command.name}"]
    if not used and any(not option.required for option in command.options):
        parts.append("[OPTIONS]")
    always = [option.name for option in command.options if option.required]
    # What an option needs stands before it.
    needed = [
        one
        for name in dict.fromkeys((*always, *required))
        for one in (*_needs(command, name), name)
    ]
    for name in dict.fromkeys((*needed, *used)):
        option = HELP if name == HELP.name else command.option(name)
        if option is not None:
            parts.append(str(option))
    return " ".join(parts)


def _needs(command: Command, name: str) -> tuple[str, ...]:
    option = command.option(name)
    return () if option is None else option.requires


def error_text(error: UsageError) -> str:
    """Return all that is printed about a wrong command line."""
    parts = [f"error: {error}"]
    if error.tip is not None:
        parts.append(f"  tip: {error.tip}")
    if error.shows_usage:
        parts.append(
            program_usage(error.used)
            if error.command is None
            else usage(error.command, used=error.used, required=error.required)
        )
    parts.append("For more information, try '--help'.\n")
    # What was not UTF-8 is shown as the replacement character.
    return "\n\n".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _beside(rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _help in rows)
    return "\n".join(f"  {name:{width}}  {text}" for name, text in rows)


def _below(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"  {name}\n          {text}" for name, text in rows)
