"""What stands behind a number fits it, and a command can be typed as it is printed."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from mailer.text.english import duration, pluralise


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, ("0 mails", "0 entries are held")),
        (1, ("1 mail", "1 entry is held")),
        (2, ("2 mails", "2 entries are held")),
    ],
)
def test_what_stands_behind_a_number_fits_it(number: int, words: tuple[str, str]) -> None:
    assert (
        pluralise(number, "mail"),
        pluralise(number, "entry is held", "entries are held"),
    ) == words


@pytest.mark.parametrize(
    ("seconds", "exactly", "roughly"),
    [
        (0, "0s", "0s"),
        (59, "59s", "59s"),
        (60, "1m", "1m"),
        (125, "125s", "2m 5s"),
        (5400, "90m", "1h 30m"),
        (9950, "9950s", "2h 45m"),
        (86_400, "1d", "1d"),
        (90_000, "25h", "1d 1h"),
        (30 * 86_400, "30d", "30d"),
    ],
)
def test_durations_exactly_and_roughly(seconds: int, exactly: str, roughly: str) -> None:
    length = timedelta(seconds=seconds)
    assert (duration(length), duration(length, roughly=True)) == (exactly, roughly)


def test_no_message_puts_a_strangers_text_into_a_command_by_itself() -> None:
    # `words.command` quotes it; names of newsletters and schedules, and numbers, need no quoting.
    pasted = re.compile(r"mailer [a-z]+ [^`\n]*?\{\w+\.(?:\w*url|typed|title)\}")
    sources = (Path(__file__).parents[3] / "mailer").rglob("*.py")
    assert [found for path in sources for found in pasted.findall(path.read_text())] == []
