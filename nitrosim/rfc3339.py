"""Times as RFC 3339 has them, in UTC, with milliseconds or nanoseconds, as nitro-cli writes them.

Given are nanoseconds since 1970 UTC, as `time.time_ns` returns them.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_PER_SECOND: Final = 1_000_000_000
_PER_MILLISECOND: Final = 1_000_000


def rfc3339_milliseconds(now: int) -> str:
    """Return a time as in the log: ``2024-01-02T03:04:05.678Z``."""
    return f"{_second(now)}.{now % _PER_SECOND // _PER_MILLISECOND:03}Z"


def rfc3339_nanoseconds(now: int) -> str:
    """Return a time as in names of files: ``2024-01-02T03:04:05.678901234+00:00``."""
    return f"{_second(now)}.{now % _PER_SECOND:09}+00:00"


def _second(now: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // _PER_SECOND))
