"""What run-enclave and console are asked for, from their options or from a JSON file.

Values of options are checked here and not by the reader of the command line, so what is wrong
with one is E03 and status 3. A file with settings is trusted more: its CID may be any number,
and that ``--attach-console`` stands beside ``--config`` makes no difference; only the key in the
file counts. Source: nitro-cli 1.5.0.
"""

from __future__ import annotations

from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from nitrosim.cli.nitro_cli.clap import Parsed
    from nitrosim.eif.serde import Json

U32_MAX: Final = (1 << 32) - 1
U64_MAX: Final = (1 << 64) - 1

AUTOMATIC_CID_NOTE: Final = "The enclave CID will be auto-generated as the provided CID is 0"
"""What nitro-cli says on standard error about ``--enclave-cid 0``."""

_UNITS: Final = {"m": 1, "g": 1 << 10, "t": 1 << 20}
_RESERVED_CIDS: Final = (1, 2, 3, U32_MAX)
"""Loopback, host, parent and any."""

_KEYS: Final = frozenset(
    (
        "eif_path",
        "memory_mib",
        "cpu_count",
        "cpu_ids",
        "enclave_cid",
        "debug_mode",
        "attach_console",
        "enclave_name",
    )
)
"""What a file may hold; other keys are nobody's."""

_ACTION: Final = "Run Enclave"
_CONSOLE: Final = "Enclave Console"


class RunSettings(Record):
    """What an enclave shall be started with.

    Attributes:
        eif_path: the image.
        memory_mib: MiB.
        cpu_count: how many CPUs; None if they are named.
        cpu_ids: which CPUs; None if their number is given.
        enclave_cid: the CID; None for any that is free.
        debug_mode: whether there is a console.
        attach_console: whether to show it at once.
        enclave_name: the name; None for that of the image.
        notes: what to say on standard error, one line each.

    """

    __slots__ = (
        "attach_console",
        "cpu_count",
        "cpu_ids",
        "debug_mode",
        "eif_path",
        "enclave_cid",
        "enclave_name",
        "memory_mib",
        "notes",
    )

    def __init__(  # noqa: PLR0913 - run-enclave has that many options
        self,
        *,
        eif_path: str,
        memory_mib: int,
        cpu_count: int | None = None,
        cpu_ids: tuple[int, ...] | None = None,
        enclave_cid: int | None = None,
        debug_mode: bool = False,
        attach_console: bool = False,
        enclave_name: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.eif_path: Final = eif_path
        self.memory_mib: Final = memory_mib
        self.cpu_count: Final = cpu_count
        self.cpu_ids: Final = cpu_ids
        self.enclave_cid: Final = enclave_cid
        self.debug_mode: Final = debug_mode
        self.attach_console: Final = attach_console
        self.enclave_name: Final = enclave_name
        self.notes: Final = notes


def run_settings(parsed: Parsed) -> RunSettings:
    """Return what run-enclave is asked for.

    Raises:
        CommandError: E03 for a value that is not allowed; with ``--config``, E19 if the file
            cannot be read, E17 if it is not what it must be, E01 without CPUs, E02 with both ways
            to ask for them.

    """
    config = parsed.value("config")
    if config is not None:
        return _from_file(config)
    count = parsed.value("cpu-count")
    cid = parsed.value("enclave-cid")
    number = None if cid is None else _cid(cid)
    attach = parsed.has("attach-console")
    return RunSettings(
        eif_path=parsed.value("eif-path") or "",
        memory_mib=_memory(parsed.value("memory") or ""),
        cpu_count=None if count is None else _integer("cpu-count", count, U32_MAX),
        cpu_ids=(
            tuple(_integer("cpu-ids", cpu, U32_MAX) for cpu in parsed.values("cpu-ids"))
            if parsed.has("cpu-ids")
            else None
        ),
        enclave_cid=number or None,
        debug_mode=parsed.has("debug-mode") or attach,
        attach_console=attach,
        enclave_name=parsed.value("enclave-name"),
        notes=(AUTOMATIC_CID_NOTE,) if number == 0 else (),
    )


def disconnect_timeout(parsed: Parsed) -> int | None:
    """Return after how many seconds a console is left; None for when the enclave ends.

    Raises:
        CommandError: E03.

    """
    given = parsed.value("disconnect-timeout")
    if given is None:
        return None
    return _integer("disconnect-timeout", given, U64_MAX, action=_CONSOLE)


def _integer(name: str, text: str, most: int, *, action: str = _ACTION) -> int:
    value = _number(text.removeprefix("+"))
    if value is None or value > most:
        raise _invalid(f"`{name}` is not a number: {text}", (name, text), action=action)
    return value


def _number(digits: str) -> int | None:
    """Return the number of 64 bits that digits are; None if they are none."""
    if not (digits.isascii() and digits.isdigit()):
        return None
    significant = digits.lstrip("0") or "0"
    # Nobody wants to wait for the conversion of a million digits.
    if len(significant) > len(str(U64_MAX)) or int(significant) > U64_MAX:
        return None
    return int(significant)


def _memory(text: str) -> int:
    factor = _UNITS.get(text[-1:].lower())
    value = _number(text if factor is None else text[:-1])
    if value is None or value * (factor or 1) > U64_MAX:
        name = "memory"
        raise _invalid(f"`{name}` is not an amount of memory: {text}", (name, text))
    return value * (factor or 1)


def _cid(text: str) -> int:
    cid = _integer("enclave-cid", text, U64_MAX)
    if cid in _RESERVED_CIDS or cid > U32_MAX:
        # nitro-cli does not say here what is wrong with which argument.
        raise _invalid(f"CID {cid} cannot be that of an enclave", ())
    return cid


def _invalid(cause: str, info: tuple[str, ...], *, action: str = _ACTION) -> CommandError:
    from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

    return CommandError(ErrorCode.INVALID_ARGUMENT, cause, action=action, info=info)


def _from_file(path: str) -> RunSettings:
    from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package
    from nitrosim.eif.serde import JsonError, RepeatedKeys, read  # noqa: PLC0415 - only --config needs it

    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise CommandError(
            ErrorCode.FILE_OPERATION,
            f"Cannot read the settings: {error.strerror}",
            action=_ACTION,
            info=(path, "Open"),
        ) from error
    try:
        value = read(content)
    except JsonError as error:
        raise _unreadable(str(error)) from error
    if isinstance(value, RepeatedKeys) and value.repeated & _KEYS:
        raise _unreadable("a key is repeated")
    keys = _Keys(value)
    count = keys.optional_integer("cpu_count", U32_MAX)
    ids = keys.integers("cpu_ids", U32_MAX)
    eif_path, memory = keys.text("eif_path"), keys.optional_integer("memory_mib", U64_MAX)
    if eif_path is None or memory is None:
        raise _unreadable("eif_path and memory_mib must be there")
    cid = keys.optional_integer("enclave_cid", U64_MAX)
    debug, attach = keys.flag("debug_mode"), keys.flag("attach_console")
    name = keys.text("enclave_name")
    if count is None and ids is None:
        raise CommandError(
            ErrorCode.MISSING_ARGUMENT, "Neither cpu_count nor cpu_ids", action=_ACTION
        )
    if count is not None and ids is not None:
        raise CommandError(
            ErrorCode.CONFLICTING_ARGUMENTS, "Both cpu_count and cpu_ids", action=_ACTION
        )
    return RunSettings(
        eif_path=eif_path,
        memory_mib=memory,
        cpu_count=count,
        cpu_ids=ids,
        enclave_cid=cid,
        debug_mode=debug or attach,
        attach_console=attach,
        enclave_name=name,
    )


def _unreadable(cause: str) -> CommandError:
    from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

    return CommandError(ErrorCode.SERDE, f"Cannot use the settings: {cause}", action=_ACTION)


class _Keys:
    """An object of settings; a key of another type is E17, one that is not known is nothing."""

    def __init__(self, value: Json) -> None:
        if not isinstance(value, dict):
            raise _unreadable("not an object")
        self._keys = value

    def text(self, key: str) -> str | None:
        value = self._keys.get(key)
        if value is None or isinstance(value, str):
            return value
        raise _unreadable(f"{key} is not text")

    def flag(self, key: str) -> bool:
        value = self._keys.get(key, False)
        if isinstance(value, bool):
            return value
        raise _unreadable(f"{key} is neither true nor false")

    def optional_integer(self, key: str, most: int) -> int | None:
        value = self._keys.get(key)
        return None if value is None else _checked(key, value, most)

    def integers(self, key: str, most: int) -> tuple[int, ...] | None:
        value = self._keys.get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise _unreadable(f"{key} is not an array")
        return tuple(_checked(key, item, most) for item in value)


def _checked(key: str, value: Json, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise _unreadable(f"{key} is not an integer from 0 to {most}")
