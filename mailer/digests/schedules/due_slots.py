"""Decides which of a schedule's slots is to be built now, and which are skipped.

Pure. Never reads a clock or a table: `slot_lookup` gathers what is known, and a builder records the decision.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailer.digests.schedules.calendar import Rule, Slot, slots

SUPERSEDED: Final = "superseded"
LATE: Final = "late"


@dataclass(frozen=True)
class RecordedSlots:
    """The slots that have a digest, whatever became of it: by name and by instant.

    They are the same until a schedule is edited. Then a new slot may have an old one's name, or its
    instant under another name, and gets no second digest for either.
    """

    names: frozenset[str]
    instants: frozenset[datetime]

    def has(self, slot: Slot) -> bool:
        """Whether the slot has a digest."""
        return slot.name in self.names or slot.due_at in self.instants


@dataclass(frozen=True)
class SkippedSlot:
    """A slot for which nothing is sent, and why: superseded by a later one, or too late."""

    slot: Slot
    reason: str


@dataclass(frozen=True)
class DueSlots:
    """What to do about the slots up to now."""

    build: Slot | None = None
    skipped: tuple[SkippedSlot, ...] = ()


def due_slots(
    rule: Rule,
    *,
    after: datetime,
    recorded: RecordedSlots,
    max_lateness: timedelta,
    now: datetime,
) -> DueSlots:
    """Decide about the slots after `after` up to `now` (both UTC) that are not recorded yet.

    Only the latest slot may be built, because a digest holds whatever those before it would have held;
    and only within `max_lateness`. Of those that are skipped, one is kept for each local date: after a
    long stop, a record of every minute that a rule names would help nobody.

    Raises:
        BadSchedule: the rule cannot be parsed.
    """
    skipped: dict[str, SkippedSlot] = {}
    latest: Slot | None = None
    for slot in slots(rule, after, now):
        if latest is not None and not recorded.has(latest):
            skipped[latest.name[:10]] = SkippedSlot(latest, SUPERSEDED)
        latest = slot
    build = None
    if latest is not None and not recorded.has(latest):
        if now - latest.due_at <= max_lateness:
            build = latest
        else:
            skipped[latest.name[:10]] = SkippedSlot(latest, LATE)
    return DueSlots(build, tuple(skipped.values()))
