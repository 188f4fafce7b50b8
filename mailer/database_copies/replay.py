"""Tells a restored database what its journal says: who left, came back, was suppressed, lifted or erased.

Never mails anybody, and never makes a subscriber: who confirmed after the backup has to sign up again. Doing
it twice changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from mailer.database_copies import replayed_acts
from mailer.database_copies.replayed_entries import STANDING, add_entries, sort_out
from mailer.db import AdvisoryLock, take_lock
from mailer.failpoint import reach
from mailer.journal import copies
from mailer.journal.entries import RecordedEntry
from mailer.journal.record import silent
from mailer.models import JournalEntry, JournalKind, Newsletter

_K: Final = JournalKind
_E: Final = STANDING.c


@dataclass(frozen=True)
class ReplayCounts:
    """What a replay did.

    Attributes:
        entries: how many entries the database did not have.
        left, returned: how many subscriptions ended, and began again.
        suppressed, lifted: how many suppressions were written, and deleted.
        erased: how many people were erased again.
        digests: how many digests were built after the backup.
        lost_readers: how many subscriptions were confirmed after the backup, and are not in it.
        moved: how many changes of schedule there were; `mailer resume` makes them.
        unknown_newsletters: how many entries are about newsletters that the backup does not know.
        gaps: how many times a backup was restored without a journal after this one was made: the entries
            do not say all that happened since.
    """

    entries: int = 0
    left: int = 0
    returned: int = 0
    suppressed: int = 0
    lifted: int = 0
    erased: int = 0
    digests: int = 0
    moved: int = 0
    lost_readers: int = 0
    unknown_newsletters: int = 0
    gaps: int = 0


def replay(session: Session, entries: Iterable[RecordedEntry], *, now: datetime) -> ReplayCounts:
    """Write the entries that this database does not have, and do again what they say.

    Args:
        entries: of the journal, in their order; those that the database has already change nothing.
    """
    take_lock(session, AdvisoryLock.CHANGE_SUBSCRIBERS)
    take_lock(session, AdvisoryLock.COUNT_SIGNUPS)
    added = add_entries(session, entries, now=now)
    if not added:
        return ReplayCounts()
    copies.copy_missing(session)
    sort_out(session, now=now)
    reach("replay.before-acts")
    with silent(session):
        counts = ReplayCounts(
            entries=added,
            erased=replayed_acts.erase_again(session),
            lifted=replayed_acts.lift_again(session),
            suppressed=replayed_acts.suppress_again(session),
            left=replayed_acts.leave_again(session),
            returned=replayed_acts.return_again(session),
            digests=_count(session, _replayed(_K.DIGEST, now)),
            gaps=_count(session, _replayed(_K.GAP, now)),
            moved=_count(session, select(_E.id).where(_E.kind == _K.MOVED, _E.is_last)),
            lost_readers=_count(session, replayed_acts.lost_readers()),
            unknown_newsletters=_count(session, _unknown_newsletters()),
        )
    STANDING.drop(session.connection(), checkfirst=False)
    return counts


def _replayed(kind: JournalKind, now: datetime) -> Select[Any]:
    return select(JournalEntry.id).where(JournalEntry.replayed_at == now, JournalEntry.kind == kind)


def _count(session: Session, rows: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(rows.subquery())) or 0


def _unknown_newsletters() -> Select[Any]:
    known = select(Newsletter.slug)
    return select(_E.id).where(_E.newsletter.is_not(None), _E.newsletter.not_in(known))
