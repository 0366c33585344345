"""Pure. Which moment does somebody mean, and how is one told?

Everything is UTC: a period of validity must not depend on where a machine stands.
"""

import re
from datetime import datetime, timedelta, timezone
from typing import Final

__all__ = ["LATEST", "TIME_FORMS", "parse_time", "utc_text"]

LATEST: Final = 253402300799
"""The last second of the year 9999, the last one that dates can be written for."""
TIME_FORMS: Final = "2027-12-31, 2027-12-31T18:00:00Z, or seconds since 1970"

_SECONDS = re.compile(r"0|[1-9][0-9]{0,11}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def parse_time(text: str, *, end: bool) -> int:
    """Read a moment in one of `TIME_FORMS`; return seconds since 1970.

    Args:
        end: a date without a time means its last second, not its first.

    Raises:
        ValueError: it has another form, or there is no such day.
    """
    if _SECONDS.fullmatch(text):
        seconds = int(text)
    elif _TIME.fullmatch(text):
        seconds = _since_1970(text, "%Y-%m-%dT%H:%M:%SZ")
    elif _DATE.fullmatch(text):
        seconds = _since_1970(text, "%Y-%m-%d") + (86399 if end else 0)
    else:
        raise ValueError(f"{text!r} is not a time; write {TIME_FORMS}")
    if not 0 <= seconds <= LATEST:
        raise ValueError(f"{text!r} is not between the years 1970 and 9999")
    return seconds


def _since_1970(text: str, form: str) -> int:
    try:
        moment = datetime.strptime(text, form).replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise ValueError(f"{text!r} is not in the calendar") from error
    return int((moment - _EPOCH).total_seconds())


def utc_text(seconds: int) -> str:
    """Write a moment as ``2027-12-31T18:00:00Z``."""
    return (_EPOCH + timedelta(seconds=min(max(seconds, 0), LATEST))).strftime("%Y-%m-%dT%H:%M:%SZ")
