"""Records in the journal what became of a slot, so that a restored database knows what was sent.

Never changes a digest.
"""

from datetime import datetime

from sqlalchemy import func, not_, select
from sqlalchemy.orm import Session

from mailer.journal.digest_detail import DigestDetail, SentArticle
from mailer.journal.record import NewEntry, record
from mailer.ledger.transitions import is_in
from mailer.models import (
    GIVEN_BACK,
    Article,
    Delivery,
    Digest,
    Edition,
    EditionArticle,
    JournalKind,
    Newsletter,
    Schedule,
    ScheduleKind,
)


def journal_digest(
    session: Session, digest_id: int, readers: int | None = None, *, now: datetime
) -> None:
    """Record a digest as it stands now: built, skipped or cancelled.

    Args:
        readers: how many it is queued for, if that is known; otherwise those who may have it are counted.
    """
    digest = session.get_one(Digest, digest_id, populate_existing=True)
    schedule = session.get_one(Schedule, digest.schedule_id)
    is_one_off = schedule.kind is ScheduleKind.ONCE
    if readers is None:
        may_have = (Delivery.digest_id == digest_id, not_(is_in(Delivery, GIVEN_BACK)))
        readers = session.scalar(select(func.count()).where(*may_have)) or 0
    detail = DigestDetail(
        schedule=schedule.name,
        slot=digest.slot,
        due_at=digest.due_at,
        status=digest.status.value,
        subject=digest.subject,
        readers=readers,
        articles=_articles(session, digest_id),
        zone=schedule.zone if is_one_off else None,
        holds=schedule.holds.value if is_one_off else None,
    )
    slug = session.get_one(Newsletter, schedule.newsletter_id).slug
    record(session, [NewEntry(JournalKind.DIGEST, now, newsletter=slug, detail=detail.text())])


def _articles(session: Session, digest_id: int) -> list[SentArticle]:
    rows = session.execute(
        select(Article.canonical_url, Article.url, Article.title, Article.published_at)
        .where(
            Article.id.in_(
                select(EditionArticle.article_id)
                .join(Edition, Edition.id == EditionArticle.edition_id)
                .where(Edition.digest_id == digest_id)
            )
        )
        .order_by(Article.id)
    )
    return [SentArticle(*row) for row in rows]
