"""`Verifier.verify` with the real cryptography, on any bytes.

Whatever the bytes: a verified document or an `AttestationError`. Verified is only what somebody
with the keys has made, as found in the corpus, and what the cryptography package verifies too.
Of one content there are four documents, because nobody signs the tag in front and (r, n - s) is
as good as (r, s). Strict mode refuses more, and what it accepts is the same.
"""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import TYPE_CHECKING

import cbor2

from fuzzing import library, oracle, seals, signatures
from fuzzing.tree import Kind, read
from nitrosim.attestation import (
    AttestationError,
    DocumentType,
    Historic,
    UnsafeSkipPcrs,
    VerifiedDocument,
    Verifier,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_TAG = 6


def seeds() -> Sequence[bytes]:
    """Return all documents of the corpus."""
    return library.documents()


def target(data: bytes) -> None:
    """Verify as either type, strictly or not, and compare."""
    accepted = [_checked(data, kind) for kind in DocumentType]
    assert sum(accepted) <= 1
    assert not any(accepted) or _identity(data) in _made()


def _checked(data: bytes, kind: DocumentType) -> bool:
    """Verify as one type; tell whether it is accepted without strictness."""
    lenient, strict = (_verify(data, kind, strict=strict) for strict in (False, True))
    if lenient is None:
        assert strict is None
        return False
    assert strict is None or strict == lenient
    oracle.check_content(lenient, data)
    oracle.check_chain(
        lenient,
        pin=lenient.root_sha256,
        at=lenient.timestamp,
        leeway=timedelta(0),
        strict=strict is not None,
        is_signed=signatures.is_signed,
    )
    protected, payload, r, s = _identity(data)
    message = cbor2.dumps(["Signature1", protected, b"", payload])
    assert signatures.is_signed(oracle.point(lenient.certificate), r, s, message)
    return True


def _verify(data: bytes, kind: DocumentType, *, strict: bool) -> VerifiedDocument | None:
    try:
        return _verifier().verify(
            data,
            UnsafeSkipPcrs(),
            time=Historic(),
            document_type=kind,
            allow_debug=True,
            strict=strict,
        )
    except AttestationError as error:
        oracle.check_refusal(error)
        return None


@functools.cache
def _verifier() -> Verifier:
    """Return a verifier that trusts every root of the corpus and remembers no chains."""
    roots = {case["root"]: library.root(case) for case in library.good_cases()}
    return Verifier(roots.values(), load_key=signatures.load_key, chain_cache=0)


@functools.cache
def _made() -> frozenset[tuple[bytes, bytes, int, int]]:
    """Return what somebody with the keys has made, good or bad, as far as it can be read."""
    trees = map(read, library.documents())
    envelopes = (tree.children[0] if tree.first == _TAG else tree for tree in trees)
    return frozenset(
        _distinct(*(part.body() for part in (parts[0], parts[2], parts[3])))
        for parts in (envelope.children for envelope in envelopes if envelope.kind is Kind.CBOR)
        if len(parts) >= 4
    )


def _identity(data: bytes) -> tuple[bytes, bytes, int, int]:
    """Return what distinguishes a document from those that mean the same."""
    envelope = cbor2.loads(data)
    parts = envelope.value if isinstance(envelope, cbor2.CBORTag) else envelope
    return _distinct(parts[0], parts[2], parts[3])


def _distinct(protected: bytes, payload: bytes, signature: bytes) -> tuple[bytes, bytes, int, int]:
    r, s = (int.from_bytes(signature[half : half + 48], "big") for half in (0, 48))
    return protected, payload, r, min(s, seals.ORDER - s)
