"""Enters readers into one newsletter, in the caller's transaction; or says what that would do.

Never brings back somebody who left or is suppressed: `mailer.subscribers.entering.decide` decides.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, take_lock
from mailer.errors import Refused
from mailer.newsletters.offer import lock_schedules
from mailer.subscribers.entering.decide import (
    EntryResult,
    EntryTerms,
    NewReader,
    ReaderState,
    decide,
)
from mailer.subscribers.entering.load import load
from mailer.subscribers.entering.store import EntryTarget, store
from mailer.subscribers.signup import ScheduleChoice


def preview(
    session: Session,
    readers: Sequence[NewReader],
    choice: ScheduleChoice,
    *,
    now: datetime,
    earlier: Callable[[dict[str, ReaderState]], None] = lambda states: None,
) -> tuple[list[EntryResult], dict[str, ReaderState]]:
    """Return what `enter` would do with each, and the states of the readers afterwards; only reads.

    Args:
        earlier: is called with what is stored, and changes that to what earlier rows would have made of it.
    """
    states = load(session, [reader.key_hash for reader in readers], choice.offer.id)
    earlier(states)
    terms = EntryTerms(
        (choice.option or choice.default).id, moves=choice.option is not None, now=now
    )
    return [decide(states[reader.key_hash], reader, terms) for reader in readers], states


def enter(
    session: Session,
    readers: Sequence[NewReader],
    choice: ScheduleChoice,
    *,
    random: Callable[[int], bytes],
    now: datetime,
) -> tuple[list[EntryResult], dict[str, ReaderState]]:
    """Enter these readers for one newsletter that has a schedule.

    Returns:
        What it did with each, in their order, and the states of the readers afterwards.

    Raises:
        Refused: the schedule was removed since it was chosen.
    """
    option, look = choice.option or choice.default, choice.offer.look
    take_lock(session, AdvisoryLock.CHANGE_SUBSCRIBERS)
    # The choice of a long import may be old, and readers on a removed schedule would get nothing.
    # Until the commit nobody can remove it.
    if option.id not in lock_schedules(session, [choice.offer.id]):
        raise Refused(
            f"the schedule {look.slug}/{option.name} has just been removed, and readers entered "
            "before that were moved with its others; repeat this with another schedule"
        )
    results, states = preview(session, readers, choice, now=now)
    store(session, states, EntryTarget(choice.offer.id, look), random=random, now=now)
    return results, states
