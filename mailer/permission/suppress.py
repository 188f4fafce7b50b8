"""Suppresses addresses, lifts suppressions, and lists them. Both are recorded in the journal.

A suppression is found by the keyed hash of the address, so that it outlives the address. Only
`mailer.permission.rule` decides what follows from one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    exists,
    func,
    literal,
    not_,
    null,
    select,
    update,
)
from sqlalchemy.orm import Session

from mailer.db import dialect_insert, insert_missing
from mailer.journal import record as journal
from mailer.journal.record import NewEntry
from mailer.models import (
    TOMBSTONE,
    BounceEvent,
    ConsentEvent,
    ConsentKind,
    JournalEntry,
    JournalKind,
    Newsletter,
    Notice,
    Subscriber,
    Suppression,
    SuppressionReason,
)


@dataclass(frozen=True)
class SuppressionView:
    """A suppression for people to read; without a newsletter it holds for all.

    Attributes:
        detail: a note by staff.
        because: why the mail came back that led to it, if one did; a word of docs/bounces.md.
        status, diagnostic: what the receiving server said of it.
        digest: the digest it was of; None for a notice.
    """

    address: str | None
    newsletter: str | None
    reason: str
    detail: str | None
    since: datetime
    because: str | None = None
    status: str | None = None
    diagnostic: str | None = None
    digest: int | None = None

    @property
    def explanation(self) -> str | None:
        """What led to it, in one line: what came back, or the note by staff."""
        if self.because is None:
            return self.detail
        mail = "a notice" if self.digest is None else f"digest {self.digest}"
        return (
            f"{self.because} ({mail}): {self.diagnostic or self.status or 'nothing more was said'}"
        )


def suppress(
    session: Session,
    *,
    key_hash: str,
    address: str | None,
    reason: SuppressionReason,
    now: datetime,
    newsletter_id: int | None = None,
    detail: str | None = None,
) -> bool:
    """Stop all mail to this address, or that of one newsletter.

    If it is suppressed already, the first reason stays, unless that is a bounce: a bounce expires, and a
    decision of people does not.

    Returns:
        Whether anything changed.
    """
    values = {"reason": reason, "detail": detail, "created_at": now, "event_id": None}
    row = {"key_hash": key_hash, "address": address, "newsletter_id": newsletter_id, **values}
    before = session.execute(
        select(Suppression.id, Suppression.reason).where(
            Suppression.key_hash == key_hash,
            Suppression.newsletter_id.is_not_distinct_from(newsletter_id),
        )
    ).one_or_none()
    if before is None:
        insert_missing(session, Suppression, [row])
    elif before.reason is not SuppressionReason.BOUNCED or reason is SuppressionReason.BOUNCED:
        return False
    else:
        session.execute(update(Suppression).where(Suppression.id == before.id).values(values))
    slug = None if newsletter_id is None else session.get_one(Newsletter, newsletter_id).slug
    entry = NewEntry(JournalKind.SUPPRESSED, now, key_hash, slug, reason=reason.value)
    journal.record(session, [entry])
    return True


class NewSuppression(NamedTuple):
    """An address that is to get no mail of any newsletter, since when, and why."""

    key_hash: str
    address: str | None
    reason: SuppressionReason
    detail: str | None
    created_at: datetime


def suppress_many(session: Session, new: Sequence[NewSuppression], *, now: datetime) -> None:
    """Stop all mail to these addresses, no address twice. Reasons give way as in `suppress`."""
    if not new:
        return
    into = dialect_insert(session, Suppression)
    columns = ("reason", "detail", "created_at")
    statement = into.on_conflict_do_update(
        index_elements=[Suppression.key_hash],
        index_where=Suppression.newsletter_id.is_(None),
        set_={**{name: into.excluded[name] for name in columns}, "event_id": None},
        where=and_(
            Suppression.reason == literal(SuppressionReason.BOUNCED, Suppression.reason.type),
            into.excluded.reason != literal(SuppressionReason.BOUNCED, Suppression.reason.type),
        ),
    )
    # In one order, so that two processes never wait for each other's rows.
    rows = sorted((row._asdict() for row in new), key=lambda row: str(row["key_hash"]))
    session.connection().execute(statement, rows)
    kind = JournalKind.SUPPRESSED
    journal.record(
        session, [NewEntry(kind, now, row.key_hash, reason=row.reason.value) for row in new]
    )


def suppress_reported(
    session: Session, which: ColumnElement[bool], reason: SuppressionReason, *, now: datetime
) -> None:
    """Stop all mail to the readers whom these `BounceEvent`s are about, for this reason.

    Not to one who has been lifted or has confirmed since: after the bounced mail was sent, or after they
    complained. An earlier decision of people stays; a bounce gives way to a complaint, and to a bounce of a
    mail that was sent after it.

    Args:
        reason: that they bounced or complained.
    """
    complained = reason is SuppressionReason.COMPLAINED
    since = BounceEvent.reported_at if complained else BounceEvent.mailed_at
    reachable = exists(
        select(Subscriber.id)
        .where(Subscriber.key_hash == BounceEvent.key_hash, Subscriber.reachable_at >= since)
        .correlate(BounceEvent)
    )
    # An erased reader's tombstone is nobody's address.
    is_tombstone = BounceEvent.key_hash.startswith(TOMBSTONE)
    counted = and_(which, not_(reachable), not_(is_tombstone))
    same = and_(counted, BounceEvent.key_hash == Suppression.key_hash)
    if not complained:
        same = and_(same, BounceEvent.mailed_at > Suppression.created_at)
    latest = select(func.max(BounceEvent.id)).where(same).correlate(Suppression).scalar_subquery()
    session.execute(
        update(Suppression)
        .where(
            Suppression.key_hash.in_(select(BounceEvent.key_hash).where(counted)),
            Suppression.newsletter_id.is_(None),
            Suppression.reason == SuppressionReason.BOUNCED,
            latest.is_not(None),
        )
        .values(reason=reason, created_at=now, event_id=latest)
        .execution_options(synchronize_session=False)
    )
    rows = (
        select(
            BounceEvent.key_hash,
            func.coalesce(Subscriber.address, Notice.address),
            null(),
            literal(reason, Suppression.reason.type),
            literal(now, Suppression.created_at.type),
            BounceEvent.id,
        )
        .outerjoin(
            Subscriber,
            and_(Subscriber.key_hash == BounceEvent.key_hash, Subscriber.erased_at.is_(None)),
        )
        .outerjoin(Notice, Notice.id == BounceEvent.notice_id)
        .where(counted)
        # The first event of each, and in one order, so that two processes never wait for each other's rows.
        .order_by(BounceEvent.key_hash, BounceEvent.id)
    )
    columns = ["key_hash", "address", "newsletter_id", "reason", "created_at", "event_id"]
    into = dialect_insert(session, Suppression).from_select(columns, rows)
    session.execute(into.on_conflict_do_nothing())
    _journal_reported(session, counted, reason, now)


def _journal_reported(
    session: Session, counted: ColumnElement[bool], reason: SuppressionReason, now: datetime
) -> None:
    """Record those that were written just now."""
    columns = JournalEntry.__table__.c
    rows = (
        select(
            Suppression.created_at,
            literal(JournalKind.SUPPRESSED, columns["kind"].type),
            Suppression.key_hash,
            null(),
            literal(reason.value),
            null(),
        )
        .where(
            Suppression.key_hash.in_(select(BounceEvent.key_hash).where(counted)),
            Suppression.newsletter_id.is_(None),
            Suppression.reason == reason,
            Suppression.created_at == now,
        )
        .order_by(Suppression.id)
    )
    journal.record_selected(session, rows)


def take_back(session: Session, which: ColumnElement[bool], *, now: datetime) -> int:
    """Delete the suppressions to which these `BounceEvent`s led. Return how many there were."""
    statement = (
        delete(Suppression)
        .where(
            # By the address: that is what suppressions are found by.
            Suppression.key_hash.in_(select(BounceEvent.key_hash).where(which)),
            Suppression.newsletter_id.is_(None),
            Suppression.event_id.in_(select(BounceEvent.id).where(which)),
            Suppression.reason == SuppressionReason.BOUNCED,
        )
        .returning(Suppression.key_hash)
        .execution_options(synchronize_session=False)
    )
    lifted = session.scalars(statement).all()
    _journal_lifted(session, lifted, SuppressionReason.BOUNCED, now)
    return len(lifted)


def _journal_lifted(
    session: Session, key_hashes: Sequence[str], only: SuppressionReason | None, now: datetime
) -> None:
    reason = None if only is None else only.value
    journal.record(
        session,
        [NewEntry(JournalKind.LIFTED, now, key_hash, reason=reason) for key_hash in key_hashes],
    )


def lift(
    session: Session, key_hash: str, *, now: datetime, only: SuppressionReason | None = None
) -> int:
    """Delete the suppressions of an address with one reason, or all that staff may lift.

    That somebody was erased is not for staff to lift: it stays, also behind another reason, until the person
    confirms again. What comes back later of mails that were sent before does not suppress it again.

    Returns:
        How many there were.
    """
    session.execute(
        update(Subscriber)
        .where(Subscriber.key_hash == key_hash)
        .values(reachable_at=now)
        .execution_options(synchronize_session=False)
    )
    statement = delete(Suppression).where(Suppression.key_hash == key_hash)
    if only is not None:
        statement = statement.where(Suppression.reason == only)
    else:
        statement = statement.where(Suppression.reason != SuppressionReason.ERASED)
    lifted = len(session.scalars(statement.returning(Suppression.id)).all())
    _journal_lifted(session, [key_hash] if lifted else [], only, now)
    if only is None and erased_at(session, key_hash) is not None:
        keep_away(session, key_hash, now=now)
    return lifted


def keep_away(session: Session, key_hash: str, *, now: datetime) -> None:
    """Suppress an erased address by its hash alone, unless it is suppressed already.

    If another transaction is suppressing it, this waits for it.
    """
    row = {"key_hash": key_hash, "address": None, "newsletter_id": None}
    insert_missing(
        session, Suppression, [{**row, "reason": SuppressionReason.ERASED, "created_at": now}]
    )


def erased_at(session: Session, key_hash: str) -> datetime | None:
    """Return when the person with this hash was last erased; None if never, or if they came back since."""
    last = session.execute(
        select(ConsentEvent.kind, ConsentEvent.at)
        .where(
            ConsentEvent.key_hash == key_hash,
            ConsentEvent.kind.in_([ConsentKind.ERASED, ConsentKind.CONFIRMED]),
        )
        .order_by(ConsentEvent.id.desc())
        .limit(1)
    ).one_or_none()
    return last.at if last is not None and last.kind is ConsentKind.ERASED else None


def list_suppressions(session: Session, key_hash: str | None = None) -> list[SuppressionView]:
    """List all suppressions, or those of one address; the oldest first."""
    statement = (
        select(
            Suppression,
            Newsletter.slug,
            BounceEvent.reason,
            BounceEvent.status,
            BounceEvent.diagnostic,
            BounceEvent.digest_id,
        )
        .outerjoin(Newsletter, Newsletter.id == Suppression.newsletter_id)
        .outerjoin(BounceEvent, BounceEvent.id == Suppression.event_id)
        .order_by(Suppression.created_at, Suppression.id)
    )
    if key_hash is not None:
        statement = statement.where(Suppression.key_hash == key_hash)
    return [
        SuppressionView(
            row.address,
            slug,
            row.reason.value,
            row.detail,
            row.created_at,
            why,
            status,
            said,
            digest_id,
        )
        for row, slug, why, status, said, digest_id in session.execute(statement)
    ]
