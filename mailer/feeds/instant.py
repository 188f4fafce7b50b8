"""Dates as feeds write them, read as aware UTC instants. Pure.

Whether an instant is credible is not decided here.
"""

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta, timezone
from email.utils import mktime_tz, parsedate_tz
from time import struct_time
from typing import Final

_ISO = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)"
    r"(?:[Tt ]\s*(\d\d):?(\d\d)(?::?(\d\d)(?:[.,]\d+)?)?)?"
    r"\s*(?:([Zz]|UTC|GMT)|([+-])(\d\d):?(\d\d)?)?"
)
_UNIX_SECONDS = re.compile(r"\d{9,10}")
_UNIX_MILLISECONDS = re.compile(r"\d{12,13}")
_LETTERS_ZONE = re.compile(r"\s([A-Za-z]{2,5})$")

# RFC 822 names few zones; these stand in feeds as well, and mean one thing in all of them.
_ZONES: Final = {
    "WET": "+0000",
    "WEST": "+0100",
    "CET": "+0100",
    "CEST": "+0200",
    "EET": "+0200",
    "EEST": "+0300",
    "MSK": "+0300",
    "JST": "+0900",
    "AEST": "+1000",
    "AEDT": "+1100",
}


def read_instant(text: str, guess: struct_time | None = None) -> datetime | None:
    """The instant that `text` names, or None; without a zone it is taken as UTC.

    ISO 8601, RFC 3339, RFC 822 and 2822 and Unix times are read.

    Args:
        guess: how the feed library read it, in UTC; used for other forms.
    """
    raw = text.strip()
    try:
        if _UNIX_MILLISECONDS.fullmatch(raw):
            return datetime.fromtimestamp(int(raw) / 1000, UTC)
        if _UNIX_SECONDS.fullmatch(raw):
            return datetime.fromtimestamp(int(raw), UTC)
        if iso := _ISO.fullmatch(raw):
            return _from_iso(iso)
        return _from_mail(raw) or _from_guess(guess)
    except (ValueError, OverflowError, OSError):
        return None


def _from_iso(match: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    sign, hours, minutes = match.group(8, 9, 10)
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    zone = timezone(-offset if sign == "-" else offset)
    # 24:00 ends a day, and 60 is a leap second: both are the beginning of what comes next.
    past = timedelta(hours=hour, minutes=minute, seconds=second)
    if hour > 24 or minute > 59 or second > 60:
        raise ValueError
    return (datetime(year, month, day, tzinfo=zone) + past).astimezone(UTC)


def _from_mail(raw: str) -> datetime | None:
    zone = _LETTERS_ZONE.search(raw)
    if zone and zone[1].upper() in _ZONES:
        raw = f"{raw[: zone.start()]} {_ZONES[zone[1].upper()]}"
    parts = parsedate_tz(raw)
    if parts is None:
        return None
    year, month, day, hour, minute, second = parts[:6]
    if hour > 24 or minute > 59 or second > 60 or year < 1:
        return None
    # Checks that the day exists, which mktime_tz does not.
    datetime(year, month, day, tzinfo=UTC)
    return datetime.fromtimestamp(mktime_tz(parts), UTC)


def _from_guess(guess: struct_time | None) -> datetime | None:
    return None if guess is None else datetime.fromtimestamp(timegm(guess), UTC)
