"""Read, measure, sign and write Enclave Image Files (.eif), on any operating system.

::

    from nitrosim.eif import Eif, describe

    with Eif.open("hello.eif") as eif:
        print(eif.measure().pcr0.hex())
        print(describe(eif)["IsSigned"])

Importing this package loads nothing; reading an image without a signature does not load the
cryptography library. What is refused is an `EifError`; the list of its codes is in
`nitrosim.eif.errors`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from nitrosim.eif.description import describe, describe_as_text
    from nitrosim.eif.errors import EifError, EifWarning
    from nitrosim.eif.measure import Measurements, pcr
    from nitrosim.eif.metadata import BuildInfo, Metadata
    from nitrosim.eif.reader import Eif
    from nitrosim.eif.sections import Section, SectionType
    from nitrosim.eif.signing import PemSigner, Signer
    from nitrosim.eif.writer import sign_eif, write_eif

__all__ = [
    "BuildInfo",
    "Eif",
    "EifError",
    "EifWarning",
    "Measurements",
    "Metadata",
    "PemSigner",
    "Section",
    "SectionType",
    "Signer",
    "describe",
    "describe_as_text",
    "pcr",
    "sign_eif",
    "write_eif",
]

_HOMES = {
    "BuildInfo": "metadata",
    "Eif": "reader",
    "EifError": "errors",
    "EifWarning": "errors",
    "Measurements": "measure",
    "Metadata": "metadata",
    "PemSigner": "signing",
    "Section": "sections",
    "SectionType": "sections",
    "Signer": "signing",
    "describe": "description",
    "describe_as_text": "description",
    "pcr": "measure",
    "sign_eif": "writer",
    "write_eif": "writer",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only who asks pays

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
