"""Writes dates, times, numbers and places as a language does, and knows its direction. Pure."""

import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache, partial
from textwrap import fill
from typing import Any, Final

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date, format_skeleton, get_datetime_format
from babel.numbers import format_decimal, format_percent

from mailer.errors import Refused

LINE_WIDTH: Final = 72
"""The longest line of plain text, so that a reply can quote it within 78 characters."""

_FOREIGN: Final = 2 / 3
"""If more than this share of its letters run the other way, a text is not in the language around it."""


@lru_cache(maxsize=64)
def locale_of(language: str) -> Locale:
    """Return the locale of a language code. `en` is international, `en-US` American.

    Raises:
        Refused: the language does not exist.
    """
    try:
        return Locale.parse("en-001" if language == "en" else language, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise Refused(
            f"the language {language!r} does not exist; give a code such as en, hy or pt-BR"
        ) from error


def filters(locale: Locale) -> Mapping[str, Callable[..., Any]]:
    """Return the filters that templates in this language see."""
    own: dict[str, Callable[..., str]] = {
        "date": _date,
        "day": _day,
        "moment": _moment,
        "number": _number,
        "percent": _percent,
        "city": _city,
        "direction": _direction,
    }
    bound = {name: partial(function, locale) for name, function in own.items()}
    return {**bound, "dir_of": direction_of, "wrap": wrap}


def direction_of(language: str) -> str:
    """Return the direction of a language's script, "ltr" or "rtl".

    Raises:
        Refused: the language does not exist.
    """
    return locale_of(language).text_direction


def wrap(text: str, indent: str = "") -> str:
    """Wrap `text` at 72 characters; a longer word, such as a URL, has a line of its own.

    Args:
        indent: put before every line but the first.
    """
    return fill(
        text, LINE_WIDTH, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent
    )


def _date(locale: Locale, value: date, style: str = "long") -> str:
    """Write the day of `value`, which is a date, or a time in the zone in which it is to be shown."""
    return format_date(value, style, locale=locale)


def _day(locale: Locale, value: date) -> str:
    """Write day and month of `value`, without the year."""
    return format_skeleton("MMMMd", value, locale=locale)


def _moment(locale: Locale, value: str) -> str:
    """Write date and time of `value`, an instant or a slot's name as ISO 8601; an instant gets "UTC"."""
    moment = datetime.fromisoformat(value)
    clock = format_skeleton("Hm", moment.replace(tzinfo=None), locale=locale)
    # The pattern quotes its own words, such as "at".
    pattern = str(get_datetime_format("long", locale=locale)).replace("'", "")
    shown = pattern.format(clock, format_date(moment, "long", locale=locale))
    return shown if moment.tzinfo is None else f"{shown}\N{NO-BREAK SPACE}UTC"


def _number(locale: Locale, value: int) -> str:
    """Write a number with the language's separators for thousands."""
    return format_decimal(value, locale=locale)


def _percent(locale: Locale, share: float) -> str:
    """Write a share such as 0.0031 as a percentage, with at most two digits after the point."""
    return format_percent(round(share, 4), locale=locale, decimal_quantization=False)


def _city(locale: Locale, zone: str) -> str:
    """Name the city of an IANA zone: "Paris" for Europe/Paris. UTC stays as it is."""
    if "/" not in zone or zone.startswith("Etc/"):
        return zone.removeprefix("Etc/")
    # CLDR keeps the oldest name of a zone, such as Europe/Kiev, and tz the newest.
    aliases: Mapping[str, str] = get_global("zone_aliases")
    newest = aliases.get(zone, zone)
    for name in (zone, newest, *(old for old, new in aliases.items() if new == newest)):
        city: str | None = locale.time_zones.get(name, {}).get("city")
        if city is not None:
            return city
    return newest.rpartition("/")[2].replace("_", " ")


def _direction(locale: Locale, text: str) -> str:
    """Find the direction in which `text` is to be read, "ltr" or "rtl".

    It is the language's own, unless most letters go the other way. `dir="auto"` is decided by the first
    letter alone, which breaks an Arabic sentence that begins with a name in Latin letters.
    """
    own: str = locale.text_direction
    letters = [unicodedata.bidirectional(letter) for letter in text]
    left, right = letters.count("L"), letters.count("R") + letters.count("AL")
    others, other = (right, "rtl") if own == "ltr" else (left, "ltr")
    return other if others > _FOREIGN * (left + right) else own
