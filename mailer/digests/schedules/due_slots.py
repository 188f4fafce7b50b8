"""Which slots of a schedule are due now, and which are let go.

Pure. Reads no clock and no table: `timetable` gathers what is known and writes down what is decided.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mailer.digests.schedules.calendar import Rule, Slot, slots

SUPERSEDED = "superseded"
LATE = "late"


@dataclass(frozen=True)
class Recorded:
    """The slots that have a digest, whatever became of it: by name and by instant.

    They are the same until a schedule is edited; then a new slot may have an old one's name, or its
    instant under another name, and gets no second digest for either.
    """

    names: frozenset[str]
    instants: frozenset[datetime]

    def holds(self, slot: Slot) -> bool:
        """Whether the slot has a digest."""
        return slot.name in self.names or slot.due_at in self.instants


@dataclass(frozen=True)
class LetGo:
    """A slot for which nothing is sent, and why: superseded by a later one, or too late."""

    slot: Slot
    reason: str


@dataclass(frozen=True)
class Due:
    """What is to be done about the slots up to now."""

    build: Slot | None
    let_go: tuple[LetGo, ...]


def due_slots(
    rule: Rule,
    *,
    after: datetime,
    recorded: Recorded,
    max_lateness: timedelta,
    now: datetime,
) -> Due:
    """Decide about the slots after `after` up to `now` (both UTC) that are not recorded yet.

    Only the latest slot may be built, because a digest holds whatever those before it would have held;
    and only within `max_lateness`. Of those that are let go, one is kept for each local date: after a
    long stop, a record of every minute that a rule names would tell nobody anything.
    """
    missed: dict[str, LetGo] = {}
    latest: Slot | None = None
    for slot in slots(rule, after, now):
        if latest is not None and not recorded.holds(latest):
            missed[latest.name[:10]] = LetGo(latest, SUPERSEDED)
        latest = slot
    build = None
    if latest is not None and not recorded.holds(latest):
        if now - latest.due_at <= max_lateness:
            build = latest
        else:
            missed[latest.name[:10]] = LetGo(latest, LATE)
    return Due(build, tuple(missed.values()))
