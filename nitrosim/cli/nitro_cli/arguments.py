"""Reading the command line of nitro-cli: what comes before a sub-command, helps and versions.

Source: clap_builder 4.6.7, and the behaviour of nitro-cli 1.5.0.
"""

from __future__ import annotations

from nitrosim.cli.nitro_cli import clap_texts as texts
from nitrosim.cli.nitro_cli.clap import (
    HELP,
    Command,
    HelpWantedError,
    Parsed,
    UsageError,
    read_options,
)
from nitrosim.cli.nitro_cli.commands import ABOUT, COMMANDS
from nitrosim.cli.nitro_cli.record import Record
from nitrosim.cli.nitro_cli.suggestions import similar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

EXIT_USAGE: Final = 2

_PROGRAM_FLAGS: Final = ("help", "version")


class Answer(Record):
    """What a command line is answered with when no sub-command runs.

    Attributes:
        output: for standard output.
        errors: for standard error.
        status: the exit status.

    """

    __slots__ = ("errors", "output", "status")

    def __init__(self, *, output: str = "", errors: str = "", status: int = 0) -> None:
        self.output: Final = output
        self.errors: Final = errors
        self.status: Final = status


def parse(words: Sequence[str], *, version: str) -> Parsed | Answer:
    """Read a command line, without the name of the program.

    `version` is that of the nitro-cli that is imitated.
    """
    if not words or list(words) == ["--"]:
        return Answer(errors=texts.program_help(ABOUT, COMMANDS), status=EXIT_USAGE)
    first = words[0]
    try:
        if first == "--version" or first.startswith("-V"):
            return Answer(output=f"Nitro CLI {version}\n")
        if first == "--help" or first.startswith("-h"):
            return Answer(output=texts.program_help(ABOUT, COMMANDS))
        if first.startswith("-") and first != "-":
            raise _wrong_flag(first, words[1:])
        if first == texts.HELP_COMMAND.name:
            return Answer(output=_help_of(words[1:]))
        return _read_command(_command(first), words[1:])
    except UsageError as error:
        return Answer(errors=texts.error_text(error), status=EXIT_USAGE)


def _read_command(command: Command, words: Sequence[str]) -> Parsed | Answer:
    try:
        return read_options(command, words)
    except HelpWantedError:
        return Answer(output=texts.command_help(command))


def _help_of(names: Sequence[str]) -> str:
    if not names:
        return texts.program_help(ABOUT, COMMANDS)
    known = {command.name: command for command in COMMANDS}
    known[texts.HELP_COMMAND.name] = texts.HELP_COMMAND
    command = known.get(names[0])
    if command is None:
        raise UsageError(f"unrecognized subcommand '{names[0]}'")
    if len(names) > 1:
        raise UsageError(f"unrecognized subcommand '{names[1]}'", command)
    if command is texts.HELP_COMMAND:
        return texts.help_command_help()
    return texts.command_help(command)


def _command(word: str) -> Command:
    for command in COMMANDS:
        if command.name == word:
            return command
    meant = similar(word, [*(command.name for command in COMMANDS), texts.HELP_COMMAND.name])
    tip = None
    if meant:
        there = "some similar subcommands exist" if meant[1:] else "a similar subcommand exists"
        listed = ", ".join(f"'{name}'" for name in meant)
        tip = f"{there}: {listed}"
    raise UsageError(f"unrecognized subcommand '{word}'", tip=tip)


def _wrong_flag(word: str, rest: Sequence[str]) -> UsageError:
    """Return the error for a flag that does not exist before a sub-command."""
    if word == "--":
        tip = None
        if rest[0] in (*(command.name for command in COMMANDS), texts.HELP_COMMAND.name):
            tip = f"subcommand '{rest[0]}' exists; to use it, remove the '--' before it"
        return UsageError(f"unexpected argument '{rest[0]}' found", tip=tip)
    if not word.startswith("--"):
        return UsageError(f"unexpected argument '{word[:2]}' found")
    name, equals, attached = word[2:].partition("=")
    if equals and name in _PROGRAM_FLAGS:
        text = f"unexpected value '{attached}' for '--{name}' found; no more were expected"
        return UsageError(text, used=[name])
    wrong = f"unexpected argument '--{name}' found"
    meant = similar(name, _PROGRAM_FLAGS)
    if meant:
        tip = f"a similar argument exists: '--{meant[-1]}'"
        return UsageError(wrong, used=[meant[-1]], tip=tip)
    # Options that stand before the sub-command that they are of.
    for command in sorted(
        (c for c in COMMANDS if c.name in rest), key=lambda c: rest.index(c.name)
    ):
        found = similar(name, [*(option.name for option in command.options), HELP.name])
        if found:
            return UsageError(wrong, tip=f"'{command.name} --{found[-1]}' exists")
    return UsageError(wrong)
