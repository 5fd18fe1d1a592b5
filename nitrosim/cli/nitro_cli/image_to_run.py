"""An Enclave Image File on its way into an enclave, and what nitro-cli calls it if it is no good.

A file that nitro-cli itself cannot read is E35, one whose signature or certificate is not good E59.
All else is found by the hypervisor of real hardware when the enclave shall boot, and run-enclave
waits in vain: E36. What it was is in the backtrace, and here on standard error too.
"""

from __future__ import annotations

import sys

from nitrosim.backends.eif import image_from_file
from nitrosim.cli.nitro_cli.codes import ErrorCode
from nitrosim.cli.nitro_cli.failure import CommandError
from nitrosim.errors import EnclaveError, NitroSimError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from nitrosim.backends.image import EnclaveImage

_ACTION: Final = "Run Enclave"
_SIGNATURE_CODES: Final = frozenset(
    (
        "CERTIFICATE",
        "CERTIFICATE_EXPIRED",
        "CERTIFICATE_KEY",
        "CERTIFICATE_NOT_YET_VALID",
        "COSE",
        "SIGNATURE_INVALID",
    )
)
"""Of `EifError`: what nitro-cli looks at before it asks for memory."""

_CACHE: Final = "EIF_CACHE"


def image_to_run(path: str, *, on_signature_checked: Callable[[], None]) -> EnclaveImage:
    """Return the image of the file at `path`; the first time it is unpacked, which takes a while.

    `on_signature_checked` is called when the file has no signature or a good one, before it is
    said what else is wrong with it.

    Raises:
        CommandError: E19, E35, E36, E59.
        EnclaveError: ``EIF_CACHE``: there is no place to unpack it to.

    """

    def tell() -> None:
        if sys.stderr.isatty():
            print(f"nitrosim: unpacking {path}, this once", file=sys.stderr)

    try:
        image = image_from_file(path, on_unpacking=tell)
    except NitroSimError as error:
        if isinstance(error, EnclaveError) and error.code == _CACHE:
            raise
        if error.code in _SIGNATURE_CODES:
            raise CommandError(ErrorCode.SIGNATURE_CHECK, str(error), action=_ACTION) from error
        on_signature_checked()
        raise _refused(path, error) from error
    on_signature_checked()
    return image


def _refused(path: str, error: NitroSimError) -> CommandError:
    if error.code == "EIF_FILE":
        return CommandError(
            ErrorCode.FILE_OPERATION, str(error), action=_ACTION, info=(path, "Read")
        )
    if not _can_be_read(path):
        return CommandError(ErrorCode.EIF_PARSING, str(error), action=_ACTION)
    # ASSUMPTION: An image that the hypervisor refuses (another architecture, a wrong checksum, a
    # signature over another PCR0) is E36 for nitro-cli, like one whose init does not report.
    # DEVIATION: nitro-cli run-enclave says in a line on standard error why an image does not boot;
    # AWS's says E36 and E39.
    print(f"nitrosim: {path} does not boot: {error.code}: {error}", file=sys.stderr)
    return CommandError(ErrorCode.ENCLAVE_BOOT, f"{error.code}: {error}", action=_ACTION)


def _can_be_read(path: str) -> bool:
    """Tell whether describe-eif could read the file."""
    from nitrosim.eif.errors import EifError  # noqa: PLC0415 - only for an error
    from nitrosim.eif.reader import Eif  # noqa: PLC0415 - only for an error

    try:
        Eif.open(path).close()
    except (EifError, OSError):
        return False
    return True
