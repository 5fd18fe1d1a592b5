"""Command lines as the Rust library clap 4.5 reads them, which nitro-cli is built with.

argparse differs where scripts notice: it takes the last of repeated options, accepts negative
numbers as values, words its errors in another way, and knows no options that are required unless
another one is there. So this is a small reader of our own, for what nitro-cli's command line is
made of: sub-commands with long options, and nothing positional.

* ``--name value`` and ``--name=value``; an option for several values takes all words up to the
  next one that begins with a hyphen; a single hyphen is a value; names are not abbreviated.
* The first word that cannot be right decides about the error; what is missing or in conflict is
  looked at when all words are read, conflicts first.
* ``-h`` and ``--help`` win over everything that comes after them.
* Values are UTF-8; names of files that are not cannot be given.

Source: clap_builder 4.6.7 (which has not changed any of this since 4.5).
"""

from __future__ import annotations

from nitrosim.cli.nitro_cli.record import Record
from nitrosim.cli.nitro_cli.suggestions import similar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final


class Option(Record):
    """An option of a sub-command.

    Attributes:
        name: without the hyphens.
        help: one line for the list of options.
        value: what its value is called in texts; None for one that takes no value.
        several: whether it takes several values.
        required: whether it must be there.
        required_unless: names of options of which one must be there, or this one.
        requires: names of options that must be there if this one is.
        conflicts: names of options that must not be there together with this one.

    """

    __slots__ = (
        "conflicts",
        "help",
        "name",
        "required",
        "required_unless",
        "requires",
        "several",
        "value",
    )

    def __init__(  # noqa: PLR0913 - clap has that many rules
        self,
        *,
        name: str,
        help: str,  # noqa: A002 - what clap calls it
        value: str | None = None,
        several: bool = False,
        required: bool = False,
        required_unless: tuple[str, ...] = (),
        requires: tuple[str, ...] = (),
        conflicts: tuple[str, ...] = (),
    ) -> None:
        self.name: Final = name
        self.help: Final = help
        self.value: Final = value
        self.several: Final = several
        self.required: Final = required
        self.required_unless: Final = required_unless
        self.requires: Final = requires
        self.conflicts: Final = conflicts

    def __str__(self) -> str:
        if self.value is None:
            return f"--{self.name}"
        return f"--{self.name} <{self.value}>{'...' if self.several else ''}"


class Command(Record):
    """A sub-command: its name, one line about it, and its options in the order of the help."""

    __slots__ = ("about", "name", "options")

    def __init__(self, *, name: str, about: str, options: tuple[Option, ...] = ()) -> None:
        self.name: Final = name
        self.about: Final = about
        self.options: Final = options

    def option(self, name: str) -> Option | None:
        """Return the option of this name."""
        return next((option for option in self.options if option.name == name), None)


class Parsed(Record):
    """A command line that is right: the sub-command and what was given for its options."""

    __slots__ = ("command", "given")

    def __init__(self, *, command: str, given: dict[str, tuple[str, ...]]) -> None:
        self.command: Final = command
        self.given: Final = given

    def has(self, name: str) -> bool:
        """Tell whether an option was given."""
        return name in self.given

    def value(self, name: str) -> str | None:
        """Return the value of an option that takes one; None if it was not given."""
        values = self.given.get(name)
        return values[0] if values else None

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values of an option that takes several."""
        return self.given.get(name, ())


HELP: Final = Option(name="help", help="Print help")


class UsageError(Exception):
    """A command line is wrong; the text is what clap says after ``error:``.

    Attributes:
        command: in which sub-command; None before there is one.
        used: names of options for the usage line: those given so far, and those missing.
        required: names of options that the usage line has before these.
        tip: what may have been meant.
        shows_usage: whether there is a usage line.

    """

    def __init__(  # noqa: PLR0913 - an error text has that many parts
        self,
        text: str,
        command: Command | None = None,
        *,
        used: Sequence[str] = (),
        required: Sequence[str] = (),
        tip: str | None = None,
        shows_usage: bool = True,
    ) -> None:
        super().__init__(text)
        self.command = command
        self.used = tuple(used)
        self.required = tuple(required)
        self.tip = tip
        self.shows_usage = shows_usage


class HelpWantedError(Exception):
    """The user asks for the help of the sub-command that is read."""


def read_options(command: Command, words: Sequence[str]) -> Parsed:
    """Read what follows the name of a sub-command.

    Raises:
        UsageError: it is wrong.
        HelpWantedError: there is a flag for help in it.

    """
    reading = _Reading(command)
    rest = list(words)
    while rest:
        reading.take(rest)
    reading.settle()
    _check_conflicts(command, reading.given)
    _check_required(command, reading.given)
    return Parsed(command=command.name, given=reading.given)


class _Reading:
    """The words of one sub-command, read from the left.

    An option whose value is a word of its own is settled when the next option comes, or the end:
    a word that cannot be right is the error before a value that is missing or an option that is
    repeated.
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self.given: dict[str, tuple[str, ...]] = {}
        self._pending: tuple[Option, tuple[str, ...]] | None = None

    def take(self, rest: list[str]) -> None:
        """Take an option and its values from the beginning of `rest`."""
        word = rest.pop(0)
        if word == "--":
            if rest:
                raise self._unexpected(rest[0])
        elif word.startswith("--"):
            self._long(word[2:], rest)
        elif word.startswith("-") and word != "-":
            if word[1] != "h":
                raise self._unexpected(word[:2])
            self.settle()
            raise HelpWantedError
        else:
            raise self._unexpected(word)

    def settle(self) -> None:
        """Give the last option its values."""
        if self._pending is None:
            return
        option, values = self._pending
        self._pending = None
        if not values:
            raise UsageError(
                f"a value is required for '{option}' but none was supplied",
                self.command,
                shows_usage=False,
            )
        self._give(option, values)

    def _long(self, text: str, rest: list[str]) -> None:
        name, equals, attached = text.partition("=")
        option = HELP if name == HELP.name else self.command.option(name)
        if option is None:
            raise self._unknown(name)
        if option.value is None and equals:
            raise UsageError(
                f"unexpected value '{attached}' for '--{name}' found; no more were expected",
                self.command,
                used=[*self._used(), name],
            )
        self.settle()
        if option is HELP:
            raise HelpWantedError
        if option.value is None:
            self._give(option, ())
        elif equals:
            self._give(option, (attached,))
        else:
            values: list[str] = []
            while rest and (option.several or not values) and not _is_flag(rest[0]):
                values.append(rest.pop(0))
            self._pending = option, tuple(values)

    def _give(self, option: Option, values: tuple[str, ...]) -> None:
        if any(_is_damaged(value) for value in values):
            raise UsageError("invalid UTF-8 was detected in one or more arguments", self.command)
        if option.name in self.given:
            raise UsageError(f"the argument '{option}' cannot be used multiple times", self.command)
        self.given[option.name] = values

    def _used(self) -> list[str]:
        """Return what an error about another word counts as given."""
        if self._pending is None or not self._pending[1]:
            return [*self.given]
        # Of an option that is repeated, clap forgets the first as well.
        last = self._pending[0].name
        others = [name for name in self.given if name != last]
        return others if last in self.given else [*others, last]

    def _unexpected(self, word: str) -> UsageError:
        return UsageError(f"unexpected argument '{word}' found", self.command)

    def _unknown(self, name: str) -> UsageError:
        names = [*(option.name for option in self.command.options), HELP.name]
        meant = similar(name, names)[-1:]
        return UsageError(
            f"unexpected argument '--{name}' found",
            self.command,
            used=[*self._used(), *meant],
            tip=f"a similar argument exists: '--{meant[0]}'" if meant else None,
        )


def _is_damaged(word: str) -> bool:
    """Tell whether a word of the command line was not UTF-8."""
    return any("\udc80" <= character <= "\udcff" for character in word)


def _is_flag(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _check_conflicts(command: Command, given: dict[str, tuple[str, ...]]) -> None:
    present = [option for name in given if (option := command.option(name)) is not None]
    for option in present:
        others = [
            other
            for other in present
            if other.name in option.conflicts or option.name in other.conflicts
        ]
        if others:
            names = [other.name for other in others]
            used = [name for name in given if name not in names]
            needed = [
                name
                for other in present
                if other.name in used
                for name in other.requires
                if name not in used and name not in names
            ]
            listed = f" '{others[0]}'" if len(others) == 1 else _listed(others)
            raise UsageError(
                f"the argument '{option}' cannot be used with{listed}",
                command,
                used=[*needed, *used],
            )


def _check_required(command: Command, given: dict[str, tuple[str, ...]]) -> None:
    present = [option for name in given if (option := command.option(name)) is not None]
    required = [option.name for option in command.options if option.required]
    for option in present:
        required += [name for name in option.requires if name not in required]
    forbidden = {
        other.name
        for other in command.options
        for option in present
        if other.name in option.conflicts or option.name in other.conflicts
    }
    missing = [name for name in required if name not in given and name not in forbidden]
    missing += [
        option.name
        for option in command.options
        if option.required_unless
        and option.name not in given
        and option.name not in forbidden
        and not any(name in given for name in option.required_unless)
    ]
    if missing:
        absent = [option for name in missing if (option := command.option(name)) is not None]
        raise UsageError(
            f"the following required arguments were not provided:{_listed(absent, colon='')}",
            command,
            used=[*given, *missing],
            required=required,
        )


def _listed(options: Sequence[Option], *, colon: str = ":") -> str:
    return colon + "".join(f"\n  {option}" for option in options)
