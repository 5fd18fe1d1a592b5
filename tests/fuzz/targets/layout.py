"""The payload in its usual layout, against the reader for CBOR in general.

The verifier reads payloads that are laid out as modules lay them out without walking over their
items. Whatever it makes of the bytes that way, the general reader finds the same in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzzing import library, oracle
from nitrosim.attestation._cbor import CborError, decode
from nitrosim.attestation._layout import read_usual

if TYPE_CHECKING:
    from collections.abc import Sequence


def seeds() -> Sequence[bytes]:
    """Return the payloads of the corpus."""
    return library.payloads()


def target(data: bytes) -> None:
    """Read both ways, and compare."""
    usual = read_usual(data)
    if usual is None:
        return
    try:
        general = decode(data, indefinite=True, shortest=False)
    except CborError as error:
        raise AssertionError("read in a way that the general reader refuses") from error
    assert oracle.same(general, usual)
