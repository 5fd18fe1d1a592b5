"""What goes to standard output: JSON, as UTF-8 whatever the terminal's encoding."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nitrosim.eif.serde import Json


def write_json(value: Json) -> None:
    """Print JSON as nitro-cli does."""
    from nitrosim.eif.serde import write_pretty  # noqa: PLC0415 - see the package

    write_output(write_pretty(value))


def write_output(text: str) -> None:
    """Print text and a line break."""
    write_bytes(f"{text}\n".encode())


def write_bytes(data: bytes) -> None:
    """Write bytes as they are, at once."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
