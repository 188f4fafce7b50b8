"""Reads the articles for a build: those it may use, staff's edits, and the editions that hold them already.

SQL only, and only reads. Readers are in `reader_groups`; who gets what is decided in `choose`.
"""

from collections import defaultdict
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, exists, false, func, not_, select
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

ArticleSource = Select[int, bool]
"""A statement for the articles a build may use: their ids, and whether they are backlog."""


def usable(newsletter_id: int, due_at: datetime, max_age: timedelta) -> ArticleSource:
    """Select the newsletter's articles that a digest due at `due_at` may use, as they are now.

    Age is counted at the slot; an article that the newsletter knows by now may be used.
    """
    return _not_taken_back(newsletter_id, NewsletterArticle.backlog).where(
        Article.published_at <= due_at, Article.published_at > due_at - max_age
    )


def is_dropped() -> ColumnElement[bool]:
    """True for a newsletter's article that staff dropped from its digests."""
    return exists(
        select(DroppedArticle.article_id).where(
            DroppedArticle.newsletter_id == NewsletterArticle.newsletter_id,
            DroppedArticle.article_id == NewsletterArticle.article_id,
        )
    )


def chosen(schedule: Schedule) -> ArticleSource:
    """Select the articles that staff chose for this one-off, whatever their age, none as backlog.

    Those that were withdrawn, dropped or closed meanwhile are left out.
    """
    return (
        _not_taken_back(schedule.newsletter_id, false().label("backlog"))
        .join(ChosenArticle, ChosenArticle.article_id == NewsletterArticle.article_id)
        .where(ChosenArticle.schedule_id == schedule.id)
    )


def _not_taken_back(newsletter_id: int, backlog: SQLColumnExpression[bool]) -> ArticleSource:
    """Select the newsletter's articles that were neither withdrawn, dropped nor closed."""
    return (
        select(NewsletterArticle.article_id, backlog)
        .join(Article, Article.id == NewsletterArticle.article_id)
        .where(
            NewsletterArticle.newsletter_id == newsletter_id,
            Article.withdrawn_at.is_(None),
            Article.closed_at.is_(None),
            not_(is_dropped()),
        )
    )


def frozen(digest_id: int) -> ArticleSource:
    """Select the articles that were frozen for this digest when its build began."""
    return select(Candidate.article_id, Candidate.backlog).where(Candidate.digest_id == digest_id)


def load_candidates(
    session: Session, source: ArticleSource, schedule_id: int, digest_id: int | None
) -> list[CandidateArticle]:
    """Load the candidates, without those that were withdrawn or closed meanwhile.

    Args:
        digest_id: the digest being built, or None in a plan. A candidate that was one already in the
            schedule's digest before it has waited; if a reader did not get it then, it is carried over.
    """
    earlier = (
        select(func.max(Candidate.digest_id))
        .join(Digest, Digest.id == Candidate.digest_id)
        .where(Digest.schedule_id == schedule_id)
    )
    if digest_id is not None:
        earlier = earlier.where(Digest.id < digest_id)
    last_digest = earlier.scalar_subquery()
    candidates = source.subquery()
    waited = exists(
        select(Candidate.article_id).where(
            Candidate.digest_id == last_digest, Candidate.article_id == Article.id
        )
    )
    rows = session.execute(
        select(Article.id, Article.published_at, candidates.c.backlog, waited)
        .join(candidates, candidates.c.article_id == Article.id)
        .where(Article.withdrawn_at.is_(None))
        .where(Article.closed_at.is_(None))
    )
    return [CandidateArticle(*row) for row in rows]


def load_edits(session: Session, schedule_id: int, digest_id: int | None) -> Edits | None:
    """Load staff's edits of this digest, or of the schedule's coming digest if `digest_id` is None."""
    edits = select(Edits)
    if digest_id is None:
        edits = edits.where(Edits.schedule_id == schedule_id, Edits.digest_id.is_(None))
    else:
        edits = edits.where(Edits.digest_id == digest_id)
    return session.scalar(edits)


def load_editions(session: Session, source: ArticleSource) -> dict[int, frozenset[int]]:
    """Load every edition that holds a candidate, of whichever newsletter, with the candidates in it."""
    candidates = source.subquery()
    editions: defaultdict[int, set[int]] = defaultdict(set)
    for edition_id, article_id in session.execute(
        select(EditionArticle.edition_id, EditionArticle.article_id).join(
            candidates, candidates.c.article_id == EditionArticle.article_id
        )
    ):
        editions[edition_id].add(article_id)
    return {edition_id: frozenset(articles) for edition_id, articles in editions.items()}
