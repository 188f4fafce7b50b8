"""Finds the schedules of newsletters: by name, of one newsletter or of all, the default one.

Never writes: see `schedule_changes`. When they go out is looked up in `slot_lookup`.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from mailer.clock import zone as zone_named
from mailer.errors import NotFound
from mailer.models import Digest, DigestStatus, Newsletter, Schedule, Subscription

WENT_OUT: Final = (DigestStatus.SENDING, DigestStatus.PAUSED, DigestStatus.SENT)
"""The statuses of digests of which readers have mails, or get them."""


def find(session: Session, reference: str) -> tuple[Newsletter, Schedule]:
    """Find the schedule that "SLUG/NAME" names, or NAME alone if it is the only one; with its newsletter.

    Raises:
        NotFound: there is none, or a single word may mean several.
    """
    slug, slash, name = reference.partition("/")
    if not slash:
        # A newsletter's own name may mean any of its schedules, so they are only suggested.
        either = or_(Schedule.name == reference, Newsletter.slug == reference)
        rows = session.execute(_with_newsletters().where(either)).all()
        if len(rows) == 1 and rows[0][1].name == reference:
            return rows[0]
        names = [f"{newsletter.slug}/{schedule.name}" for newsletter, schedule in rows]
        hint = (
            f"did you mean {' or '.join(names)}?" if names else "`mailer schedule list` shows them"
        )
        raise NotFound(f"{reference!r} is not a schedule; write SLUG/NAME: {hint}")
    exact = _with_newsletters().where(Newsletter.slug == slug, Schedule.name == name)
    row = session.execute(exact).one_or_none()
    if row is None:
        raise NotFound(f"there is no schedule {reference}; `mailer schedule list` shows them all")
    return row


def of_newsletters(
    session: Session, slug: str | None = None
) -> list[tuple[Newsletter, Schedule, int]]:
    """List all schedules, or those of one newsletter, each with its number of readers."""
    readers = select(func.count()).where(has_reader()).correlate(Schedule).scalar_subquery()
    statement = _with_newsletters().add_columns(readers)
    if slug is not None:
        statement = statement.where(Newsletter.slug == slug)
    return list(session.execute(statement))


def has_reader() -> ColumnElement[bool]:
    """True for a subscription that is on the schedule, for statements with both."""
    return (Subscription.schedule_id == Schedule.id) & Subscription.left_at.is_(None)


def default_of(session: Session, newsletter_id: int) -> Schedule | None:
    """Find the schedule of those who choose none."""
    return session.scalar(
        select(Schedule).where(Schedule.newsletter_id == newsletter_id, Schedule.is_default)
    )


def find_named(session: Session, newsletter_id: int, name: str) -> Schedule | None:
    """Find the newsletter's schedule of that name, if it has one."""
    return session.scalar(
        select(Schedule).where(
            Schedule.newsletter_id == newsletter_id,
            Schedule.name == name,
            Schedule.removed_at.is_(None),
        )
    )


def todays_digest(session: Session, schedule: Schedule, *, now: datetime) -> Digest | None:
    """Find the digest that went out for a slot of the schedule's present local date, if any.

    Raises:
        Refused: the schedule's zone does not exist any more.
    """
    today = now.astimezone(zone_named(schedule.zone)).date().isoformat()
    return session.scalar(
        select(Digest)
        .where(
            Digest.schedule_id == schedule.id,
            Digest.slot.startswith(today),
            Digest.status.in_(WENT_OUT),
        )
        .order_by(Digest.due_at.desc())
        .limit(1)
    )


def _with_newsletters() -> Select[Newsletter, Schedule]:
    return (
        select(Newsletter, Schedule)
        .join(Schedule, Schedule.newsletter_id == Newsletter.id)
        .where(Schedule.removed_at.is_(None))
        .order_by(Newsletter.slug, Schedule.name)
    )
