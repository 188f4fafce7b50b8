"""Reads the dates of other services' exports: ISO, day first, month first, with month names, and Unix times.

Pure. Never guesses whether the day or the month comes first, and never takes a date in the future.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

LONGEST: Final = 60
"""A longer text is no date."""

_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Nobody agreed to a newsletter by email before."""

_UNIX_DIGITS: Final = (10, 13)
"""How many digits seconds, and milliseconds, since 1970 have."""

_MONTHS: Final = [
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
]


class DateOrder(StrEnum):
    """How dates such as 03/04/2025 are to be read, for `--dates`."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


class DateProblem(StrEnum):
    """Why no time was taken from a cell."""

    AMBIGUOUS = "ambiguous"
    UNREADABLE = "unreadable"
    IMPOSSIBLE = "impossible"


_CLOCK: Final = (
    r"(?:,?[ T](?:at )?(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d{1,9})?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?)?"
    r"(?: ?(?P<zone>Z|UTC|GMT|(?:GMT|UTC)?[+-]\d\d?:?(?:\d\d)?))?(?: (?:[A-Z]{2,5}|[+-]\d\d))?"
)
_YEAR_FIRST: Final = re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d\d?)[-/.](?P<day>\d\d?)" + _CLOCK)
_YEAR_LAST: Final = re.compile(
    r"(?P<one>\d\d?)(?P<mark>[-/.])(?P<two>\d\d?)[-/.](?P<year>\d{4}|\d\d)" + _CLOCK
)
_DAY_NAME: Final = r"(?:[A-Za-z]{3,9},? )?"
_NAMED_FIRST: Final = re.compile(
    _DAY_NAME
    + r"(?P<name>[A-Za-z]{3,9})\.? (?P<day>\d\d?)(?:st|nd|rd|th)?,? (?P<year>\d{4})"
    + _CLOCK
)
_NAMED_SECOND: Final = re.compile(
    _DAY_NAME
    + r"(?P<day>\d\d?)(?:st|nd|rd|th|\.)?[ -](?P<name>[A-Za-z]{3,9})\.?,?[ -](?P<year>\d{4})"
    + _CLOCK
)


def read_date(text: str, order: DateOrder | None, now: datetime) -> datetime | DateProblem | None:
    """Read the date in `text`, which is in UTC unless it names an offset.

    Args:
        text: without blanks around it.
        order: what comes first if both numbers could be months; None if nobody said.

    Returns:
        An aware time in UTC, why there is none, or None for an empty cell.
    """
    if len(text) > LONGEST:
        return DateProblem.UNREADABLE
    if text.isdecimal() and text.isascii() and len(text) in _UNIX_DIGITS:
        text = str(datetime.fromtimestamp(int(text[:10]), UTC))
    try:
        # Nearly all exports write ISO 8601, and this is ten times as fast as the rest.
        time = datetime.fromisoformat(text)
    except ValueError:
        found = _read_other(text, order)
        if not isinstance(found, datetime):
            return found
        time = found
    try:
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        return DateProblem.IMPOSSIBLE
    return time if _EARLIEST <= time <= now else DateProblem.IMPOSSIBLE


def _read_other(text: str, order: DateOrder | None) -> datetime | DateProblem | None:
    if not text.strip("0-/.: T\"'"):
        # Empty, or MySQL's 0000-00-00 00:00:00.
        return None
    if not text.isascii():
        return DateProblem.UNREADABLE
    for pattern in (_YEAR_FIRST, _NAMED_FIRST, _NAMED_SECOND):
        match = pattern.fullmatch(text)
        if match:
            return _time(match, _month(match), int(match["day"]))
    match = _YEAR_LAST.fullmatch(text)
    return _year_last(match, order) if match else DateProblem.UNREADABLE


def _month(match: re.Match[str]) -> int:
    parts = match.groupdict()
    if "month" in parts:
        return int(parts["month"])
    name = parts["name"][:3].lower()
    return _MONTHS.index(name) + 1 if name in _MONTHS else 0


def _year_last(match: re.Match[str], order: DateOrder | None) -> datetime | DateProblem:
    one, two = int(match["one"]), int(match["two"])
    if one <= 12 < two:
        return _time(match, one, two)
    if two <= 12 < one or one == two or match["mark"] == ".":
        # With dots the day comes first wherever dates are written so.
        return _time(match, two, one)
    if order is None:
        return DateProblem.AMBIGUOUS
    return _time(match, two, one) if order is DateOrder.DAY_FIRST else _time(match, one, two)


def _time(match: re.Match[str], month: int, day: int) -> datetime | DateProblem:
    year = int(match["year"])
    hour = int(match["hour"] or 0)
    if match["half"]:
        hour = hour % 12 + 12 * (match["half"] in "Pp")
    try:
        return datetime(
            year + 2000 if year < 100 else year,
            month,
            day,
            hour,
            int(match["minute"] or 0),
            int(match["second"] or 0),
            tzinfo=_offset(match["zone"]),
        )
    except ValueError:
        return DateProblem.UNREADABLE


def _offset(zone: str | None) -> timezone:
    digits = (zone or "").lstrip("UTCGMZ").replace(":", "")
    if not digits:
        return UTC
    hours, minutes = int(digits[1:3]), int(digits[3:] or 0)
    offset = timedelta(hours=hours, minutes=minutes)
    # Raises ValueError if it is a day or more, like the rest of an impossible time.
    return timezone(-offset if digits[0] == "-" else offset)


def may_be_date(text: str) -> bool:
    """Tell whether `text` has the form of a date, even one that cannot be."""
    found = read_date(text.strip(), None, datetime.max.replace(tzinfo=UTC))
    return isinstance(found, datetime) or found in {DateProblem.AMBIGUOUS, DateProblem.IMPOSSIBLE}
