"""How a language writes dates, times, numbers and places, and which way it runs. Pure."""

import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime
from textwrap import fill
from typing import Any, Final

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date, format_skeleton, get_datetime_format
from babel.numbers import format_decimal

from mailer.errors import Refused

LINE_WIDTH: Final = 72
"""How long lines of plain text are, so that a reply can still quote them in 78."""

_FOREIGN: Final = 2 / 3
"""The share of letters of the other direction above which a text is not in the language around it."""


def locale_of(language: str) -> Locale:
    """The locale of a language's code. `en` is international, `en-US` American.

    Raises:
        Refused: there is no such language.
    """
    try:
        return Locale.parse("en-001" if language == "en" else language, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise Refused(
            f"there is no language {language!r}; give a code such as en, hy or pt-BR"
        ) from error


def filters(locale: Locale) -> Mapping[str, Callable[..., Any]]:
    """The filters that templates in this language see."""
    return {
        "date": _date_filter(locale),
        "day": _day_filter(locale),
        "moment": _moment_filter(locale),
        "number": _number_filter(locale),
        "city": _city_filter(locale),
        "direction": _direction_filter(locale),
        "dir_of": direction_of,
        "wrap": wrap,
    }


def direction_of(language: str) -> str:
    """The direction of a language's script, "ltr" or "rtl".

    Raises:
        Refused: there is no such language.
    """
    return locale_of(language).text_direction


def wrap(text: str, indent: str = "") -> str:
    """`text` in lines of at most 72 characters; a longer word, such as a URL, has a line of its own.

    Args:
        indent: what every line but the first begins with.
    """
    return fill(
        text, LINE_WIDTH, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent
    )


def _date_filter(locale: Locale) -> Callable[[date, str], str]:
    def show(value: date, style: str = "long") -> str:
        """The day of `value`, which is a date, or a time in the zone it is to be shown in."""
        return format_date(value, style, locale=locale)

    return show


def _day_filter(locale: Locale) -> Callable[[date], str]:
    def show(value: date) -> str:
        """Day and month of `value`, without the year."""
        return format_skeleton("MMMMd", value, locale=locale)

    return show


def _moment_filter(locale: Locale) -> Callable[[str], str]:
    def show(value: str) -> str:
        """Date and time of `value`, an instant or a slot's name as ISO 8601; UTC is said of an instant."""
        moment = datetime.fromisoformat(value)
        clock = format_skeleton("Hm", moment.replace(tzinfo=None), locale=locale)
        # The pattern quotes words of its own, such as "at".
        pattern = str(get_datetime_format("long", locale=locale)).replace("'", "")
        shown = pattern.format(clock, format_date(moment, "long", locale=locale))
        return shown if moment.tzinfo is None else f"{shown}\N{NO-BREAK SPACE}UTC"

    return show


def _number_filter(locale: Locale) -> Callable[[int], str]:
    def show(value: int) -> str:
        """`value` with its thousands apart, as the language writes it."""
        return format_decimal(value, locale=locale)

    return show


def _city_filter(locale: Locale) -> Callable[[str], str]:
    def show(zone: str) -> str:
        """The city that the IANA zone `zone` is known by, "Paris" for Europe/Paris; UTC stays what it is."""
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

    return show


def _direction_filter(locale: Locale) -> Callable[[str], str]:
    own: str = locale.text_direction

    def show(text: str) -> str:
        """The direction that `text` is to be read in, "ltr" or "rtl".

        It is that of the language, unless most letters go the other way. `dir="auto"` goes by the first
        letter alone, so that an Arabic sentence that begins with a name in Latin letters falls apart.
        """
        letters = [unicodedata.bidirectional(one) for one in text]
        left, right = letters.count("L"), letters.count("R") + letters.count("AL")
        others, other = (right, "rtl") if own == "ltr" else (left, "ltr")
        return other if others > _FOREIGN * (left + right) else own

    return show
