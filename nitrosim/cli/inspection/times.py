"""Times as people read them: how long, how long ago, how long still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENC_MARK: Final = "-enc"
_UNITS: Final = (
    ("y", 31_557_600, "d", 86400),
    ("d", 86400, "h", 3600),
    ("h", 3600, "min", 60),
    ("min", 60, "s", 1),
)
"""Unit, its seconds, the next smaller unit, its seconds. A year has 365.25 days."""


def span(period: timedelta) -> str:
    """Return a length of time in its two largest units, rounded to seconds, without its sign."""
    seconds = abs(round(period.total_seconds()))
    for unit, size, smaller, smaller_size in _UNITS:
        if seconds >= size:
            rest = seconds % size // smaller_size
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def relative(age: timedelta) -> str:
    """Return how long ago something `age` old was: ``3 d 2 h ago``, or ``... from now``."""
    return f"{span(age)} from now" if age < timedelta(0) else f"{span(age)} ago"


def remaining(left: timedelta) -> str:
    """Return what is left of a life: ``2 h 59 min left``, or ``ended 3 d ago``."""
    return f"ended {span(left)} ago" if left < timedelta(0) else f"{span(left)} left"


def stamp(moment: datetime) -> str:
    """Return a UTC time for people: to the second, with milliseconds where there are any."""
    exact = "milliseconds" if moment.microsecond else "seconds"
    return f"{moment.replace(tzinfo=None).isoformat(' ', exact)} UTC"


def from_milliseconds(milliseconds: int) -> datetime | None:
    """Return a time since 1970, or None beyond Python's calendar, which ends with the year 9999."""
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def launch_time(module_id: str) -> datetime | None:
    """Return the launch time that an enclave's module id carries in its first 48 bits, or None.

    Observed in real documents: milliseconds since 1970, always before the timestamp.
    """
    digits = module_id.partition(_ENC_MARK)[2]
    if len(digits) != 16 or not set(digits) <= set("0123456789abcdef"):
        return None
    return from_milliseconds(int(digits[:12], 16))
