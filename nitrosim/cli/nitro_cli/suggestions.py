"""What somebody may have meant who wrote a name that does not exist.

Names are suggested whose Jaro similarity is more than 0.7. Half a transposition is not counted,
as in the Rust library strsim 0.11, which clap uses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_ENOUGH: Final = 0.7


def similar(word: str, names: Sequence[str]) -> list[str]:
    """Return the names that `word` may be a slip for, the likeliest last."""
    scored = [(jaro(word, name), name) for name in names]
    close = [(score, name) for score, name in scored if score > _ENOUGH]
    # Of equally likely ones, the later of them comes later.
    return [name for _score, name in sorted(close, key=lambda pair: pair[0])]


def jaro(first: str, second: str) -> float:
    """Return the Jaro similarity of two texts, 0 to 1."""
    if not first or not second:
        return float(first == second)
    reach = max(0, max(len(first), len(second)) // 2 - 1)
    taken = [False] * len(second)
    matches: list[str] = []
    for at, character in enumerate(first):
        for other in range(max(0, at - reach), min(len(second), at + reach + 1)):
            if not taken[other] and second[other] == character:
                taken[other] = True
                matches.append(character)
                break
    if not matches:
        return 0.0
    in_second = [character for character, hit in zip(second, taken, strict=True) if hit]
    swapped = sum(a != b for a, b in zip(matches, in_second, strict=True)) // 2
    count = len(matches)
    return (count / len(first) + count / len(second) + (count - swapped) / count) / 3
