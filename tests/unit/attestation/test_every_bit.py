"""One small document, and everything next to it: each bit flipped, each byte missing or doubled.

All of it is refused, with as few demands as there can be. Of the certificates, whose signatures
take most of the time, one bit in each byte.
"""

from __future__ import annotations

import random

import pytest

from forgery.forge import Forge
from nitrosim.attestation import (
    AttestationError,
    Historic,
    UnsafeSkipPcrs,
    Verifier,
    read_unverified,
)


@pytest.fixture(scope="module")
def small():
    """Return a good document of 1.5 KB, whose leaf the root has issued, and its verifier."""
    forge = Forge("small")
    forge.levels = {name: forge.levels[name] for name in ("root", "leaf")}
    pcrs = {index: value for index, value in forge.pcrs().items() if index in {0, 1, 2, 4}}
    return forge.document(pcrs=pcrs), Verifier([forge.root])


def outside_certificates(document):
    """Return the offsets of all bytes that are not in a certificate."""
    claims = read_unverified(document).claims
    inside = set()
    for der in (*claims.cabundle, claims.certificate):
        at = document.index(der)
        inside.update(range(at, at + len(der)))
    return [at for at in range(len(document)) if at not in inside]


def is_accepted(verifier, document):
    try:
        verifier.verify(document, UnsafeSkipPcrs(), time=Historic(), allow_debug=True, strict=False)
    except AttestationError:
        return False
    return True


def accepted(small, mutants):
    """Return where a mutant is accepted; the document itself must be."""
    document, verifier = small
    assert is_accepted(verifier, document)
    return [at for at, mutant in mutants if is_accepted(verifier, mutant)]


def flipped(document, at, bit):
    return document[:at] + bytes([document[at] ^ 1 << bit]) + document[at + 1 :]


def test_every_flipped_bit_outside_the_certificates_is_refused(small):
    document, _ = small
    outside = outside_certificates(document)

    assert 400 < len(outside) < 600
    assert [] == accepted(
        small, ((at, flipped(document, at, bit)) for at in outside for bit in range(8))
    )


def test_a_flipped_bit_in_every_byte_of_the_certificates_is_refused(small):
    document, _ = small
    choose = random.Random(0)
    inside = sorted(set(range(len(document))) - set(outside_certificates(document)))

    assert [] == accepted(
        small, ((at, flipped(document, at, choose.randrange(8))) for at in inside)
    )


def test_every_missing_and_every_doubled_byte_is_refused(small):
    document, _ = small
    every = range(len(document))

    assert [] == accepted(small, ((at, document[:at] + document[at + 1 :]) for at in every))
    assert [] == accepted(small, ((at, document[: at + 1] + document[at:]) for at in every))


def test_every_beginning_is_refused_and_so_is_every_end(small):
    document, _ = small

    assert [] == accepted(small, ((at, document[:at]) for at in range(len(document))))
    assert [] == accepted(small, ((at, document[at:]) for at in range(1, len(document))))
