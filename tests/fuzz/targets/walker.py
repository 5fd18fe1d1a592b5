"""The reader for CBOR.

Whatever the bytes: a value or a `CborError`. A value is the one that cbor2 reads. What is
accepted with fewer liberties is accepted with more, as the same value; without any, its one
encoding is the input. What is cut short or is no text is refused by cbor2 too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cbor2

from fuzzing import library, oracle
from nitrosim.attestation._cbor import CborError, Problem, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

_REFUSED = object()
_MORE = (b"\x83\x01\x20\xf6", b"\xa1\x01\x18\x01", b"\x9f\xbf\x61\x61\x9f\xff\xff\xff")


def seeds() -> Sequence[bytes]:
    """Return documents, what is in them, and some small things."""
    return [*_MORE, *library.payloads(), *library.documents()]


def target(data: bytes) -> None:
    """Read with all combinations of options, and compare."""
    both, longer, endless, strict = (
        _attempt(data, indefinite=indefinite, shortest=shortest)
        for indefinite in (True, False)
        for shortest in (False, True)
    )
    # With a liberty the same is read as without it.
    for freer, stricter in ((both, longer), (both, endless), (longer, strict), (endless, strict)):
        assert stricter is _REFUSED or oracle.same(freer, stricter)
    if both is _REFUSED:
        return
    assert _readable(data)
    assert oracle.same(cbor2.loads(data), both)
    # The one encoding is what cbor2 writes: definite, shortest, in the same order.
    assert (strict is not _REFUSED) == (data == cbor2.dumps(both))


def _attempt(data: bytes, *, indefinite: bool, shortest: bool) -> object:
    try:
        return decode(data, indefinite=indefinite, shortest=shortest)
    except CborError as error:
        oracle.check_refusal(error)
        _check(error, data, indefinite=indefinite, shortest=shortest)
        return _REFUSED


def _check(error: CborError, data: bytes, *, indefinite: bool, shortest: bool) -> None:
    """Assert that the reason of a refusal can be one."""
    assert 0 <= error.offset <= len(data)
    assert not (indefinite and error.problem is Problem.INDEFINITE)
    assert shortest or error.problem is not Problem.NOT_SHORTEST
    assert error.problem not in {Problem.TRUNCATED, Problem.UTF8} or not _readable(data)


def _readable(data: bytes) -> bool:
    try:
        cbor2.loads(data)
    except (cbor2.CBORDecodeError, OverflowError, RecursionError):
        return False
    return True
