"""Writes numbers, durations, times and commands in English, for the people who run the mailer.

Never for readers: their texts are in the catalogues, which know the plurals of each language.
"""

import shlex
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def pluralise(number: int, one: str, many: str | None = None) -> str:
    """Write `number` before the words that fit it: "1 mail", "2 mails", "1 entry is held".

    Args:
        one: the words after 1.
        many: the words after any other number; `one` with an s if left out.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def duration(length: timedelta, *, roughly: bool = False) -> str:
    """Write a duration, in whole seconds, as settings and options take it: "7d", "36h", "90m".

    Args:
        roughly: write its two largest units instead, for people: "3d 4h", "2m 5s".
    """
    seconds = round(length.total_seconds())
    units = [(unit, size) for unit, size in _UNITS if size <= max(1, seconds)]
    if not roughly:
        return next(f"{seconds // size}{unit}" for unit, size in units if seconds % size == 0)
    parts: list[str] = []
    for unit, size in units[:2]:
        number, seconds = divmod(seconds, size)
        if number or not parts:
            parts.append(f"{number}{unit}")
    return " ".join(parts)


def command(*arguments: str) -> str:
    """Write a `mailer` command so that it is safe to paste into a shell.

    A URL or a mail address is a stranger's text, and may hold what a shell would run.

    Args:
        arguments: the words after `mailer`, unquoted.
    """
    return shlex.join(("mailer", *arguments))


def wall_time(local: datetime) -> str:
    """Write a local time as "Sat 2026-11-28 07:00"; its zone has to stand beside it."""
    return f"{local:%a %Y-%m-%d %H:%M}"


def moment(local: datetime, zone: str) -> str:
    """Write a time of the clocks in `zone`, with UTC: "Sat 2026-11-28 07:00 Europe/Paris (06:00 UTC)"."""
    utc = local.astimezone(UTC)
    written = f"{wall_time(local)} {zone}"
    if not local.utcoffset():
        return written
    return f"{written} ({utc:{'%H:%M' if utc.date() == local.date() else '%Y-%m-%d %H:%M'}} UTC)"


def coming_time(local: datetime, zone: str, *, now: datetime) -> str:
    """Write a time as people say it: "tomorrow 07:00 Europe/Paris (Sun 2026-11-29)".

    Args:
        local: the time by the clocks in `zone`.
        now: the present instant.
    """
    days = (local.date() - now.astimezone(local.tzinfo).date()).days
    if days not in (0, 1):
        return f"{wall_time(local)} {zone}"
    return f"{('today', 'tomorrow')[days]} {local:%H:%M} {zone} ({local:%a %Y-%m-%d})"
