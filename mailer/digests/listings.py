"""Reads digests, editions and deliveries as people look at them. Never writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.errors import NotFound
from mailer.ledger.history.kept_counts import READERS, kept_counts, with_prefix
from mailer.models import (
    Article,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Edition,
    EditionArticle,
    Newsletter,
    Schedule,
    Subscriber,
)


@dataclass(frozen=True)
class PrintedArticle:
    """An article in an edition."""

    id: int
    title: str
    url: str


@dataclass(frozen=True)
class EditionSummary:
    """An edition: what it holds and for how many readers."""

    number: int
    subject: str
    articles: Sequence[PrintedArticle]
    readers: int


@dataclass(frozen=True)
class DigestSummary:
    """A digest: whose, for which slot, how far it is, and when its rows were deleted as too old."""

    id: int
    newsletter: str
    schedule: str
    slot: str
    due_at: datetime
    status: DigestStatus
    reason: str | None
    subject: str | None
    built_at: datetime | None
    finished_at: datetime | None
    purged_at: datetime | None


@dataclass(frozen=True)
class DeliverySummary:
    """A row of the ledger; `address` is empty if the reader was erased.

    `dropped_at` is when staff left a row in doubt as it is.
    """

    id: int
    digest: int
    address: str
    status: DeliveryStatus
    attempts: int
    in_doubt: int
    reply: str | None
    dropped_at: datetime | None


def digests(
    session: Session, *, newsletter_id: int | None = None, digest_id: int | None = None
) -> list[DigestSummary]:
    """List digests, newest slot first: all, those of a newsletter, or one."""
    statement = (
        select(Newsletter.slug, Schedule.name, Digest)
        .select_from(Digest)
        .join(Schedule, Schedule.id == Digest.schedule_id)
        .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
        .order_by(Digest.due_at.desc(), Digest.id.desc())
    )
    if newsletter_id is not None:
        statement = statement.where(Newsletter.id == newsletter_id)
    if digest_id is not None:
        statement = statement.where(Digest.id == digest_id)
    return [
        DigestSummary(
            id=digest.id,
            newsletter=slug,
            schedule=name,
            slot=digest.slot,
            due_at=digest.due_at,
            status=digest.status,
            reason=digest.reason,
            subject=digest.subject,
            built_at=digest.built_at,
            finished_at=digest.finished_at,
            purged_at=digest.purged_at,
        )
        for slug, name, digest in session.execute(statement)
    ]


def find(session: Session, digest_id: int) -> DigestSummary:
    """Find the digest with that number.

    Raises:
        NotFound: there is none.
    """
    for digest in digests(session, digest_id=digest_id):
        return digest
    raise NotFound(f"there is no digest {digest_id}; `mailer digest list` shows them all")


def editions(session: Session, digest_id: int) -> list[EditionSummary]:
    """List the editions of a digest, the one with the most readers when it was built first.

    Of a purged digest the articles are not known any more.
    """
    articles: dict[int, list[PrintedArticle]] = {}
    for edition_id, article_id, title, url in session.execute(
        select(EditionArticle.edition_id, Article.id, Article.title, Article.url)
        .join(Article, Article.id == EditionArticle.article_id)
        .join(Edition, Edition.id == EditionArticle.edition_id)
        .where(Edition.digest_id == digest_id)
        .order_by(EditionArticle.edition_id, EditionArticle.position)
    ):
        articles.setdefault(edition_id, []).append(PrintedArticle(article_id, title, url))
    readers = readers_of_editions(session, digest_id)
    rows = session.execute(
        select(Edition.id, Edition.number, Edition.subject)
        .where(Edition.digest_id == digest_id)
        .order_by(Edition.number)
    )
    return [
        EditionSummary(number, subject, articles.get(edition_id, []), readers.get(number, 0))
        for edition_id, number, subject in rows
    ]


def readers_of_editions(session: Session, digest_id: int) -> dict[int, int]:
    """Count for how many readers each edition of a digest was made, by its number."""
    kept = kept_counts(session, digest_id)
    if kept is not None:
        return {int(number): readers for number, readers in with_prefix(kept, READERS).items()}
    # The deliveries of the digest are found by an index, those of an edition among them are not.
    of_edition = (
        select(Delivery.edition_id, func.count().label("readers"))
        .where(Delivery.digest_id == digest_id)
        .group_by(Delivery.edition_id)
        .subquery()
    )
    rows = session.execute(
        select(Edition.number, of_edition.c.readers).join(
            of_edition, of_edition.c.edition_id == Edition.id
        )
    )
    return dict(rows.all())


def deliveries(
    session: Session,
    *,
    digest_id: int | None,
    address_key: str | None,
    status: DeliveryStatus | None,
) -> list[DeliverySummary]:
    """List rows of the ledger, oldest first: those that match all that is given."""
    state = (Delivery.status, Delivery.attempts, Delivery.in_doubt, Delivery.reply)
    statement = (
        select(Delivery.id, Delivery.digest_id, Subscriber.address, *state, Delivery.dropped_at)
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .order_by(Delivery.id)
    )
    if digest_id is not None:
        statement = statement.where(Delivery.digest_id == digest_id)
    if address_key is not None:
        statement = statement.where(Subscriber.address_key == address_key)
    if status is not None:
        statement = statement.where(Delivery.status == status)
    return [DeliverySummary(*row) for row in session.execute(statement)]
