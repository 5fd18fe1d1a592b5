"""Finding enclaves and asking them, at the sockets of their processes.

Each enclave has a socket ``<slot>.sock`` in one directory; the slot is what follows ``-enc`` in its
EnclaveID. Here it is the hypervisor that answers, see `nitrosim.hypervisor.cli_sockets`. A file
where nobody answers any more is removed without a word. Source: nitro-cli 1.5.0.
"""

from __future__ import annotations

import _socket  # `socket` takes as long to load as all else that describe-enclaves does
import os
import stat
import sys

from nitrosim.cli.nitro_cli.failure import CommandError, report
from nitrosim.cli.nitro_cli.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from nitrosim.cli.nitro_cli.clap import Parsed
    from nitrosim.cli.nitro_cli.context import Context

_PATIENCE_S: Final = 3.0
"""Seconds that nitro-cli waits for an answer."""

_TERMINATION_PATIENCE_S: Final = 60.0
_LONGEST_ANSWER: Final = 1 << 17
_LONGEST_PATH: Final = 107
_LONGEST_SLOT: Final = 16
_SUFFIX: Final = ".sock"
_DESCRIPTOR_BYTES: Final = 4


class NoAnswerError(Exception):
    """A process could not be asked, or did not answer as it should."""


class GoneError(Exception):
    """There is no process any more; its socket has been removed."""


class _LeftError(Exception):
    """A process has ended the connection before it answered."""


class Reply(Record):
    """What a process answers.

    Attributes:
        fields: the answer, without ``ok``.
        fd: the descriptor that came with it, for the caller to close; None if none did.

    """

    __slots__ = ("fd", "fields")

    def __init__(self, fields: Sequence[bytes], fd: int | None) -> None:
        self.fields: Final = fields
        self.fd: Final = fd

    def text(self, number: int) -> str:
        """Return one of the fields as text."""
        return self.fields[number].decode("utf-8", "replace")


class RefusedError(Exception):
    """A process refuses; `code` is its reason."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def processes(context: Context, *, action: str) -> list[str]:
    """Return the paths of all sockets, in the order in which their enclaves were started.

    Raises:
        CommandError: E07 if their directory cannot be read.

    """
    folder = context.environment.sockets()
    try:
        names = [name for name in os.listdir(folder) if name.endswith(_SUFFIX)]
    except OSError as error:
        from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

        raise CommandError(
            ErrorCode.READ_FROM_DISK,
            f"Cannot read the directory {folder}: {error.strerror}",
            action=action,
        ) from error
    return [os.path.join(folder, name) for name in sorted(names, key=_slot)]


def _slot(name: str) -> tuple[int, str]:
    # Slots count up with time; hexadecimal without leading zeros.
    return len(name), name


def process_by_id(context: Context, enclave_id: str, *, action: str) -> str:
    """Return the path of the socket of the enclave with this EnclaveID; it need not be there.

    What stands before the last ``-enc`` makes no difference.

    Raises:
        CommandError: E11 if it is no EnclaveID.

    """
    _instance, separator, slot = enclave_id.rpartition("-enc")
    if not separator or not 0 < len(slot) <= _LONGEST_SLOT or "/" in slot or "\0" in slot:
        raise unknown_enclave(enclave_id, action)
    return os.path.join(context.environment.sockets(), f"{slot}{_SUFFIX}")


def process_by_name(context: Context, name: str, *, action: str) -> str:
    """Return the path of the socket of the enclave with this name.

    Raises:
        CommandError: E58 if no enclave has it, or several have; E07.

    """
    found = []
    for path in processes(context, action=action):
        try:
            if ask(path, "name").text(1) == name:
                found.append(path)
        except (GoneError, NoAnswerError, RefusedError):
            # Whoever does not answer has no name; describe-enclaves says how many these are.
            continue
    if len(found) == 1:
        return found[0]
    from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

    how_many = "No enclave has" if not found else f"{len(found)} enclaves have"
    raise CommandError(ErrorCode.NAMING, f"{how_many} the name {name}", action=action)


def ask_all(
    context: Context, operation: str, *arguments: str, action: str
) -> tuple[list[Reply], int]:
    """Ask all processes; return their answers, and how many did not answer as they should.

    Raises:
        CommandError: E07 if the directory of their sockets cannot be read.

    """
    replies, failed = [], 0
    for path in processes(context, action=action):
        try:
            replies.append(ask(path, operation, *arguments))
        except GoneError:
            continue
        except (NoAnswerError, RefusedError):
            failed += 1
    return replies, failed


def ask_chosen(parsed: Parsed, context: Context, operation: str, *, action: str) -> Reply:
    """Ask the process of the enclave that ``--enclave-id`` or ``--enclave-name`` names.

    Raises:
        CommandError: E11 if there is no enclave of that id, E58 of that name; E39 if it does not
            answer; E07.
        RefusedError: it refuses.

    """
    enclave_id, name = parsed.value("enclave-id"), parsed.value("enclave-name")
    if enclave_id is not None:
        path = process_by_id(context, enclave_id, action=action)
    else:
        path = process_by_name(context, name or "", action=action)
    try:
        return ask(path, operation)
    except GoneError as error:
        raise unknown_enclave(enclave_id or name or "", action) from error
    except NoAnswerError as error:
        raise failed_connections(1, action=action) from error


def ask(path: str, operation: str, *arguments: str) -> Reply:
    """Ask the process at the socket `path` and return its answer.

    Raises:
        GoneError: it is gone.
        NoAnswerError: it does not answer in time, or may not be asked.
        RefusedError: it refuses.

    """
    try:
        return _ask(path, operation, *arguments)
    except _LeftError:
        # Usually it has ended just now; then its socket is gone too, or nobody is there any more.
        try:
            return _ask(path, operation, *arguments)
        except _LeftError as error:
            raise NoAnswerError(f"{path}: the connection has ended") from error


def _ask(path: str, operation: str, *arguments: str) -> Reply:
    """Ask once; raises as `ask`, and _LeftError if the connection ends without an answer."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        connection.settimeout(_TERMINATION_PATIENCE_S if operation == "terminate" else _PATIENCE_S)
        _connect(connection, path)
        connection.send("\0".join((operation, *arguments)).encode())
        data, ancillary, _flags, _address = connection.recvmsg(
            _LONGEST_ANSWER, _socket.CMSG_SPACE(_DESCRIPTOR_BYTES)
        )
    except (ConnectionRefusedError, FileNotFoundError) as error:
        _remove(path)
        raise GoneError(path) from error
    except (BrokenPipeError, ConnectionResetError) as error:
        raise _LeftError from error
    except (OSError, UnicodeEncodeError) as error:
        raise NoAnswerError(f"{path}: {error}") from error
    finally:
        connection.close()
    fd = next(
        (int.from_bytes(fds[:_DESCRIPTOR_BYTES], sys.byteorder) for _, _, fds in ancillary), None
    )
    status, *fields = data.split(b"\0")
    if status == b"ok":
        return Reply(fields, fd)
    if not data:
        raise _LeftError
    raise RefusedError(
        status.decode("ascii", "replace"), b" ".join(fields).decode("utf-8", "replace")
    )


def _connect(connection: _socket.socket, path: str) -> None:
    """Connect to a path of any length; an address has room for 107 bytes."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        connection.connect(path)
        return
    folder, name = os.path.split(path)
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{fd}/{name}")
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    """Remove a socket; another kind of file that is called like one is somebody's."""
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except OSError:
        # It is gone already, or somebody else's to remove.
        return


def unknown_enclave(enclave_id: str, action: str) -> CommandError:
    """Return the error for an EnclaveID that no enclave has."""
    from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

    return CommandError(ErrorCode.SOCKET, f"No enclave has the id {enclave_id}", action=action)


def failed_connections(count: int, *, action: str) -> CommandError:
    """Say how many processes did not do what they were asked for; return the error, E39."""
    from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

    print(f"Failed connections: {count}", file=sys.stderr)
    who = "One enclave process" if count == 1 else f"{count} enclave processes"
    return CommandError(ErrorCode.CONNECTION, f"{who} did not answer", action=action)


def failed_process(error: CommandError, context: Context) -> CommandError:
    """Print the error of an enclave's process; return what nitro-cli itself then ends with.

    That process prints its error through the socket and ends, and nitro-cli only sees that it is
    gone: so nearly everything that is wrong with run-enclave ends with status 39.
    """
    environment = context.environment
    text = report(
        error,
        version=environment.version,
        backtrace=environment.wants_backtrace,
        log_folder=os.path.dirname(context.log.path),
        clock=context.clock,
    )
    print(text, file=sys.stderr)
    return failed_connections(1, action=error.action)
