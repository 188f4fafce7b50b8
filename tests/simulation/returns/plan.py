"""Draws what each reader and their mail server will do, and computes from that alone what must come of it.

Pure: knows nothing of the mailer but the rules in docs/operations.md.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DAYS: Final = (1, 2, 3, 4, 5, 6, 7, 15, 16)
"""The days that have a digest: a week, and two days after another one, as some rules span a fortnight."""

GOOD_DAY: Final = 5
"""When one mail in the middle arrives at a mailbox that is full otherwise."""


class Habit(StrEnum):
    """What happens to the mails to one reader."""

    GOOD = "good"
    GONE = "gone"
    """The relay says that there is no such mailbox."""
    GONE_LATER = "gone later"
    """The mail is taken, and comes back: there is no such mailbox."""
    FULL = "full"
    """The relay says that the mailbox is full."""
    FULL_LATER = "full later"
    """The mail is taken, and comes back: the mailbox is full."""
    FULL_AT_TIMES = "full at times"
    """As before, but one mail in the middle arrives."""
    BLOCKED = "blocked"
    """The relay refuses the mail for its sender's reputation."""
    SPAM_LATER = "spam later"
    """The mail is taken, and comes back: it looks like spam."""
    COMPLAINS = "complains"
    LEAVES = "leaves"
    """Unsubscribes by mail."""
    AWAY = "away"
    """Answers each mail automatically."""
    LATE = "late"
    """The server says that the mail is delayed, and then delivers it."""
    DEFERRED = "deferred"
    """The relay takes each mail at the second attempt."""
    FRAMED = "framed"
    """A forger reports that the mailbox is gone and that the reader complained."""


SHARES: Final = {
    Habit.GONE: 0.012,
    Habit.GONE_LATER: 0.012,
    Habit.FULL: 0.004,
    Habit.FULL_LATER: 0.004,
    Habit.FULL_AT_TIMES: 0.004,
    Habit.BLOCKED: 0.004,
    Habit.SPAM_LATER: 0.004,
    Habit.COMPLAINS: 0.006,
    Habit.LEAVES: 0.006,
    Habit.AWAY: 0.01,
    Habit.LATE: 0.006,
    Habit.DEFERRED: 0.02,
    Habit.FRAMED: 0.006,
}
"""What part of the readers has each habit; the others are good."""

MAIL: Final = ("postfix", "maildir", "imap")
_BY_MAIL: Final = frozenset({Habit.LEAVES, Habit.AWAY, Habit.LATE})
"""What no provider reports to a webhook."""

_ONCE: Final = frozenset({Habit.GONE, Habit.GONE_LATER, Habit.COMPLAINS, Habit.LEAVES})
"""What ends the mails to a reader, on a day of its own."""


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        day: from when on the habit shows.
        channel: how what they and their server send back arrives.
        twice: whether it arrives twice, the second time on the next day.
    """

    address: str
    habit: Habit
    day: int
    channel: str
    twice: bool

    @property
    def domain(self) -> str:
        return self.address.partition("@")[2]


@dataclass
class Rates:
    """What `digest report` must say about one digest, or about one domain in it."""

    attempts: int = 0
    hard: int = 0
    soft: int = 0
    complaints: int = 0


@dataclass
class Expected:
    """What must have come of it all.

    Attributes:
        suppressed: the reason for each address.
        recipients: who must have got the digest of each day, once.
        rates: of each day's digest.
    """

    suppressed: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    recipients: dict[int, set[str]] = field(default_factory=dict)
    rates: dict[int, Rates] = field(default_factory=dict)
    domains: dict[int, dict[str, Rates]] = field(default_factory=dict)


def draw(number: int, channels: Sequence[str], seed: int) -> list[Reader]:
    """Draw the readers."""
    rng = random.Random(seed)
    habits = list(SHARES)
    readers = []
    for n in range(number):
        (habit,) = rng.choices([Habit.GOOD, *habits], [1 - sum(SHARES.values()), *SHARES.values()])
        day = rng.choice(DAYS) if habit in _ONCE else 1
        readers.append(
            Reader(
                address=f"reader{n}@host{rng.randrange(7)}.example",
                habit=habit,
                day=day,
                channel=rng.choice(list(MAIL if habit in _BY_MAIL else channels)),
                twice=rng.random() < 0.3,
            )
        )
    return readers


def fails_softly(reader: Reader, day: int) -> bool:
    """Whether the mail of this day fails for a reason that may pass."""
    if reader.habit is Habit.FULL_AT_TIMES:
        return day != GOOD_DAY
    return reader.habit in (Habit.FULL, Habit.FULL_LATER, Habit.BLOCKED, Habit.SPAM_LATER)


def is_taken(reader: Reader, day: int) -> bool:
    """Whether the relay takes the mail of this day in the end."""
    if reader.habit is Habit.GONE:
        return day < reader.day
    return reader.habit not in (Habit.FULL, Habit.BLOCKED)


def expect(readers: Sequence[Reader]) -> Expected:
    """Compute what must come of it: each report counts once, and nobody is mailed after it."""
    expected = Expected()
    for day in DAYS:
        rates, domains = Rates(), {}
        expected.recipients[day] = set()
        for reader in readers:
            if reader.address in expected.suppressed or reader.address in expected.left:
                continue
            expected.recipients[day].add(reader.address)
            for one in (rates, domains.setdefault(reader.domain, Rates())):
                one.attempts += 1
                _count(one, reader, day)
            _follow(expected, reader, day)
        expected.rates[day], expected.domains[day] = rates, domains
    return expected


def _count(rates: Rates, reader: Reader, day: int) -> None:
    if fails_softly(reader, day):
        rates.soft += 1
    if day == reader.day:
        rates.hard += reader.habit in (Habit.GONE, Habit.GONE_LATER)
        rates.complaints += reader.habit is Habit.COMPLAINS


def _follow(expected: Expected, reader: Reader, day: int) -> None:
    """What the reports about this day's mail change for the next."""
    if reader.habit in (Habit.FULL, Habit.FULL_LATER) and day == 15:
        # The fifth and later soft bounce, and a fortnight after the first.
        expected.suppressed[reader.address] = "bounced"
    if day != reader.day:
        return
    if reader.habit in (Habit.GONE, Habit.GONE_LATER):
        expected.suppressed[reader.address] = "bounced"
    elif reader.habit is Habit.COMPLAINS:
        expected.suppressed[reader.address] = "complained"
    elif reader.habit is Habit.LEAVES:
        expected.left.add(reader.address)


def habits(readers: Sequence[Reader]) -> Counter[Habit]:
    """How many readers have each habit."""
    return Counter(reader.habit for reader in readers)
