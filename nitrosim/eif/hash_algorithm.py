"""What nitro-cli calls the hash of its measurements.

It is the debug text of a Rust object, which changed when nitro-cli 1.5.0 took a newer library. This
is a module of its own because describe-enclaves needs nothing else of this package.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

DEFAULT_CLI_VERSION: Final = "1.5.0"
"""The nitro-cli whose output is imitated unless another one is asked for."""

_FIRST_WITH_NEW_NAME: Final = (1, 5)


def hash_algorithm(version: str = DEFAULT_CLI_VERSION) -> str:
    """Return what a nitro-cli of this version prints as HashAlgorithm.

    Raises:
        EifError: `CLI_VERSION`.

    """
    parts = version.split(".")
    if len(parts) < len(_FIRST_WITH_NEW_NAME) or not all(
        p.isascii() and p.isdigit() for p in parts
    ):
        from nitrosim.eif.errors import Code  # noqa: PLC0415 - see above

        raise Code.CLI_VERSION("version of nitro-cli", got=version, expected="one like 1.5.0")
    newer = (int(parts[0]), int(parts[1])) >= _FIRST_WITH_NEW_NAME
    return "Sha512_48 { .. }" if newer else "Sha384 { ... }"
