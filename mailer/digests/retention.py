"""Purges digests that finished longer ago than the retention: their texts and their rows, not their numbers.

Never lets an article go out twice: before the first row is deleted, the articles that the digest held are
closed, so that they are due to nobody any more. Each step may be interrupted and done again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    exists,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailer.bounces.digest_counts import events_of, reason_counts
from mailer.clock import Clock
from mailer.db import AdvisoryLock, Database, take_lock
from mailer.digests import listings
from mailer.digests.staff_mail import report
from mailer.ledger import digest_state
from mailer.ledger.history.kept_counts import FAILURE, LEFT, READERS, RETURNED, RETURNED_REASON
from mailer.models import (
    PENDING,
    Article,
    BounceEvent,
    Candidate,
    Delivery,
    Digest,
    DigestCount,
    DigestStatus,
    Edition,
    EditionArticle,
    Edits,
    Review,
    Suppression,
)

AT_ONCE: Final = 200
"""How many rows one transaction deletes: for some milliseconds nobody else writes to SQLite."""

_OVER: Final = (DigestStatus.SENT, DigestStatus.SKIPPED, DigestStatus.CANCELLED)


def purge_digests(
    database: Database, *, before: datetime, wall: Clock, go_on: Callable[[], bool]
) -> int:
    """Purge the digests that finished up to `before`, in transactions of its own, and return how many.

    Args:
        go_on: asked between two transactions; where it may wait, so that others can write.
    """
    closed = 0
    with database.read() as session:
        overdue = due(session, before)
    for digest_id in overdue:
        if not go_on():
            return closed
        with database.read() as session:
            counts = read_counts(session, digest_id)
        with database.write() as session:
            closed += close(session, digest_id, counts, before=before, now=wall())
    with database.read() as session:
        unfinished = left_over(session)
    for digest_id in unfinished:
        is_more = True
        while is_more:
            if not go_on():
                return closed
            with database.write() as session:
                is_more = delete_some(session, digest_id)
    return closed


def due(session: Session, before: datetime) -> Sequence[int]:
    """List the digests that are to be purged, the oldest first."""
    return session.scalars(
        select(Digest.id).where(_is_due(before)).order_by(Digest.finished_at, Digest.id)
    ).all()


def read_counts(session: Session, digest_id: int) -> dict[str, int]:
    """Count what is kept of a digest: it takes long, and nobody need wait for it."""
    built_at = session.scalar(select(Digest.built_at).where(Digest.id == digest_id))
    readers = listings.readers_of_editions(session, digest_id)
    returned = events_of(session, digest_id)
    failures = report.failures_of(session, digest_id)
    return {
        **digest_state.count_rows(session, digest_id),
        **{f"{READERS}{number}": count for number, count in readers.items()},
        **{f"{RETURNED}{kind}": count for kind, count in returned.items()},
        **{f"{RETURNED_REASON}{why}": count for why, count in reason_counts(session, digest_id)},
        **{f"{FAILURE}{why}": count for why, count in failures.items()},
        LEFT: report.left_since(session, digest_id, built_at),
    }


def close(
    session: Session, digest_id: int, counts: dict[str, int], *, before: datetime, now: datetime
) -> bool:
    """Close the articles of a digest for good, and keep its counts; from then on its rows may go.

    Returns:
        False if another process was first, or staff have had some of it sent again.
    """
    if any(counts.get(status.value) for status in PENDING):
        return False
    # Refreshes take it too: two that change several articles could wait for each other.
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
    is_first = session.scalar(
        update(Digest)
        .where(Digest.id == digest_id, _is_due(before))
        .values(purged_at=now)
        .returning(Digest.id)
        .execution_options(synchronize_session=False)
    )
    if is_first is None:
        return False
    held = (
        select(EditionArticle.article_id)
        .join(Edition, Edition.id == EditionArticle.edition_id)
        .where(Edition.digest_id == digest_id)
    )
    session.execute(
        update(Article)
        .where(Article.id.in_(held), Article.closed_at.is_(None))
        .values(closed_at=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        insert(DigestCount),
        [
            {"digest_id": digest_id, "name": name, "number": number}
            for name, number in counts.items()
        ],
    )
    return True


def left_over(session: Session) -> Sequence[int]:
    """List the purged digests of which something is still to be deleted."""
    purged = select(Digest.id).where(
        Digest.purged_at.is_not(None),
        or_(
            exists().where(Delivery.digest_id == Digest.id),
            exists().where(Candidate.digest_id == Digest.id),
            exists().where(_has_text(Digest.id)),
        ),
    )
    return session.scalars(purged.order_by(Digest.id)).all()


def delete_some(session: Session, digest_id: int) -> bool:
    """Delete some of the rows of a purged digest, at most `AT_ONCE`.

    Returns:
        Whether there are more to delete now.
    """
    # A build that began before the articles were closed may still be asking who has had them.
    if session.scalar(select(_is_being_asked(digest_id))):
        return False
    room = AT_ONCE
    for delete_rows in (_deliveries, _candidates, _bounces, _articles):
        room -= delete_rows(session, digest_id, room)
        if room <= 0:
            return True
    schedule_id, slot = session.execute(
        select(Digest.schedule_id, Digest.slot).where(Digest.id == digest_id)
    ).one()
    session.execute(delete(Edits).where(Edits.digest_id == digest_id))
    # The mail that showed it to staff is forgotten like other notices once no review refers to it.
    session.execute(delete(Review).where(Review.schedule_id == schedule_id, Review.slot == slot))
    # The rows stay: to delete one, SQLite would look for its deliveries in the whole ledger.
    session.execute(
        update(Edition)
        .where(_has_text(digest_id))
        .values(html="", text="")
        .execution_options(synchronize_session=False)
    )
    return False


def _is_due(before: datetime) -> ColumnElement[bool]:
    return and_(
        Digest.purged_at.is_(None),
        Digest.status.in_(_OVER),
        Digest.finished_at <= before,
        # Its refused mails have been read as bounces.
        Digest.failures_read_at >= Digest.finished_at,
    )


def _is_being_asked(digest_id: int) -> ColumnElement[bool]:
    """True while a digest is being built that may hold an article of this one."""
    return (
        select(Candidate.article_id)
        .join(Digest, Digest.id == Candidate.digest_id)
        .join(EditionArticle, EditionArticle.article_id == Candidate.article_id)
        .join(Edition, Edition.id == EditionArticle.edition_id)
        .where(Digest.status == DigestStatus.BUILDING, Edition.digest_id == digest_id)
        .exists()
    )


def _has_text(digest_id: int | InstrumentedAttribute[int]) -> ColumnElement[bool]:
    return and_(Edition.digest_id == digest_id, or_(Edition.html != "", Edition.text != ""))


def _deliveries(session: Session, digest_id: int, most: int) -> int:
    # By the reader, as the index has them. Another process takes others, so that neither waits.
    some = select(Delivery.id).where(Delivery.digest_id == digest_id)
    ordered = some.order_by(Delivery.subscriber_id).limit(most).with_for_update(skip_locked=True)
    return _delete(session, Delivery, Delivery.id, session.scalars(ordered).all())


def _candidates(session: Session, digest_id: int, most: int) -> int:
    rows = select(Candidate.digest_id, Candidate.article_id).where(Candidate.digest_id == digest_id)
    ordered = rows.order_by(Candidate.article_id).limit(most).with_for_update(skip_locked=True)
    key = tuple_(Candidate.digest_id, Candidate.article_id)
    return _delete(session, Candidate, key, [tuple(row) for row in session.execute(ordered)])


def _bounces(session: Session, digest_id: int, most: int) -> int:
    """Delete what came back, except where it says why somebody gets no mail."""
    explains = exists().where(Suppression.event_id == BounceEvent.id)
    some = select(BounceEvent.id).where(BounceEvent.digest_id == digest_id, ~explains)
    ordered = some.order_by(BounceEvent.id).limit(most).with_for_update(skip_locked=True)
    return _delete(session, BounceEvent, BounceEvent.id, session.scalars(ordered).all())


def _articles(session: Session, digest_id: int, most: int) -> int:
    rows = (
        select(EditionArticle.edition_id, EditionArticle.article_id)
        .join(Edition, Edition.id == EditionArticle.edition_id)
        .where(Edition.digest_id == digest_id)
        .order_by(EditionArticle.edition_id, EditionArticle.article_id)
        .limit(most)
        .with_for_update(skip_locked=True, of=EditionArticle)
    )
    key = tuple_(EditionArticle.edition_id, EditionArticle.article_id)
    return _delete(session, EditionArticle, key, [tuple(row) for row in session.execute(rows)])


def _delete(session: Session, table: type[Any], key: Any, rows: Sequence[Any]) -> int:
    if rows:
        session.execute(
            delete(table).where(key.in_(rows)).execution_options(synchronize_session=False)
        )
    return len(rows)
