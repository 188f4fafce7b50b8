"""What a build reads of articles: those it may use, staff's edits, and the editions that hold them already.

SQL only, and only reads. Readers are next door in `groups`; who gets what is decided in `choose`.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, not_, select
from sqlalchemy.orm import Session

from mailer.digests.selection.choose import CandidateArticle
from mailer.models import (
    Article,
    Candidate,
    ChosenArticle,
    Digest,
    DroppedArticle,
    EditionArticle,
    Edits,
    NewsletterArticle,
    Schedule,
)

Source = Select[int, bool]
"""A statement for the articles a build may use: their ids, and whether they are backlog."""


def usable(newsletter_id: int, due_at: datetime, max_age: timedelta) -> Source:
    """The articles of the newsletter that a digest due at `due_at` may use, as they are now.

    Age is counted at the slot; an article that the newsletter knows by now may be used.
    """
    return (
        select(NewsletterArticle.article_id, NewsletterArticle.backlog)
        .join(Article, Article.id == NewsletterArticle.article_id)
        .where(
            NewsletterArticle.newsletter_id == newsletter_id,
            Article.withdrawn_at.is_(None),
            Article.published_at <= due_at,
            Article.published_at > due_at - max_age,
            not_(is_dropped()),
        )
    )


def is_dropped() -> ColumnElement[bool]:
    """True for a place in a newsletter whose article staff dropped from its digests."""
    return exists(
        select(DroppedArticle.article_id).where(
            DroppedArticle.newsletter_id == NewsletterArticle.newsletter_id,
            DroppedArticle.article_id == NewsletterArticle.article_id,
        )
    )


def chosen(schedule: Schedule) -> Source:
    """The articles that staff chose for this one-off, whatever their age; backlog as little as others.

    One that was withdrawn or dropped meanwhile is none of them.
    """
    return (
        select(NewsletterArticle.article_id, false().label("backlog"))
        .join(Article, Article.id == NewsletterArticle.article_id)
        .join(ChosenArticle, ChosenArticle.article_id == NewsletterArticle.article_id)
        .where(
            NewsletterArticle.newsletter_id == schedule.newsletter_id,
            ChosenArticle.schedule_id == schedule.id,
            Article.withdrawn_at.is_(None),
            not_(is_dropped()),
        )
    )


def frozen(digest_id: int) -> Source:
    """The articles that were frozen for this digest when its build began."""
    return select(Candidate.article_id, Candidate.backlog).where(Candidate.digest_id == digest_id)


def load_candidates(
    session: Session, source: Source, schedule_id: int, before: int | None
) -> list[CandidateArticle]:
    """The candidates, without those withdrawn meanwhile.

    Args:
        before: the digest being built, or None in a plan. A candidate that was one in the schedule's
            digest before it has waited; where a reader did not get it then, it is carried over.
    """
    last_digest = (
        select(func.max(Candidate.digest_id))
        .join(Digest, Digest.id == Candidate.digest_id)
        .where(
            Digest.schedule_id == schedule_id,
            *(() if before is None else (Digest.id < before,)),
        )
        .scalar_subquery()
    )
    chosen = source.subquery()
    waited = exists(
        select(Candidate.article_id).where(
            Candidate.digest_id == last_digest, Candidate.article_id == Article.id
        )
    )
    rows = session.execute(
        select(Article.id, Article.published_at, chosen.c.backlog, waited)
        .join(chosen, chosen.c.article_id == Article.id)
        .where(Article.withdrawn_at.is_(None))
    )
    return [CandidateArticle(*row) for row in rows]


def load_edits(session: Session, schedule_id: int, digest_id: int | None) -> Edits | None:
    """Staff's edits of this digest, or of the schedule's coming one where there is none yet."""
    which = (
        and_(Edits.schedule_id == schedule_id, Edits.digest_id.is_(None))
        if digest_id is None
        else Edits.digest_id == digest_id
    )
    return session.scalar(select(Edits).where(which))


def load_editions(session: Session, source: Source) -> dict[int, frozenset[int]]:
    """Every edition that holds a candidate, of whichever newsletter, with the candidates in it."""
    chosen = source.subquery()
    found: dict[int, set[int]] = {}
    for edition_id, article_id in session.execute(
        select(EditionArticle.edition_id, EditionArticle.article_id).join(
            chosen, chosen.c.article_id == EditionArticle.article_id
        )
    ):
        found.setdefault(edition_id, set()).add(article_id)
    return {edition_id: frozenset(articles) for edition_id, articles in found.items()}
