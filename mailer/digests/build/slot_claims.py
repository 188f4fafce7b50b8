"""Claims slots for builders: begins a slot's digest, skips it, takes it over, gives it back, or cancels it.

Builds begin one after the other. Never decides which slot is due (see `due_slots`) or who gets what.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, take_lock
from mailer.digests.build.journaling import journal_digest
from mailer.digests.editing import edits
from mailer.digests.schedules.calendar import Slot
from mailer.digests.schedules.due_slots import SkippedSlot
from mailer.digests.schedules.slot_lookup import digest_at
from mailer.digests.selection.plan import source_at
from mailer.errors import Refused
from mailer.ledger import digest_state, fence
from mailer.models import Candidate, Digest, DigestStatus, Schedule

log = logging.getLogger(__name__)

LiveBuilders = Callable[[Session], Collection[int]]
"""Lists the builders that live. It is called when no other build can begin any more, so that one that has
just begun is among them."""


@dataclass(frozen=True)
class SlotClaim:
    """What a builder that wants a slot gets.

    Attributes:
        digest_id: the digest to build, or the one that stands for the slot. None while another builder
            is at work: then ask again.
        build: whether this builder is to build it.
    """

    digest_id: int | None
    build: bool


def claim_slot(
    session: Session,
    schedule: Schedule,
    slot: Slot,
    *,
    builder_id: int,
    live_builders: LiveBuilders,
    now: datetime,
) -> SlotClaim:
    """Begin the digest of that slot: its row, its candidates and staff's edits, frozen.

    While a digest is being built nothing else begins. One whose builder is dead is taken over first,
    whichever it is.

    Raises:
        Refused: the slot does not count any more, because staff paused, removed or moved the schedule; or
            the database was restored.
    """
    take_lock(session, AdvisoryLock.CLAIM_SLOTS)
    fence.check_down(session)
    known = digest_at(session, schedule, slot)
    if known is not None and known.status != DigestStatus.BUILDING:
        return SlotClaim(known.id, build=False)
    abandoned_id = _take_over(session, builder_id, live_builders(session))
    if abandoned_id is not None:
        return SlotClaim(abandoned_id, build=True)
    # Another builder is building, or has just finished this digest: the caller asks again.
    if known is not None or _is_building(session):
        return SlotClaim(None, build=False)
    # A builder may have waited for others since it found the slot due. Until the commit nobody can change
    # the schedule, and who changes it afterwards finds this digest.
    session.refresh(schedule, with_for_update={"read": True})
    if schedule.paused_at or schedule.removed_at or slot.due_at <= schedule.active_from:
        raise Refused(f"slot {slot.name} no longer counts; see `mailer schedule list`")
    digest = insert_digest(
        session, schedule, slot, DigestStatus.BUILDING, now=now, builder_id=builder_id
    )
    source = source_at(schedule, slot).add_columns(literal(digest.id))
    session.execute(insert(Candidate).from_select(["article_id", "backlog", "digest_id"], source))
    edits.use_up(session, schedule.id, digest.id)
    return SlotClaim(digest.id, build=True)


def record_skipped(
    session: Session, schedule: Schedule, skipped: Sequence[SkippedSlot], *, now: datetime
) -> list[SkippedSlot]:
    """Record that nothing is sent for these slots; one that has a digest meanwhile is left alone.

    Returns:
        Those that were recorded.

    Raises:
        Refused: the database was restored.
    """
    take_lock(session, AdvisoryLock.CLAIM_SLOTS)
    fence.check_down(session)
    recorded = [item for item in skipped if digest_at(session, schedule, item.slot) is None]
    for item in recorded:
        digest = insert_digest(
            session, schedule, item.slot, DigestStatus.SKIPPED, now=now, reason=item.reason
        )
        journal_digest(session, digest.id, now=now)
        log.warning(
            "schedule %s: nothing is sent for slot %s (%s)",
            schedule.id,
            item.slot.name,
            item.reason,
        )
    return recorded


def insert_digest(
    session: Session,
    schedule: Schedule,
    slot: Slot,
    status: DigestStatus,
    *,
    now: datetime,
    **columns: Any,
) -> Digest:
    """Insert the digest of that slot; one that is not to be built is over at once."""
    digest = Digest(
        schedule_id=schedule.id,
        slot=slot.name,
        due_at=slot.due_at,
        status=status,
        created_at=now,
        finished_at=None if status is DigestStatus.BUILDING else now,
        **columns,
    )
    session.add(digest)
    session.flush()
    return digest


def take_over(session: Session, builder_id: int, live_builders: LiveBuilders) -> int | None:
    """Take over a digest whose builder is dead; return its id, None if there is none.

    Raises:
        Refused: the database was restored.
    """
    take_lock(session, AdvisoryLock.CLAIM_SLOTS)
    fence.check_down(session)
    return _take_over(session, builder_id, live_builders(session))


def give_back(session: Session, digest_id: int, *, builder_id: int) -> tuple[int, str] | None:
    """Undo what `claim_slot` did, so that the slot can be built again: nothing is left of a failed build.

    Returns:
        The id of the schedule and the name of the slot; None if the digest is not this builder's any more.
    """
    mine = is_mine(digest_id, builder_id)
    row = session.execute(select(Digest.schedule_id, Digest.slot).where(mine)).one_or_none()
    if row is None:
        return None
    edits.give_back(session, digest_id)
    session.execute(delete(Candidate).where(Candidate.digest_id.in_(select(Digest.id).where(mine))))
    session.execute(delete(Digest).where(mine))
    return row.schedule_id, row.slot


def cancel(session: Session, digest_id: int, *, now: datetime) -> bool:
    """Stop a digest for good. What staff wrote for one that was still being built is for the next one.

    Returns:
        False if it was sent, skipped or cancelled before.
    """
    # Until the commit no build can finish what is cancelled here.
    status = session.scalar(select(Digest.status).where(Digest.id == digest_id).with_for_update())
    if not digest_state.cancel_digest(session, digest_id, now):
        return False
    if status == DigestStatus.BUILDING:
        edits.give_back(session, digest_id)
    journal_digest(session, digest_id, now=now)
    return True


def _take_over(session: Session, builder_id: int, alive: Collection[int]) -> int | None:
    # A builder builds one at a time: a digest with its own id was left when giving back failed.
    others = set(alive) - {builder_id}
    return session.scalar(
        update(Digest)
        .where(
            Digest.status == DigestStatus.BUILDING,
            or_(Digest.builder_id.is_(None), Digest.builder_id.not_in(others)),
        )
        .values(builder_id=builder_id)
        .returning(Digest.id)
    )


def _is_building(session: Session) -> bool:
    return bool(session.scalar(select(exists().where(Digest.status == DigestStatus.BUILDING))))


def is_mine(digest_id: int, builder_id: int) -> ColumnElement[bool]:
    """True for the digest while this builder builds it."""
    return and_(
        Digest.id == digest_id,
        Digest.status == DigestStatus.BUILDING,
        Digest.builder_id == builder_id,
    )
