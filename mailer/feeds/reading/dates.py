"""Parses the dates of feeds into aware UTC instants. Pure.

Never decides whether an instant is credible.
"""

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from time import struct_time
from typing import Final

_ISO = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)"
    r"(?:[Tt ]\s*(\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,]\d+)?)?)?)?"
    r"\s*(?:([Zz]|UTC|GMT)|([+-])(\d\d):?(\d\d)?)?"
)
# What nearly all feeds write. Parsing it costs a fraction of parsing any form.
_USUAL = re.compile(
    r"[A-Z][a-z]{2}, (\d\d) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4})"
    r" (\d\d):(\d\d):(\d\d) (?:GMT|Z|([+-])(\d\d)(\d\d))"
)
_UNIX_SECONDS = re.compile(r"(\d{9,10})(?:\.\d+)?")
_UNIX_MILLISECONDS = re.compile(r"\d{12,13}")
_DIGITS_ONLY = re.compile(r"(\d{8})(\d{6})")
_LETTERS_ZONE = re.compile(r"\s([A-Za-z]{2,5})$")
_CLOCK = re.compile(
    r"(?<!\d)(\d{1,2})[:h](\d\d)(?::(\d\d))?(?:\s*([ap])\.?m?\b\.?)?(.*)", re.I | re.S
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)(?!\d)")
_DAY = re.compile(r"(?<!\d)(\d{1,2})(?!\d)")
_YEAR = re.compile(r"(?<!\d)(\d{4})(?!\d)")
_DOTTED = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})")
_SLASHED = re.compile(r"(?<!\d)(\d{1,2})([/-])(\d{1,2})\2(\d{4})(?!\d)")
_YEAR_FIRST = re.compile(r"(\d{4})\s?[-/.년年]\s?(\d{1,2})\s?[-/.월月]\s?(\d{1,2})(?!\d)")
_AFTERNOON = re.compile(r"오후|下午|午後|\b[Pp]\.?[Mm]\b")
_HALF_OF_DAY = re.compile(r"\d\s*[ap]\.?m\b", re.IGNORECASE)
# An offset as RFC 822 does not write it: `GMT+0100`, `+01:00`, `+1`.
_ODD_OFFSET = re.compile(
    r"(:\d\d)\s*(?:[A-Za-z]{2,4}\s*)?([+-])(\d{1,2})(?::?(\d\d))?(?=[\s(]|$).*", re.S
)
# A year, a month, or a day of a year: the library's reading has a day that the text does not name.
_SHORT = re.compile(r"\d{4}(?:-\d\d|-?\d{3}(?:T.*)?)?")
_LETTERS = re.compile(r"[^\W\d_]+")
_NO_YEARS: Final = ("-0001", " 0000 ", " 0001 ")
"""The years that publishing systems give to an article without a date."""
_LONGEST: Final = 200
"""How many characters of a date are read."""
_LONGEST_IN_WORDS: Final = 60

# The first letters of month names in English, French, German, Spanish, Italian, Portuguese, Dutch, Swedish,
# Danish, Norwegian, Polish, Turkish, Russian, Ukrainian, Armenian and Arabic. The longest match counts.
_MONTHS: Final = {
    stem: month
    for month, stems in enumerate(
        [
            "jan jän ene gen sty oca янв січ հունվար հնվ يناير",
            "feb fév fev fef lut şub фев лют փետրվար փտվ فبراير شباط",
            "mar mär maa mrt mrz мар бер մարտ մրտ مارس آذار",
            "apr avr abr kwi nis апр кві ապր أبريل ابريل نيسان",
            "may mai mag mei maj mayo май мая тра մայիս մյս مايو أيار",
            "jun juin giu cze haz июн чер հունիս հնս يونيو حزيران",
            "jul juil lug lip tem июл лип հուլիս հլս يوليو تموز",
            "aug aoû aou ago sie ağu авг сер օգոստոս օգս أغسطس اغسطس",
            "sep set wrz eyl сен вер սեպ سبتمبر أيلول",
            "oct okt ott out paź paz eki окт жов հոկ أكتوبر اكتوبر",
            "nov lis kas ноя лис նոյ نوفمبر",
            "dec déc dez dic des gru ara дек гру դեկ ديسمبر",
        ],
        start=1,
    )
    for stem in stems.split()
}

# RFC 822 names few zones. These occur in feeds as well, and mean one thing in all of them.
_ZONES: Final = {
    name: offset
    for offset, names in (
        ("-1000", "HST"),
        ("-0800", "PST"),
        ("-0700", "PDT MST"),
        ("-0600", "MDT CST"),
        ("-0500", "CDT EST"),
        ("-0400", "EDT"),
        ("+0000", "WET"),
        ("+0100", "WEST BST CET"),
        ("+0200", "CEST EET"),
        ("+0300", "EEST MSK"),
        ("+0800", "HKT SGT AWST"),
        ("+0900", "JST KST"),
        ("+1000", "AEST"),
        ("+1100", "AEDT"),
        ("+1200", "NZST"),
        ("+1300", "NZDT"),
    )
    for name in names.split()
}


def read_instant(text: str, guess: struct_time | None = None) -> datetime | None:
    """Parse a date; a date without a zone is taken as UTC.

    Knows ISO 8601, RFC 3339, RFC 822 and 2822, Unix times, and dates with a month name in several languages.

    Args:
        guess: the feed library's reading in UTC, used for other forms.
    """
    # Word processors write U+2212 for a minus sign.
    raw = text.strip()[:_LONGEST].replace("\N{MINUS SIGN}", "-")
    if any(year in raw for year in _NO_YEARS):
        return None
    try:
        if usual := _USUAL.fullmatch(raw):
            return _from_usual(usual)
        if _UNIX_MILLISECONDS.fullmatch(raw):
            return datetime.fromtimestamp(int(raw) / 1000, UTC)
        if seconds := _UNIX_SECONDS.fullmatch(raw):
            return datetime.fromtimestamp(int(seconds[1]), UTC)
        if iso := _ISO.fullmatch(_DIGITS_ONLY.sub(r"\1T\2", raw)):
            return _from_iso(iso)
        return _from_mail(raw) or _from_words(raw[:_LONGEST_IN_WORDS]) or _from_guess(guess, raw)
    except (ValueError, OverflowError, OSError):
        return None


def _from_usual(match: re.Match[str]) -> datetime:
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    clock = (int(hour), int(minute), int(second))
    return _at((int(year), _MONTHS[month.lower()], int(day)), clock, sign, hours, minutes)


def _from_iso(match: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    return _at((year, month, day), (hour, minute, second), *match.group(8, 9, 10))


def _at(
    date: tuple[int, int, int],
    clock: tuple[int, int, int],
    sign: str | None,
    hours: str | None,
    minutes: str | None,
) -> datetime:
    """Combine a date, a time of day and an offset from UTC.

    24:00 is the end of a day and second 60 is a leap second: both become the start of the next unit.

    Raises:
        ValueError: there is no such date or time.
    """
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    zone = timezone(-offset if sign == "-" else offset)
    hour, minute, second = clock
    if hour > 24 or minute > 59 or second > 60:
        raise ValueError
    past = timedelta(hours=hour, minutes=minute, seconds=second)
    return (datetime(*date, tzinfo=zone) + past).astimezone(UTC)


def _from_mail(raw: str) -> datetime | None:
    if _HALF_OF_DAY.search(raw):
        return None
    raw = _ODD_OFFSET.sub(_as_offset, raw)
    zone = _LETTERS_ZONE.search(raw)
    if zone and zone[1].upper() in _ZONES:
        raw = f"{raw[: zone.start()]} {_ZONES[zone[1].upper()]}"
    parts = parsedate_tz(raw)
    if parts is None:
        return None
    year, month, day, hour, minute, second = parts[:6]
    if hour > 24 or minute > 59 or second > 60 or year < 1:
        return None
    past = timedelta(hours=hour, minutes=minute, seconds=second - (parts[9] or 0))
    return datetime(year, month, day, tzinfo=UTC) + past


def _as_offset(match: re.Match[str]) -> str:
    return f"{match[1]} {match[2]}{int(match[3]):02}{match[4] or '00'}"


def _from_words(raw: str) -> datetime | None:
    """Parse `24. November 2026 um 9:00`, `Nov 24, 2026 9:00 pm`, `24.11.2026` or `2026/11/24 9:00`."""
    clock = _CLOCK.search(raw)
    date = raw[: clock.start()] if clock else raw
    if year_first := _YEAR_FIRST.search(date):
        year, month, day = (int(part) for part in year_first.groups())
    elif slashed := _SLASHED.search(date):
        day, month, year = int(slashed[1]), int(slashed[3]), int(slashed[4])
        if day <= 12 and month <= 12 and day != month:
            # Day and month cannot be told apart.
            return None
        day, month = (month, day) if month > 12 else (day, month)
    elif dotted := _DOTTED.search(date):
        day, month, year = (int(part) for part in dotted.groups())
    else:
        months = [number for word in _LETTERS.findall(date.lower()) if (number := _month(word))]
        day_of, year_of = _DAY.search(date), _YEAR.search(date)
        if not months or day_of is None or year_of is None:
            return None
        # The day of the week comes first, and some of them start like a month.
        day, month, year = int(day_of[1]), months[-1], int(year_of[1])
    hour, minute, second, offset = _time(clock) if clock else (0, 0, 0, timedelta())
    if hour < 12 and _AFTERNOON.search(date):
        hour += 12
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC) - offset


def _time(clock: re.Match[str]) -> tuple[int, int, int, timedelta]:
    hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
    if clock[4]:
        hour = hour % 12 + (12 if clock[4] in "pP" else 0)
    rest = clock[5].strip()
    zone = _OFFSET.search(_ZONES.get(rest.upper(), rest))
    if zone is None:
        return hour, minute, second, timedelta()
    offset = timedelta(hours=int(zone[2]), minutes=int(zone[3]))
    return hour, minute, second, -offset if zone[1] == "-" else offset


def _month(word: str) -> int | None:
    return next((_MONTHS[word[:n]] for n in range(len(word), 2, -1) if word[:n] in _MONTHS), None)


def _from_guess(guess: struct_time | None, raw: str) -> datetime | None:
    """Take the library's reading if the text contains its day; otherwise it read only a part of the text."""
    if guess is None:
        return None
    numbers = {int(number) for number in re.findall(r"\d{1,2}", raw)}
    if guess.tm_mday not in numbers and not _SHORT.fullmatch(raw):
        return None
    return datetime.fromtimestamp(timegm(guess), UTC)
