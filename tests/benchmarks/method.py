"""How a speed is measured on a machine that is shared, virtual and noisy.

Nothing here is a time: every figure is the ratio of a subject to a baseline that was measured in
the same run. Both are measured alternately, slice by slice, so that whatever slows the machine
slows both; the figure is the median of the slices' ratios, and their quartiles are shown with it.
A figure has a *goal*, which is what is aimed for and published, and a *gate* some way behind it,
which is what fails a run. A figure short of its goal is measured again, up to a number of
attempts, and the best counts: a disturbance only ever moves it one way for long.
"""

from __future__ import annotations

import enum
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


FEWEST_SLICES = 7


class Verdict(enum.StrEnum):
    """What a figure is, by its goal and its gate."""

    GOAL = "goal"
    SHORT = "short of goal"
    BROKEN = "GATE BROKEN"
    INFORMATION = "-"


@dataclass(frozen=True, slots=True)
class Target:
    """The goal of a figure and its gate; with `rate`, more is better (baseline / subject)."""

    goal: float
    gate: float | None = None
    rate: bool = False

    def verdict(self, ratio: float) -> Verdict:
        """Judge a ratio; one exactly at a limit has reached it."""
        if not self._beyond(ratio, self.goal):
            return Verdict.GOAL
        if self.gate is None or not self._beyond(ratio, self.gate):
            return Verdict.SHORT
        return Verdict.BROKEN

    def better(self, left: Ratio, right: Ratio) -> Ratio:
        """Return the better of two ratios."""
        return right if self._beyond(left.value, right.value) else left

    def _beyond(self, ratio: float, limit: float) -> bool:
        return ratio < limit if self.rate else ratio > limit


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the slices' ratios and their quartiles; the median times of both sides."""

    value: float
    low: float
    high: float
    baseline: float
    subject: float
    slices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the result. Without `gated`, the target is only there to be compared with."""

    row: int
    quantity: str
    ratio: Ratio
    target: Target
    gated: bool

    @property
    def verdict(self) -> Verdict:
        """What the figure is; INFORMATION when nothing is demanded of it."""
        return self.target.verdict(self.ratio.value) if self.gated else Verdict.INFORMATION


def interleave(
    baseline: Callable[[], float], subject: Callable[[], float], slices: int
) -> list[tuple[float, float]]:
    """Measure both `slices` times alternately; return (baseline, subject) of each slice.

    Which of the two comes first changes from slice to slice: neither always runs in the
    other's wake.
    """
    pairs = []
    for number in range(slices):
        if number % 2:
            second = subject()
            pairs.append((baseline(), second))
        else:
            first = baseline()
            pairs.append((first, subject()))
    return pairs


def ratio_of(pairs: Sequence[tuple[float, float]], *, rate: bool = False) -> Ratio:
    """Return the ratio subject / baseline of (baseline, subject) times; with `rate`, the inverse.

    Raises:
        ValueError: fewer than two slices, which have no spread.

    """
    if len(pairs) < 2:
        raise ValueError(f"expected at least two slices, got {len(pairs)}")
    each = [first / second if rate else second / first for first, second in pairs]
    low, value, high = statistics.quantiles(each, n=4, method="inclusive")
    baseline = statistics.median(first for first, _second in pairs)
    subject = statistics.median(second for _first, second in pairs)
    return Ratio(value, low, high, baseline, subject, len(pairs))


def best_of(target: Target, attempts: int, measure: Callable[[], Ratio]) -> Ratio:
    """Measure until the goal is reached, at most `attempts` times; return the best."""
    best = measure()
    for _again in range(attempts - 1):
        if target.verdict(best.value) is Verdict.GOAL:
            break
        best = target.better(best, measure())
    return best


@dataclass(frozen=True, slots=True)
class Method:
    """How thoroughly to measure."""

    slices: int = 9
    attempts: int = 3
    #: What the repetitions within a slice are multiplied by.
    scale: float = 1.0

    def count(self, repetitions: int) -> int:
        """Return how many repetitions a slice of usually `repetitions` has."""
        return max(1, round(repetitions * self.scale))

    def figure(
        self,
        row: int,
        quantity: str,
        target: Target,
        baseline: Callable[[], float],
        subject: Callable[[], float],
        *,
        gated: bool = True,
        slices: int = 0,
    ) -> Figure:
        """Measure one figure; `slices` is the least number that this one needs."""
        wanted = max(self.slices, slices)

        def measure() -> Ratio:
            return ratio_of(interleave(baseline, subject, wanted), rate=target.rate)

        baseline()
        subject()  # what is only slow the first time is none of the figure's business
        ratio = best_of(target, self.attempts if gated else 1, measure)
        return Figure(row=row, quantity=quantity, ratio=ratio, target=target, gated=gated)


def gate_is_broken(figures: Sequence[Figure]) -> bool:
    """Say whether any figure fails the run."""
    return any(figure.verdict is Verdict.BROKEN for figure in figures)
