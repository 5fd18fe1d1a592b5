"""Time: certificates and the document itself, live and historic."""

from __future__ import annotations

from datetime import timedelta

from forgery.case import Made, accept, judged, refuse
from forgery.forge import Forge

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_LONG_S = 400 * 24 * 3600
"""A greatest age that never matters, in seconds."""


def _at(forge: Forge, offset: timedelta) -> int:
    """Return a timestamp relative to the time of issue, in milliseconds."""
    return int((forge.now + offset).timestamp() * 1000)


@accept("clock-skew", weight="should")
def clock_slower_than_the_back_dating(forge: Forge) -> Made:
    """The verifier's clock is 20 s behind: the leaf has not yet begun, within the leeway."""
    return judged(forge.document(), time=forge.now - timedelta(seconds=20))


@accept("wrong-clock")
def archived_judged_at_its_own_time(forge: Forge) -> Made:
    """Years later, judged as of its own timestamp: genuine when it was made."""
    return judged(forge.document(), time=forge.now + 2000 * _DAY, live=False)


@accept("wrong-clock")
def historic_before_its_time(forge: Forge) -> Made:
    """The verifier's clock is years behind, and does not matter to a historic judgement."""
    return judged(forge.document(), time=forge.now - 2000 * _DAY, live=False)


@accept("no-validity-check")
def oldest_that_is_fresh(forge: Forge) -> Made:
    """Exactly as old as the caller allows."""
    return judged(forge.document(), time=forge.now + timedelta(seconds=300))


@accept("clock-skew", weight="should")
def ahead_within_the_skew(forge: Forge) -> Made:
    """The module's clock is exactly as far ahead as the caller allows."""
    return judged(forge.document(), time=forge.now - timedelta(seconds=30))


@accept("no-validity-check")
def first_second_of_the_leaf(forge: Forge) -> Made:
    """Issued and judged in the first second of the leaf's validity; bounds are inclusive."""
    begin = forge.levels["leaf"].begin
    document = forge.document(timestamp=_at(forge, begin - forge.now))
    return judged(document, time=begin)


@accept("no-validity-check")
def last_second_of_the_leaf(forge: Forge) -> Made:
    """Issued and judged in the last second of the leaf's validity; bounds are inclusive."""
    end = forge.levels["leaf"].end
    return judged(forge.document(timestamp=_at(forge, end - forge.now)), time=end)


@accept("no-validity-check")
def leaf_nearly_three_hours_old(forge: Forge) -> Made:
    """A fresh document by a leaf that was issued 2 h 22 min before, as enclaves do for months."""
    later = timedelta(hours=2, minutes=22)
    document = forge.document(timestamp=_at(forge, later))
    return judged(document, time=forge.now + later)


@refuse("DOCUMENT_TOO_OLD", "wrong-clock")
def too_old_by_a_millisecond(forge: Forge) -> Made:
    """One millisecond older than the caller allows; all certificates are still valid."""
    return judged(forge.document(), time=forge.now + timedelta(seconds=300, milliseconds=1))


@refuse("DOCUMENT_TOO_OLD", "wrong-clock", "binding")
def replayed_after_an_hour(forge: Forge) -> Made:
    """Replayed after an hour; all certificates are still valid."""
    return judged(forge.document(), time=forge.now + _HOUR, expect={})


@refuse("DOCUMENT_FROM_FUTURE", "wrong-clock")
def from_the_future(forge: Forge) -> Made:
    """The timestamp is ahead by one millisecond more than the caller allows."""
    ahead = timedelta(seconds=30, milliseconds=1)
    return forge.document(timestamp=_at(forge, ahead))


@refuse("DOCUMENT_FROM_FUTURE", "wrong-clock")
def timestamp_in_microseconds(forge: Forge) -> Made:
    """The timestamp counts in microseconds: thousands of years ahead."""
    stamp = _at(forge, timedelta(0)) * 100
    forge.change("leaf", end=forge.now.replace(year=9999))
    return forge.document(timestamp=stamp)


@refuse("TIMESTAMP_OUTSIDE_LEAF", "wrong-clock", "no-validity-check")
def timestamp_before_the_leaf(forge: Forge) -> Made:
    """The timestamp is one second before the leaf begins."""
    return forge.document(timestamp=_at(forge, timedelta(seconds=-4)))


@refuse("TIMESTAMP_OUTSIDE_LEAF", "wrong-clock", "no-validity-check")
def timestamp_in_seconds(forge: Forge) -> Made:
    """The timestamp counts in seconds: it lies in January 1970."""
    return judged(forge.document(timestamp=int(forge.now.timestamp())), max_age_s=_LONG_S)


@refuse("CERTIFICATE_EXPIRED", "no-validity-check")
def leaf_expired(forge: Forge) -> Made:
    """The leaf has ended a second ago; the caller allows documents of any age."""
    time = forge.levels["leaf"].end + timedelta(seconds=1)
    return judged(forge.document(), time=time, max_age_s=_LONG_S)


@refuse("CERTIFICATE_EXPIRED", "no-validity-check", "wrong-clock")
def months_later(forge: Forge) -> Made:
    """Months later, judged live: genuine once, and long expired."""
    return judged(forge.document(), time=forge.now + 100 * _DAY, max_age_s=_LONG_S)


@refuse("CERTIFICATE_EXPIRED", "no-validity-check")
def historic_with_an_expired_leaf(forge: Forge) -> Made:
    """Judged as of its own timestamp, at which the leaf had already ended."""
    end = forge.levels["leaf"].end + timedelta(seconds=1)
    return judged(forge.document(timestamp=_at(forge, end - forge.now)), live=False)


@refuse("CERTIFICATE_NOT_YET_VALID", "clock-skew")
def clock_far_behind(forge: Forge) -> Made:
    """The verifier's clock is 34 s behind: the leaf begins after the leeway, and the code says
    that it is the clock."""
    return judged(forge.document(), time=forge.now - timedelta(seconds=34))


@refuse("CERTIFICATE_NOT_YET_VALID", "no-validity-check")
def historic_before_the_leaf(forge: Forge) -> Made:
    """Judged as of its own timestamp, a second before the leaf begins; there is no leeway
    because there is no clock that could be wrong."""
    forge.change("leaf", begin=forge.now + timedelta(seconds=1))
    return judged(forge.document(), live=False)
