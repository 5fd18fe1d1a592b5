"""Where time and randomness come from: both are given by the caller, never taken from the system.

With a fixed clock and a seeded entropy the whole module is a function of the requests it got: the
documents come out byte-identical, because keys are derived from the entropy and ECDSA signs
deterministically (RFC 6979).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

Clock = Callable[[], int]
"""Return the present as milliseconds since 1970-01-01T00:00:00Z."""

Entropy = Callable[[int], bytes]
"""Return that many random bytes; ``os.urandom`` has this shape."""


def seeded_entropy(seed: bytes) -> Entropy:
    """Return a reproducible entropy: the n-th call yields SHAKE-256 of the seed and n.

    Two entropies with equal seeds give equal bytes for equal sequences of calls. It is as
    unpredictable as the seed is: never use it outside tests.
    """
    calls = 0

    def draw(length: int) -> bytes:
        nonlocal calls
        block = hashlib.shake_256(seed + calls.to_bytes(8, "big")).digest(length)
        calls += 1
        return block

    return draw
