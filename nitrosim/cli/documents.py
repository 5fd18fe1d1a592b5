"""What `nitrosim verify` and `nitrosim inspect` share: reading files and roots, showing values.

Text out of a document was written by whoever made the document. It is shown with every
unprintable character escaped, so that it cannot steer the reader's terminal.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from nitrosim.attestation import Claims

MAX_FILE_BYTES: Final = 1 << 20
"""More than any document or root file has; a device or a log is not read to its end."""

PARTITIONS: Final = ("aws", "aws-us-gov")

ENCLAVE_PCRS: Final = {
    0: "image",
    1: "kernel and boot",
    2: "application",
    3: "IAM role",
    4: "instance id",
    8: "signer",
}
"""What the registers of an enclave measure; 16 to 31 belong to the program inside."""

FIRST_CUSTOM_PCR: Final = 16
"""From here on the program in the enclave decides what a register measures."""

TPM_PCRS: Final = {4: "boot manager", 7: "Secure Boot policy", 12: "command line"}
"""What some registers of a NitroTPM measure (AWS EC2 user guide)."""

FIELDS: Final = ("public_key", "user_data", "nonce")


class UsageError(Exception):
    """The command cannot do anything with what it was given; the message says what to do."""


def add_file_argument(parser: argparse.ArgumentParser) -> None:
    """Add FILE, a raw document or ``-``."""
    parser.add_argument(
        "file", metavar="FILE", help="attestation document, raw bytes; - is standard input"
    )


def add_root_argument(parser: argparse.ArgumentParser, *, default: str) -> None:
    """Add ``--root``, which may be given several times."""
    parser.add_argument(
        "--root",
        dest="roots",
        metavar="aws|aws-us-gov|instance|PATH",
        action="append",
        help="trust the root of an AWS partition (aws is the commercial one), of the simulated "
        f"instance, or the certificates in a PEM or DER file; may be repeated (default: {default})",
    )


def read_document(name: str) -> bytes:
    """Read a document from a file, or from standard input for ``-``.

    Raises:
        UsageError: if the file cannot be read.

    """
    if name == "-":
        return sys.stdin.buffer.read(MAX_FILE_BYTES)
    return _read_file(Path(name))


def instance_root(instance: str) -> Path:
    """Return where the root certificate of a simulated instance is, if it exists.

    Raises:
        UsageError: if an instance cannot be called that.

    """
    from nitrosim.errors import NitroSimError  # noqa: PLC0415 - only when asked for
    from nitrosim.places import instance_state  # noqa: PLC0415

    try:
        return instance_state(instance) / "ca" / "root.pem"
    except NitroSimError as error:
        raise UsageError(str(error)) from error


def read_root(name: str, instance: str) -> bytes:
    """Turn one value of ``--root`` into a trust anchor: a pin, or the content of a file.

    Raises:
        UsageError: if the file cannot be read or the instance has no root yet.

    """
    from nitrosim.attestation.roots import AWS_ROOTS  # noqa: PLC0415 - loads the crypto library

    if name in PARTITIONS:
        return AWS_ROOTS[name]
    if name == "instance":
        path = instance_root(instance)
        if not path.exists():
            raise UsageError(
                f"instance {instance!r} has no root yet (no file {path}); "
                f"'nitrosim --instance {instance} ca' creates it"
            )
        return _read_file(path)
    return _read_file(Path(name))


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def claims_json(claims: Claims) -> dict[str, Any]:
    """Return the fields of a document as JSON values: bytes as hex, absent ones as null."""
    return {
        "document_type": str(claims.document_type),
        "module_id": claims.module_id,
        "instance_id": claims.instance_id,
        "timestamp": iso(claims.timestamp),
        "timestamp_ms": claims.timestamp_ms,
        "debug": claims.debug,
        "pcrs": {str(index): value.hex() for index, value in claims.pcrs.items()},
        **{name: _hex(getattr(claims, name)) for name in FIELDS},
        "unknown_fields": list(claims.unknown_fields),
    }


def register_name(index: int, *, enclave: bool) -> str:
    """Return what a register measures, or an empty string where nothing is defined."""
    if enclave and index >= FIRST_CUSTOM_PCR:
        return "custom"
    return (ENCLAVE_PCRS if enclave else TPM_PCRS).get(index, "")


def pcr_lines(claims: Claims) -> list[str]:
    """Return one line per register that is not zero, and one that names the zero ones."""
    lines: list[str] = []
    zero: list[str] = []
    for index, value in claims.pcrs.items():
        name = register_name(index, enclave=claims.document_type == "enclave")
        if any(value):
            lines.append(f"  PCR{index:<2} {name:<18} {value.hex()}")
        else:
            zero.append(f"{index} ({name})" if name else str(index))
    if zero:
        lines.append(f"  zero: {', '.join(zero)}")
    return lines


def field_lines(claims: Claims) -> list[str]:
    """Return the three optional fields as hex, and as text where they are text."""
    lines: list[str] = []
    for name in FIELDS:
        value: bytes | None = getattr(claims, name)
        if value is None:
            lines.append(f"{name:<11} none")
            continue
        lines.append(f"{name:<11} {len(value)} bytes  {value.hex()}".rstrip())
        text = _text(value)
        if text:
            lines.append(f"{'':<11} as text: {text}")
    return lines


def printable(text: str) -> str:
    """Escape every character that a terminal or a page might act on, and no other.

    These are control characters, line ends, marks that turn the direction of
    writing around, and halves of surrogate pairs.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def iso(moment: datetime) -> str:
    """Return a UTC time as ISO 8601 with milliseconds and Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _hex(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _text(value: bytes) -> str | None:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return printable(text)
