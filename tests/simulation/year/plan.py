"""Draws what happens in a year: who signs up, leaves, complains, is erased or comes back, and in which week.

Pure: everything comes from the seed. Whose turn it is when an act comes up is drawn elsewhere, from those who
can do it then. Knows nothing of the mailer.
"""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Act(StrEnum):
    """What somebody does, in the order of a week."""

    SIGN_UP = "signs up"
    SIGN_UP_IN_VAIN = "signs up and never confirms"
    COME_BACK = "signs up again after leaving"
    COME_BACK_ERASED = "signs up again after being erased"
    SUPPRESS = "is suppressed by staff"
    UNSUBSCRIBE = "is unsubscribed by staff"
    ERASE = "is erased by staff"
    RETURN = "comes back within the lost month"
    # What needs the mail of a digest comes after it.
    LEAVE_FOR_A_WHILE = "leaves in the lost month, and comes back in it"
    LEAVE = "leaves by the page"
    ONE_CLICK = "leaves with one click"
    COMPLAIN = "complains"
    BOUNCE = "has no mailbox any more"
    FULL = "has a full mailbox for a week"
    ERASE_ONESELF = "has themselves erased"


AFTER_THE_DIGEST: Final = frozenset(
    {Act.LEAVE_FOR_A_WHILE, Act.LEAVE, Act.ONE_CLICK, Act.COMPLAIN, Act.BOUNCE, Act.ERASE_ONESELF}
)
EACH: Final = {
    Act.SIGN_UP: 0.9,
    Act.SIGN_UP_IN_VAIN: 0.15,
    Act.COME_BACK: 0.2,
    Act.COME_BACK_ERASED: 0.12,
    Act.SUPPRESS: 0.1,
    Act.UNSUBSCRIBE: 0.1,
    Act.ERASE: 0.2,
    Act.LEAVE: 0.25,
    Act.ONE_CLICK: 0.25,
    Act.COMPLAIN: 0.12,
    Act.BOUNCE: 0.12,
    Act.FULL: 0.12,
    Act.ERASE_ONESELF: 0.15,
}
"""How often an act happens in a week, on average."""

IN_THE_LOST_MONTH: Final = (
    Act.SIGN_UP,
    Act.SIGN_UP,
    Act.SIGN_UP,
    Act.ERASE,
    Act.ERASE_ONESELF,
    Act.LEAVE,
    Act.ONE_CLICK,
    Act.COMPLAIN,
    Act.BOUNCE,
    Act.SUPPRESS,
    Act.UNSUBSCRIBE,
    Act.COME_BACK,
)
"""What happens then at least once, because the restore must not undo it, or cannot bring it back."""


LONG: Final = 26
"""With fewer weeks, all great things follow upon each other, and nothing is old enough to be purged."""


@dataclass(frozen=True)
class Calendar:
    """The weeks, counted from 0, in which the great things happen.

    Attributes:
        kill: the sender is killed while it sends.
        misses: three readers' mailboxes are full, and a story that they miss is too old a week later.
        copied: a nightly backup is put aside.
        lost: the database is lost, and that backup is restored.
        imported_again: the old list is imported once more.
        moved: everything moves to PostgreSQL.
        killed_again: there, one of the workers is killed.
        raised: the schedule's `--max-age` is raised.
    """

    weeks: int
    kill: int
    misses: int
    copied: int
    lost: int
    imported_again: int
    moved: int
    killed_again: int
    raised: int


def calendar(weeks: int) -> Calendar:
    """Spread the great things over so many weeks.

    Raises:
        ValueError: there are too few weeks for all of them.
    """
    if weeks < 6:
        raise ValueError("a year has at least 6 weeks here")
    if weeks < LONG:
        return Calendar(weeks, 1, 0, 0, 3, 3, 4, 5, 5)
    at = [round(weeks * part) for part in (0.08, 0.06, 0.4, 0.55, 0.77, 0.85, 0.9)]
    kill, misses, copied, again, moved, killed, raised = at
    return Calendar(weeks, kill, misses, copied, copied + 4, again, moved, killed, raised)


def acts(calendar: Calendar, seed: int) -> list[list[Act]]:
    """Draw what happens in each week."""
    rng = random.Random(seed)
    weeks: list[list[Act]] = []
    order = list(Act)
    for _ in range(calendar.weeks):
        drawn = [act for act, each in EACH.items() for _ in range(_times(rng, each))]
        weeks.append(drawn)
    weeks[calendar.misses] += [Act.FULL] * 3
    # What is not drawn in the month that is lost happens there all the same.
    gap = range(calendar.copied + 1, calendar.lost)
    weeks[gap[0]].append(Act.LEAVE_FOR_A_WHILE)
    weeks[gap[-1]].append(Act.RETURN)
    for act in IN_THE_LOST_MONTH:
        weeks[rng.choice(gap)].append(act)
    # Nobody comes back who has not left: the very first weeks have both.
    weeks[0] += [Act.LEAVE, Act.ERASE, Act.SIGN_UP]
    for week in (calendar.lost, calendar.lost + 1):
        weeks[week] += [Act.SIGN_UP, Act.COME_BACK, Act.COME_BACK_ERASED]
    return [sorted(drawn, key=order.index) for drawn in weeks]


def _times(rng: random.Random, each: float) -> int:
    """How often something happens in a week that happens so often on average."""
    return int(each) + (rng.random() < each % 1)
