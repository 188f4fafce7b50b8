"""Counts as had what was sent after the backup: digests with their articles, and a delivery for each reader.

Never builds or sends anything. A digest that was counted occupies its slot.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from mailer.database_copies.gap import GapDigest
from mailer.db import AdvisoryLock, insert_missing, take_lock
from mailer.digests.schedules.calendar import SLOT_FORMAT
from mailer.ledger.history import after_restore
from mailer.models import (
    Article,
    Candidate,
    Digest,
    DigestStatus,
    Edition,
    EditionArticle,
    Feed,
    Holds,
    JournalEntry,
    JournalKind,
    Newsletter,
    NewsletterArticle,
    Schedule,
    ScheduleKind,
    Subscriber,
    Subscription,
)

_CHOSE: Final = and_(
    JournalEntry.replayed_at.is_not(None),
    JournalEntry.kind.in_([JournalKind.MOVED, JournalKind.RETURNED]),
    JournalEntry.detail.is_not(None),
)
"""An entry after the backup that says which schedule a reader chose."""

REASON: Final = "sent after the backup, so its readers count as having had it"
_NOTHING: Final = {
    DigestStatus.SKIPPED: "skipped after the backup",
    DigestStatus.CANCELLED: "cancelled after the backup",
}


def count_digest(session: Session, gap: GapDigest, *, now: datetime) -> int | None:
    """Write a digest of after the backup, and return for how many readers.

    Those are the readers of its schedule who had confirmed before it. Readers of a one-off, or of a schedule
    that the backup does not know, are all readers of the newsletter.

    Returns:
        None if the backup does not know the newsletter: then there is nobody to count it for.
    """
    if gap.newsletter_id is None:
        return None
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
    newsletter = session.get_one(Newsletter, gap.newsletter_id)
    schedule = _schedule(session, newsletter, gap, now)
    digest = _digest(session, schedule, gap, now)
    if gap.detail.readers == 0:
        return 0
    edition = _edition(session, newsletter, digest, gap)
    articles = _articles(session, newsletter, gap, now)
    printed = [
        {"edition_id": edition.id, "article_id": article_id, "position": position}
        for position, article_id in enumerate(articles, 1)
    ]
    if printed:
        session.execute(insert(EditionArticle), printed)
    readers = and_(_readers(newsletter, schedule), _had_confirmed(newsletter, gap.at))
    count = after_restore.count_as_had(
        session, digest.id, edition.id, readers, sent_at=gap.at, now=now
    )
    if schedule.kind is not ScheduleKind.ONCE:
        _are_no_newcomers(session, readers, digest)
    return count


def move_readers(session: Session) -> None:
    """Give readers the schedules that they chose after the backup, if these still exist.

    After counting: they have had digests of both schedules.
    """
    ranked = (
        select(
            Subscription.id.label("id"),
            Schedule.id.label("schedule_id"),
            func.row_number()
            .over(partition_by=Subscription.id, order_by=JournalEntry.id.desc())
            .label("from_last"),
        )
        .select_from(JournalEntry)
        .join(Newsletter, Newsletter.slug == JournalEntry.newsletter)
        .join(Subscriber, Subscriber.key_hash == JournalEntry.key_hash)
        .join(
            Subscription,
            and_(
                Subscription.subscriber_id == Subscriber.id,
                Subscription.newsletter_id == Newsletter.id,
            ),
        )
        .outerjoin(
            Schedule,
            and_(
                Schedule.newsletter_id == Newsletter.id,
                Schedule.name == JournalEntry.detail,
                Schedule.removed_at.is_(None),
                Schedule.kind != ScheduleKind.ONCE,
            ),
        )
        .where(_CHOSE)
        .subquery()
    )
    last = select(ranked.c.id, ranked.c.schedule_id).where(
        ranked.c.from_last == 1, ranked.c.schedule_id.is_not(None)
    )
    chosen = last.subquery()
    session.execute(
        update(Subscription)
        .where(Subscription.id == chosen.c.id, Subscription.left_at.is_(None))
        .values(schedule_id=chosen.c.schedule_id)
        .execution_options(synchronize_session=False)
    )


def count_everything(session: Session, *, restored_at: datetime, now: datetime) -> None:
    """Count as had all that has come in until now, because it is not known what was sent.

    Each schedule gets a digest that was skipped, so that no slot before it is built. A feed that was not
    fetched since the restore still has articles of that time: the next document from it is backlog.
    """
    start_at_newest(session, Subscription.confirmed_at <= now)
    session.execute(
        update(Feed)
        .where(or_(Feed.last_success_at.is_(None), Feed.last_success_at < restored_at))
        .values(first_fetched_at=None, etag=None, last_modified=None, next_fetch_at=now)
        .execution_options(synchronize_session=False)
    )
    schedules = session.scalars(select(Schedule).where(Schedule.removed_at.is_(None)))
    for schedule in schedules.all():
        digest = Digest(
            schedule_id=schedule.id,
            # By its second no slot is named.
            slot=now.strftime(f"{SLOT_FORMAT}:%S"),
            due_at=now,
            status=DigestStatus.SKIPPED,
            reason="restored without the journal: all until now counts as had",
            created_at=now,
            finished_at=now,
        )
        session.add(digest)
        session.flush()
        confirmed = Subscription.confirmed_at <= now
        mine = and_(Subscription.schedule_id == schedule.id, confirmed)
        _are_no_newcomers(session, mine, digest)


def start_at_newest(session: Session, which: ColumnElement[bool]) -> None:
    """Make only articles due to these subscriptions that come in from now on."""
    newest = select(func.coalesce(func.max(Article.id), 0)).scalar_subquery()
    session.execute(
        update(Subscription)
        .where(which)
        .values(start_article=newest)
        .execution_options(synchronize_session=False)
    )


def _are_no_newcomers(session: Session, readers: ColumnElement[bool], digest: Digest) -> None:
    """Record that this was the first digest of those who had none: it took their earlier articles."""
    session.execute(
        update(Subscription)
        .where(readers, Subscription.first_digest_id.is_(None))
        .values(first_digest_id=digest.id)
        .execution_options(synchronize_session=False)
    )


def _readers(newsletter: Newsletter, schedule: Schedule) -> ColumnElement[bool]:
    if schedule.kind is ScheduleKind.ONCE:
        return Subscription.newsletter_id == schedule.newsletter_id
    # Also of those who have chosen it since, or chose it for a while.
    chose = (
        select(Subscriber.id)
        .join(JournalEntry, JournalEntry.key_hash == Subscriber.key_hash)
        .where(
            _CHOSE,
            JournalEntry.newsletter == newsletter.slug,
            JournalEntry.detail == schedule.name,
        )
    )
    return and_(
        Subscription.newsletter_id == schedule.newsletter_id,
        or_(Subscription.schedule_id == schedule.id, Subscription.subscriber_id.in_(chose)),
    )


def _had_confirmed(newsletter: Newsletter, at: datetime) -> ColumnElement[bool]:
    """Tell of a subscription whether it was confirmed at that time.

    A reader who came back, left and came back once more after the backup has the last time only.
    """
    returned = (
        select(Subscriber.id)
        .join(JournalEntry, JournalEntry.key_hash == Subscriber.key_hash)
        .where(
            JournalEntry.replayed_at.is_not(None),
            JournalEntry.kind == JournalKind.RETURNED,
            JournalEntry.newsletter == newsletter.slug,
            JournalEntry.at <= at,
        )
    )
    return or_(Subscription.confirmed_at <= at, Subscription.subscriber_id.in_(returned))


def _schedule(session: Session, newsletter: Newsletter, gap: GapDigest, now: datetime) -> Schedule:
    """Find the schedule of this digest; or make one that is over, if it was added after the backup."""
    schedule = session.scalar(
        select(Schedule)
        .where(Schedule.newsletter_id == newsletter.id, Schedule.name == gap.detail.schedule)
        .order_by(Schedule.removed_at.is_not(None), Schedule.id.desc())
        .limit(1)
    )
    if schedule is not None:
        return schedule
    schedule = Schedule(
        newsletter_id=newsletter.id,
        name=gap.detail.schedule,
        kind=ScheduleKind.ONCE,
        once=gap.detail.slot,
        holds=Holds(gap.detail.holds) if gap.detail.holds in set(Holds) else Holds.DUE,
        zone=gap.detail.zone or "UTC",
        active_from=gap.at,
        removed_at=now,
        created_at=gap.at,
    )
    session.add(schedule)
    session.flush()
    return schedule


def _digest(session: Session, schedule: Schedule, gap: GapDigest, now: datetime) -> Digest:
    """Write the digest; one that was being built when the backup was made becomes it."""
    digest = session.scalar(
        select(Digest).where(Digest.schedule_id == schedule.id, Digest.slot == gap.detail.slot)
    )
    if digest is None:
        digest = Digest(schedule_id=schedule.id, slot=gap.detail.slot, due_at=gap.detail.due_at)
        session.add(digest)
    else:
        session.execute(delete(Candidate).where(Candidate.digest_id == digest.id))
    ended = next((s for s in _NOTHING if s.value == gap.detail.status), DigestStatus.SENT)
    digest.status = ended
    digest.reason = _NOTHING.get(ended, REASON)
    digest.subject = gap.detail.subject
    digest.created_at = digest.built_at = gap.at
    # Nobody is told of it again, and nothing of it comes back any more.
    digest.finished_at = digest.reported_at = digest.failures_read_at = now
    session.flush()
    return digest


def _edition(session: Session, newsletter: Newsletter, digest: Digest, gap: GapDigest) -> Edition:
    titles = "\n".join(article.title for article in gap.detail.articles)
    edition = Edition(
        digest_id=digest.id,
        number=1,
        language=newsletter.language,
        from_name=newsletter.title,
        from_address=newsletter.from_address,
        reply_to=newsletter.reply_to,
        subject=gap.detail.subject or "",
        # What it looked like is lost.
        html="",
        text=titles,
        marker="",
    )
    session.add(edition)
    session.flush()
    return edition


def _articles(session: Session, newsletter: Newsletter, gap: GapDigest, now: datetime) -> list[int]:
    """Return the ids of the digest's articles; those that the backup does not know are added."""
    urls = [article.canonical_url for article in gap.detail.articles]
    rows = [
        {
            "canonical_url": article.canonical_url,
            "url": article.url,
            "title": article.title,
            # A feed that still has it says more at its next fetch.
            "summary_html": "",
            "published_at": article.published_at,
            "first_seen_at": gap.at,
            "updated_at": gap.at,
        }
        for article in gap.detail.articles
    ]
    insert_missing(session, Article, rows)
    known = session.execute(
        select(Article.canonical_url, Article.id).where(Article.canonical_url.in_(urls))
    )
    ids = dict(known.all())
    shared = {"newsletter_id": newsletter.id, "backlog": False, "added_at": now}
    mine = [ids[url] for url in dict.fromkeys(urls)]
    insert_missing(session, NewsletterArticle, [{**shared, "article_id": id_} for id_ in mine])
    return mine
