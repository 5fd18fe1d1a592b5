"""The sub-commands about enclaves that run: describe-enclaves and terminate-enclave."""

from __future__ import annotations

import os
import sys

from nitrosim.cli.nitro_cli.output import write_output
from nitrosim.cli.nitro_cli.processes import (
    RefusedError,
    Reply,
    ask_all,
    ask_chosen,
    failed_connections,
)
from nitrosim.eif.hash_algorithm import hash_algorithm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from nitrosim.cli.nitro_cli.clap import Parsed
    from nitrosim.cli.nitro_cli.context import Context

_DESCRIBE: Final = "Describe Enclaves"
_TERMINATE: Final = "Terminate Enclave"


def describe_enclaves(parsed: Parsed, context: Context) -> None:
    """Print all enclaves, the oldest first.

    Raises:
        CommandError: E07 if the directory of the sockets cannot be read; E39, after the others
            have been printed, if an enclave does not answer.

    """
    metadata = "metadata" if parsed.has("metadata") else ""
    algorithm = hash_algorithm(context.environment.version)
    replies, failed = ask_all(context, "describe", metadata, algorithm, action=_DESCRIBE)
    write_output(_array([_whole_text(reply) for reply in replies]))
    if failed:
        raise failed_connections(failed, action=_DESCRIBE)


def _whole_text(reply: Reply) -> str:
    """Return the text of an answer, from the file that came with it if it was too long for one."""
    if reply.fd is None:
        return reply.text(0)
    with os.fdopen(reply.fd, encoding="utf-8", errors="replace") as file:
        return file.read()


def terminate_enclave(parsed: Parsed, context: Context) -> None:
    """End one enclave, or all of this user's, and say so.

    Raises:
        CommandError: E11 if there is no enclave of that id, E58 of that name; E39 if an enclave
            belongs to somebody else or does not answer; E07.

    """
    if parsed.has("all"):
        _terminate_all(context)
        return
    try:
        ended = ask_chosen(parsed, context, "terminate", action=_TERMINATE)
    except RefusedError as error:
        raise failed_connections(1, action=_TERMINATE) from error
    write_output(_terminated(ended))


def _terminate_all(context: Context) -> None:
    replies, failed = ask_all(context, "terminate", action=_TERMINATE)
    write_output(_array([_terminated(reply) for reply in replies]))
    if failed:
        raise failed_connections(failed, action=_TERMINATE)


def _terminated(reply: Reply) -> str:
    """Say that an enclave has ended; return the JSON object about it."""
    from nitrosim.eif.serde import write_pretty  # noqa: PLC0415 - see the package

    enclave_id, name = reply.text(0), reply.text(1)
    print(f"Successfully terminated enclave {enclave_id}.", file=sys.stderr)
    return write_pretty({"EnclaveName": name, "EnclaveID": enclave_id, "Terminated": True})


def _array(texts: Sequence[str]) -> str:
    """Return the JSON array of objects that are texts already."""
    if not texts:
        return "[]"
    inner = ",\n".join(texts).replace("\n", "\n  ")
    return f"[\n  {inner}\n]"
