"""The sub-command console, and the console that run-enclave attaches to.

It shows what the enclave has written since it was started and then what comes. It ends with the
enclave, or when the time is up that was given for it: that is the time of the whole session,
although AWS's documentation calls it that of idleness. Source: nitro-cli 1.5.0.
"""

from __future__ import annotations

import os
import select
import time

from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.output import write_bytes, write_output
from nitrosim.cli.nitro_cli.processes import RefusedError, ask_chosen
from nitrosim.cli.nitro_cli.settings import disconnect_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from nitrosim.cli.nitro_cli.clap import Parsed
    from nitrosim.cli.nitro_cli.context import Context

_ACTION: Final = "Enclave Console"
_PIECE_BYTES: Final = 1 << 16
_LONGEST_WAIT_MS: Final = 3_600_000


def console(parsed: Parsed, context: Context) -> None:
    """Show the console of an enclave in debug mode.

    Raises:
        CommandError: E44 if it is not in debug mode, E11 if there is no enclave of that id, E58 of
            that name, E39 if it does not answer, E03 for a time that is none, E07.

    """
    timeout = disconnect_timeout(parsed)
    try:
        reply = ask_chosen(parsed, context, "console", action=_ACTION)
    except RefusedError as error:
        from nitrosim.cli.nitro_cli.codes import ErrorCode  # noqa: PLC0415 - see the package

        raise CommandError(
            ErrorCode.CONSOLE_CONNECTION, f"Cannot connect: {error}", action=_ACTION
        ) from error
    assert reply.fd is not None
    show(int(reply.fields[0]), reply.fd, timeout=timeout)


def show(cid: int, fd: int, *, timeout: int | None = None) -> None:
    """Show what can be read from `fd` until its end, or for `timeout` seconds; closes it."""
    try:
        write_output(f"Connecting to the console for enclave {cid}...")
        write_output("Successfully connected to the console.")
        deadline = None if timeout is None else time.monotonic() + timeout
        ready = select.poll()
        ready.register(fd, select.POLLIN)
        while deadline is None or (left := deadline - time.monotonic()) > 0:
            # A timeout of poll is a number of 31 bits.
            wait = None if deadline is None else min(int(left * 1000) + 1, _LONGEST_WAIT_MS)
            if not ready.poll(wait):
                continue
            data = os.read(fd, _PIECE_BYTES)
            if not data:
                break
            write_bytes(data)
    finally:
        os.close(fd)
