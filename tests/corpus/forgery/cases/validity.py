"""Validity of certificates: how times are written, and that all five are valid at one time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from forgery import der
from forgery.case import Made, accept, judged, refuse
from forgery.forge import Forge

_SECOND = timedelta(seconds=1)

# How times are written


def _times(forge: Forge, *, begin: tuple[int, str] | None, end: tuple[int, str] | None) -> Made:
    """Write one of the leaf's two times as tag and text; the other stays what it is."""
    leaf = forge.levels["leaf"]
    times = (
        der.tlv(odd[0], odd[1].encode()) if odd else der.moment(good)
        for odd, good in ((begin, leaf.begin), (end, leaf.end))
    )
    return forge.edit("leaf", "validity", der.tlv(0x30, *times)).document()


def _begin(forge: Forge, text: str, tag: int = 0x17) -> Made:
    return _times(forge, begin=(tag, text), end=None)


def _end(forge: Forge, text: str, tag: int = 0x17) -> Made:
    return _times(forge, begin=None, end=(tag, text))


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def without_z(forge: Forge) -> Made:
    """The leaf's begin has a digit where Z should be."""
    return _begin(forge, "2606011100000")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "no-validity-check")
def with_an_offset(forge: Forge) -> Made:
    """The leaf's end is given with an offset from UTC: it is earlier than its digits say."""
    return _end(forge, "260601150000+0400")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def with_an_offset_of_zero(forge: Forge) -> Made:
    """The leaf's end is given with an offset from UTC of nothing."""
    return _end(forge, "260601150000+0000")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def without_seconds(forge: Forge) -> Made:
    """The leaf's begin has no seconds, which DER does not allow."""
    return _begin(forge, "2606011100Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def with_a_letter(forge: Forge) -> Made:
    """The leaf's end has a letter among its digits."""
    return _end(forge, "26060115000xZ")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def with_a_sign(forge: Forge) -> Made:
    """The leaf's begin has a minus sign in front."""
    return _begin(forge, "-60601110000Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def with_a_space(forge: Forge) -> Made:
    """The leaf's end has a space instead of its first digit of the day."""
    return _end(forge, "2606 1150000Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "no-validity-check")
def empty(forge: Forge) -> Made:
    """The leaf's end is an empty string."""
    return _end(forge, "")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def month_13(forge: Forge) -> Made:
    """The leaf begins in a thirteenth month."""
    return _begin(forge, "251301120000Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def month_0(forge: Forge) -> Made:
    """The leaf begins in a month 0."""
    return _begin(forge, "260001120000Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def day_30_february(forge: Forge) -> Made:
    """The leaf begins on 30 February."""
    return _begin(forge, "260230120000Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def day_29_february_2025(forge: Forge) -> Made:
    """The leaf begins on 29 February of a year that has none."""
    return _begin(forge, "250229120000Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def day_31_june(forge: Forge) -> Made:
    """The leaf ends on 31 June."""
    return _end(forge, "260631120000Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def hour_24(forge: Forge) -> Made:
    """The leaf ends at 24 o'clock."""
    return _end(forge, "260601240000Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def minute_60(forge: Forge) -> Made:
    """The leaf ends in a minute 60."""
    return _end(forge, "260601146000Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def second_60(forge: Forge) -> Made:
    """The leaf ends in a second 60, as if a leap second came."""
    return _end(forge, "260601145960Z")


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def generalized_before_2050(forge: Forge) -> Made:
    """The leaf ends in 2026 and writes it as GeneralizedTime, which RFC 5280 keeps for later."""
    return _end(forge, "20260601150000Z", 0x18)


@refuse("CERTIFICATE_MALFORMED", "der-strictness", weight="should")
def generalized_with_a_fraction(forge: Forge) -> Made:
    """The leaf ends in 2050 and a half second."""
    return _end(forge, "20500601150000.5Z", 0x18)


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def generalized_named_utc(forge: Forge) -> Made:
    """The leaf's end has four digits of year and the tag of UTCTime: read so, it ends in 2020."""
    return _end(forge, "20260601150000Z", 0x17)


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def of_another_type(forge: Forge) -> Made:
    """The leaf's end is a UTF8String."""
    return _end(forge, "260601150000Z", 0x0C)


@refuse("CERTIFICATE_MALFORMED", "der-strictness", "no-validity-check")
def one_time(forge: Forge) -> Made:
    """The leaf has a begin and no end."""
    begin = der.moment(forge.levels["leaf"].begin)
    return forge.edit("leaf", "validity", der.tlv(0x30, begin)).document()


@refuse("CERTIFICATE_MALFORMED", "der-strictness")
def three_times(forge: Forge) -> Made:
    """A third time, far in the future, follows the leaf's begin and end."""
    leaf = forge.levels["leaf"]
    times = (leaf.begin, leaf.end, leaf.end + timedelta(days=3650))
    return forge.edit("leaf", "validity", der.tlv(0x30, *map(der.moment, times))).document()


# Years


@refuse("CERTIFICATE_EXPIRED", "no-validity-check")
def two_digits_that_mean_1950(forge: Forge) -> Made:
    """The leaf ends in a year 50 of two digits, which is 1950 and not 2050."""
    return _end(forge, "500601120000Z")


@accept("no-validity-check", weight="should")
def two_digits_that_mean_2049(forge: Forge) -> Made:
    """The leaf ends in the last second that two digits of year can say: 2049-12-31T23:59:59Z."""
    return _end(forge, "491231235959Z")


@accept("no-validity-check", weight="should")
def begin_in_1950(forge: Forge) -> Made:
    """The trusted root begins in 1950, the first year that two digits can say."""
    begin = datetime(1950, 1, 1, tzinfo=UTC)
    times = der.tlv(0x17, b"500101000000Z") + der.moment(forge.levels["root"].end)
    forge.change("root", begin=begin).edit("root", "validity", der.tlv(0x30, times))
    return forge.trust_own_root().document()


@accept("partition", "real-profile")
def root_ends_after_2050(forge: Forge) -> Made:
    """The trusted root ends in 2050, so its end is a GeneralizedTime: AWS's root for GovCloud."""
    end = datetime(2050, 9, 10, 13, 3, 46, tzinfo=UTC)
    return forge.change("root", end=end).trust_own_root().document()


@accept("no-validity-check", weight="should")
def root_never_ends(forge: Forge) -> Made:
    """The trusted root ends in 9999, which is how RFC 5280 says never."""
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    return forge.change("root", end=end).trust_own_root().document()


# All five at one time


@refuse("CERTIFICATE_EXPIRED", "no-validity-check", weight="should")
def root_expired(forge: Forge) -> Made:
    """The trusted root has ended a second ago."""
    return forge.change("root", end=forge.now - _SECOND).trust_own_root().document()


@refuse("CERTIFICATE_EXPIRED", "no-validity-check")
def regional_expired(forge: Forge) -> Made:
    """The regional CA has ended a second ago; all others are valid."""
    return forge.change("regional", end=forge.now - _SECOND).document()


@refuse("CERTIFICATE_EXPIRED", "no-validity-check")
def zonal_expired(forge: Forge) -> Made:
    """The zonal CA has ended a second ago; all others are valid."""
    return forge.change("zonal", end=forge.now - _SECOND).document()


@refuse("CERTIFICATE_EXPIRED", "no-validity-check")
def instance_expired(forge: Forge) -> Made:
    """The instance CA has ended a second ago; all others are valid."""
    return forge.change("instance", end=forge.now - _SECOND).document()


@refuse("CERTIFICATE_EXPIRED", "no-validity-check")
def instance_expired_historic(forge: Forge) -> Made:
    """The instance CA had ended a second before the document's own time, at which it is judged."""
    return judged(
        forge.change("instance", end=forge.now - _SECOND).document(),
        live=False,
        time=forge.now + timedelta(days=400),
    )


@refuse("CERTIFICATE_EXPIRED", "no-validity-check")
def leaf_ends_before_it_begins(forge: Forge) -> Made:
    """The leaf ends an hour before it begins."""
    return forge.change("leaf", end=forge.now - timedelta(hours=1)).document()


@refuse("CERTIFICATE_NOT_YET_VALID", "no-validity-check", weight="should")
def root_not_yet_valid(forge: Forge) -> Made:
    """The trusted root begins in an hour."""
    return _later(forge, "root").trust_own_root().document()


@refuse("CERTIFICATE_NOT_YET_VALID", "no-validity-check")
def regional_not_yet_valid(forge: Forge) -> Made:
    """The regional CA begins in an hour; all others are valid."""
    return _later(forge, "regional").document()


@refuse("CERTIFICATE_NOT_YET_VALID", "no-validity-check")
def zonal_not_yet_valid(forge: Forge) -> Made:
    """The zonal CA begins in an hour; all others are valid."""
    return _later(forge, "zonal").document()


@refuse("CERTIFICATE_NOT_YET_VALID", "no-validity-check")
def instance_not_yet_valid(forge: Forge) -> Made:
    """The instance CA begins in an hour; all others are valid."""
    return _later(forge, "instance").document()


def _later(forge: Forge, level: str) -> Forge:
    return forge.change(level, begin=forge.now + timedelta(hours=1))


@accept("wrong-clock", weight="should")
def certificates_outlive_their_issuers(forge: Forge) -> Made:
    """The leaf ends long after the instance CA and that one after the zonal; all are valid now."""
    far = forge.now + timedelta(days=30)
    return forge.change("leaf", end=far).change("instance", end=far).document()
