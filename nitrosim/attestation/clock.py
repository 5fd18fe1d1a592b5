"""Which time a document is judged at: live or historic, chosen by the caller.

Leaf certificates live for three hours, while the timestamp is under the
signature. So there are two honest questions, and mixing them up is a bug seen in
the field in both directions: archived documents that nobody can verify any more,
and months-old documents taken as fresh.

* `Live`: is this document fresh? All certificates are valid now, and the timestamp
  is at most `max_age` old and at most `skew` ahead of our clock.
* `Historic`: was this document genuine when it was made? All certificates were
  valid at its timestamp. Proves nothing about freshness: anyone can replay it.

Leaves are back-dated by three seconds only, so a verifier whose clock is a little
slow sees fresh documents as not yet valid. `skew` is the leeway for that, on
the beginning of validity and never on its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from nitrosim.attestation.errors import Code

Clock: TypeAlias = Callable[[], datetime]
"""Returns the current time as an aware datetime."""

# ASSUMPTION: AWS KMS accepts documents of up to five minutes, which is widely said and not
# documented; it is the verifier's default maximum age.
DEFAULT_MAX_AGE: Final = timedelta(minutes=5)
"""Greatest age that `Live` accepts unless told otherwise."""

DEFAULT_SKEW: Final = timedelta(seconds=30)
"""How far the module's clock may be ahead of ours unless told otherwise."""


def system_clock() -> datetime:
    """Return the machine's time, UTC."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Live:
    """Judge freshness by the verifier's clock.

    Attributes:
        max_age: greatest accepted age of the document; positive.
        skew: how far the module's clock may be ahead of ours; not negative.

    Raises `ExpectationError` for other periods.

    """

    max_age: timedelta = DEFAULT_MAX_AGE
    skew: timedelta = DEFAULT_SKEW

    def __post_init__(self) -> None:
        if _period("max_age", self.max_age) <= timedelta(0):
            raise Code.CLOCK("max_age", got=self.max_age, expected="more than zero")
        if _period("skew", self.skew) < timedelta(0):
            raise Code.CLOCK("skew", got=self.skew, expected="zero or more")


@dataclass(frozen=True, slots=True)
class Historic:
    """Judge the document at its own timestamp, whenever that was. Not a freshness check."""


TimeMode: TypeAlias = Live | Historic


def read_clock(now: Clock) -> datetime:
    """Read a caller's clock as UTC. Raises `ExpectationError` for a time without zone."""
    moment: object = now()
    # A time without zone would be taken for local time, hours off the module's UTC.
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise Code.CLOCK("the clock's time", got=repr(moment), expected="an aware datetime")
    return moment.astimezone(UTC)


def require_time_mode(mode: object) -> None:
    """Raise `ExpectationError` unless `mode` is `Live` or `Historic` (an object, not the class)."""
    if not isinstance(mode, Live | Historic):
        raise Code.CLOCK("time", got=repr(mode), expected="Live(...) or Historic()")


def _period(name: str, value: object) -> timedelta:
    if not isinstance(value, timedelta):
        raise Code.CLOCK(name, got=repr(value), expected="a timedelta")
    return value


def check_age(timestamp: datetime, now: datetime, mode: Live) -> timedelta:
    """Check that a document made at `timestamp` is fresh at `now`; return its age.

    Raises `TimeError`, with distinct codes for too old and from the future.
    """
    age = now - timestamp
    if age > mode.max_age:
        raise Code.DOCUMENT_TOO_OLD(
            "age of the document", got=age, expected=f"at most {mode.max_age}"
        )
    if -age > mode.skew:
        raise Code.DOCUMENT_FROM_FUTURE(
            "timestamp ahead of the clock", got=-age, expected=f"at most {mode.skew}"
        )
    return age
