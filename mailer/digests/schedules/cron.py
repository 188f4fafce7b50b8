"""Parses the five fields of a cron line into sets of numbers.

Pure. Never knows dates or zones: `calendar` makes slots of what is parsed here.
"""

from dataclasses import dataclass
from typing import Final

from mailer.errors import BadSchedule

_MONTHS: Final = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
]  # fmt: skip
_DAYS: Final = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


@dataclass(frozen=True)
class Cron:
    """What a cron line asks for.

    Attributes:
        weekdays: 0 is Monday, as `date.weekday()` counts.
        either_day: a day that fits `monthdays` or `weekdays` is enough. This is so if both fields are
            restricted. A field that begins with `*` restricts nothing by itself; then both must fit.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    monthdays: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool


def parse_cron(line: str) -> Cron:
    """Parse "minute hour day-of-month month day-of-week".

    Each field is `*` or a list of numbers, names (jan, mon) and ranges; `*` and ranges may have a
    step (`*/15`, `9-17/2`). Sunday is 0 or 7.

    Raises:
        BadSchedule: a field cannot be parsed; the message names it.
    """
    fields = line.lower().split()
    if len(fields) != 5:
        raise BadSchedule(
            f"a cron line has five fields, {line!r} has {len(fields)}; "
            'write "minute hour day month weekday", such as "0 6 * * mon-fri"'
        )
    minute, hour, monthday, month, weekday = fields
    return Cron(
        minutes=tuple(sorted(_numbers("minute", minute, 0, 59))),
        hours=tuple(sorted(_numbers("hour", hour, 0, 23))),
        monthdays=frozenset(_numbers("day of the month", monthday, 1, 31)),
        months=frozenset(_numbers("month", month, 1, 12, _MONTHS, first_name=1)),
        # Cron counts Sunday as 0 and as 7, Python counts Monday as 0.
        weekdays=frozenset(
            (number - 1) % 7 for number in _numbers("day of the week", weekday, 0, 7, _DAYS)
        ),
        either_day=not monthday.startswith("*") and not weekday.startswith("*"),
    )


def _numbers(
    field: str, text: str, low: int, high: int, names: list[str] | None = None, first_name: int = 0
) -> set[int]:
    def number(word: str) -> int:
        if names and word in names:
            return names.index(word) + first_name
        if not _is_number(word) or not low <= int(word) <= high:
            raise BadSchedule(
                f"{word!r} is not a valid {field} in a cron line; give a number from {low} to {high}"
                + (f" or a name such as {names[1]}" if names else "")
            )
        return int(word)

    numbers: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and (not _is_number(step) or int(step) == 0):
            raise BadSchedule(f"{part!r} has no valid step; write it like */15 or 9-17/2")
        start, dash, end = span.partition("-")
        if span == "*":
            first, last = low, high
        elif slash and not dash:
            raise BadSchedule(f"{part!r} has a step but no range; write it like */15 or 9-17/2")
        else:
            first = number(start)
            last = number(end) if dash else first
            # "fri-sun" means the Sunday after.
            if dash and high == 7 and last == 0:
                last = 7
        if last < first:
            raise BadSchedule(f"{part!r} runs backwards; write the smaller end first")
        numbers.update(range(first, last + 1, int(step or 1)))
    return numbers


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()
