"""The sub-commands about Enclave Image Files: describe-eif, pcr and sign-eif.

Modules that read and sign images are loaded by the sub-command that needs them: an image without
a signature is described without the cryptography library.
"""

from __future__ import annotations

import sys

from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.cli.nitro_cli.output import write_json, write_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from nitrosim.cli.nitro_cli.clap import Parsed
    from nitrosim.cli.nitro_cli.context import Context

_CHUNK_BYTES: Final = 1 << 20


def describe_eif(parsed: Parsed, context: Context) -> None:
    """Print what an image is.

    Raises:
        CommandError: E35 if it cannot be read or its signature is not valid; E17 if its custom
            metadata is not an object.

    """
    from nitrosim.eif.description import describe_as_text  # noqa: PLC0415 - see the module
    from nitrosim.eif.errors import EifError  # noqa: PLC0415 - see the module
    from nitrosim.eif.reader import Eif  # noqa: PLC0415 - see the module

    action = "Describe EIF"
    path = parsed.value("eif-path") or ""
    try:
        with Eif.open(path) as eif:
            text = describe_as_text(eif, context.environment.version)
    except EifError as error:
        reason = ErrorCode.SERDE if error.code == "CUSTOM_METADATA" else ErrorCode.EIF_PARSING
        raise CommandError(reason, f"Cannot describe {path}: {error}", action=action) from error
    except OSError as error:
        cause = f"Cannot open {path}: {error.strerror}"
        raise CommandError(ErrorCode.EIF_PARSING, cause, action=action) from error
    write_output(text)


def pcr(parsed: Parsed, _context: Context) -> None:
    """Print the PCR that measures a file, or a signing certificate.

    Raises:
        CommandError: E19 if the file cannot be read; E57 if it should be a certificate and none
            can be found in it.

    """
    from nitrosim.eif.measure import pcr as measured  # noqa: PLC0415 - see the module

    certificate = parsed.value("signing-certificate")
    if certificate is None:
        name, value = "PCR", measured(_chunks(parsed.value("input") or ""))
    else:
        name, value = "PCR8", measured([_der(b"".join(_chunks(certificate)))])
    write_json({name: value.hex()})


def sign_eif(parsed: Parsed, context: Context) -> None:
    """Sign an image, or sign it again, and print its measurements.

    Raises:
        CommandError: E01 if no image is named; E60 if certificate or key are missing, cannot be
            used, or the image cannot be read or written.

    """
    action = "Sign EIF"
    path = parsed.value("eif-path")
    if path is None:
        # nitro-cli forgets to say which argument it is about.
        raise CommandError(
            ErrorCode.MISSING_ARGUMENT, "`eif-path` argument not found", action=action
        )
    certificate = parsed.value("signing-certificate")
    key = parsed.value("private-key")
    if certificate is None or key is None:
        cause = "Signing certificate and private key were not given"
        raise CommandError(ErrorCode.SIGNING, cause, action=action)
    from nitrosim.eif.errors import EifError  # noqa: PLC0415 - see the module
    from nitrosim.eif.signing import PemSigner  # noqa: PLC0415 - see the module
    from nitrosim.eif.writer import sign_eif as sign  # noqa: PLC0415 - see the module

    try:
        measurements = sign(path, PemSigner.from_files(certificate, key))
    except EifError as error:
        raise CommandError(
            ErrorCode.SIGNING, f"Cannot sign {path}: {error}", action=action
        ) from error
    except OSError as error:
        cause = f"Cannot use {error.filename}: {error.strerror}"
        raise CommandError(ErrorCode.SIGNING, cause, action=action) from error
    print("Enclave Image successfully signed.", file=sys.stderr)
    write_json({"Measurements": {**measurements.as_json(context.environment.version)}})


def _chunks(path: str) -> Iterator[bytes]:
    """Yield the content of a file."""
    operation = "Open"
    try:
        with open(path, "rb") as file:
            operation = "Read"
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise CommandError(
            ErrorCode.FILE_OPERATION,
            f"Cannot measure {path}: {error.strerror}",
            action="Calculate PCR",
            info=(path, operation),
        ) from error


def _der(pem: bytes) -> bytes:
    """Return the DER form of the first certificate."""
    from nitrosim.eif.certificate import SigningCertificate  # noqa: PLC0415 - see the module
    from nitrosim.eif.errors import EifError  # noqa: PLC0415 - see the module

    try:
        return SigningCertificate.from_pem(pem).der
    except EifError as error:
        raise CommandError(
            ErrorCode.HASHER, f"Cannot measure: {error}", action="Calculate PCR"
        ) from error
