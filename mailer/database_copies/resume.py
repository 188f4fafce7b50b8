"""Takes down the fence of a restored database, and counts as had what was sent meanwhile, if staff agree.

Everything happens in the caller's transaction: the fence is up until all of it is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.database_copies import counting
from mailer.database_copies.gap import (
    BegunDigest,
    GapDigest,
    begun_digests,
    count_lost_readers,
    digests_since_backup,
)
from mailer.db import AdvisoryLock, take_lock
from mailer.digests.build import slot_claims
from mailer.digests.schedules import slot_lookup
from mailer.digests.selection.plan import plan_digest
from mailer.failpoint import reach
from mailer.ledger import fence
from mailer.ledger.history import after_restore
from mailer.ledger.pause import resume_sending
from mailer.models import (
    Digest,
    DigestStatus,
    Installation,
    JournalEntry,
    Newsletter,
    Schedule,
    Subscription,
)


@dataclass(frozen=True)
class DueNow:
    """What a schedule would send at its next slot, if nothing were counted as had.

    Attributes:
        is_late: whether the slot has passed: it would be built at once.
    """

    newsletter: str
    schedule: str
    slot: str
    is_late: bool
    articles: int
    readers: int


@dataclass(frozen=True)
class Situation:
    """What staff have to know before a restored database sends again.

    Attributes:
        sent: what was sent after the backup, as far as the journal says.
        begun: what was being sent when the backup was made.
        due: what would be sent now.
        lost_readers: how many subscriptions were confirmed after the backup and are lost.
    """

    fence: fence.Fence
    sent: Sequence[GapDigest]
    begun: Sequence[BegunDigest]
    due: Sequence[DueNow]
    lost_readers: int


@dataclass(frozen=True)
class ResumeResult:
    """How many digests and deliveries were counted as had, and how many digests were not."""

    digests: int = 0
    deliveries: int = 0
    unknown_newsletters: int = 0


def read_situation(session: Session, *, now: datetime) -> Situation | None:
    """Read what staff have to know; None if the fence is not up.

    Raises:
        BadSchedule: a schedule's rule cannot be parsed.
    """
    up = fence.current(session)
    if up is None:
        return None
    return Situation(
        fence=up,
        sent=digests_since_backup(session),
        begun=begun_digests(session),
        due=_due(session, now),
        lost_readers=count_lost_readers(session),
    )


def _due(session: Session, now: datetime) -> list[DueNow]:
    found = []
    for schedule, slug in session.execute(
        select(Schedule, Newsletter.slug)
        .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
        .where(Schedule.removed_at.is_(None), Schedule.paused_at.is_(None))
        .order_by(Newsletter.slug, Schedule.name)
    ):
        late = slot_lookup.due(session, schedule, now=now).build
        slot = late or slot_lookup.coming_slot(session, schedule, now=now)
        if slot is None:
            continue
        plan = plan_digest(session, schedule, slot)
        articles = {article for cohort in plan.choice.cohorts for article in cohort.articles}
        found.append(
            DueNow(
                slug, schedule.name, slot.name, late is not None, len(articles), plan.reader_count
            )
        )
    return found


def resume(session: Session, *, count_as_had: bool, now: datetime) -> ResumeResult:
    """Take down the fence, and start sending.

    Args:
        count_as_had: whether what was sent after the backup, or was under way then, counts as had. Otherwise
            it is due again, and readers may get it twice.
    """
    take_lock(session, AdvisoryLock.CLAIM_SLOTS)
    up = fence.current(session)
    result = ResumeResult()
    if up is not None:
        result = _count(session, up, now) if count_as_had else result
        counting.move_readers(session)
        _give_back_builds(session)
        after_restore.end_old_notices(session, up.restored_at, now=now)
        reach("resume.before-fence")
        session.execute(
            update(JournalEntry)
            .where(JournalEntry.replayed_at.is_not(None))
            .values(replayed_at=None)
            .execution_options(synchronize_session=False)
        )
        session.execute(
            update(Installation)
            .values(restored_at=None, restored_backup_at=None, restored_without_journal=None)
            .execution_options(synchronize_session=False)
        )
    resume_sending(session)
    return result


def _count(session: Session, up: fence.Fence, now: datetime) -> ResumeResult:
    sent = digests_since_backup(session)
    counts = [counting.count_digest(session, digest, now=now) for digest in sent]
    dropped = sum(_end(session, digest, now) for digest in begun_digests(session))
    if up.without_journal:
        counting.count_everything(session, restored_at=up.restored_at, now=now)
    else:
        # Who confirmed since the restore gets what comes in from then on, and not what was added just now.
        counting.start_at_newest(session, Subscription.confirmed_at >= up.restored_at)
    return ResumeResult(
        digests=sum(count is not None for count in counts),
        deliveries=dropped + sum(count or 0 for count in counts),
        unknown_newsletters=sum(count is None for count in counts),
    )


def _end(session: Session, digest: BegunDigest, now: datetime) -> int:
    dropped = after_restore.drop_pending(session, digest.id, now=now)
    session.execute(
        update(Digest)
        .where(Digest.id == digest.id)
        .values(status=DigestStatus.SENT, reason=counting.REASON, finished_at=now, reported_at=now)
        .execution_options(synchronize_session=False)
    )
    return dropped


def _give_back_builds(session: Session) -> None:
    """Leave slots as if never claimed whose digests were being built when the backup was made."""
    rows = session.execute(
        select(Digest.id, Digest.builder_id).where(Digest.status == DigestStatus.BUILDING)
    ).all()
    for digest_id, builder_id in rows:
        if builder_id is not None:
            slot_claims.give_back(session, digest_id, builder_id=builder_id)
