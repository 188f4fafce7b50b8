"""Explains what becomes of each article of a newsletter in a planned digest, for all readers and for one.

Never writes. Every article is counted once, under the first of these reasons that fits:

| reason | means |
|---|---|
| `dropped` | staff dropped it from the newsletter's digests |
| `withdrawn` | staff withdrew it everywhere |
| `later` | it is published after the slot |
| `expired` | it is too old; for all readers only what was in no digest ever is counted |
| `closed` | a digest that held it is older than the retention: it is due to nobody |
| `due` | it is in the digest |
| `carried_over` | it is due and has no place: it waits |
| `had` | all readers to whom it was due have had it |
| `before_start` | it came in before the readers did, or was there before the feed |
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from sqlalchemy import ColumnElement, Select, case, exists, func, literal, not_, select
from sqlalchemy.orm import Session

from mailer.digests.selection.article_queries import is_dropped
from mailer.digests.selection.choose import ReaderGroup, had_by
from mailer.digests.selection.plan import Plan, max_age
from mailer.digests.selection.reader_groups import load_reader
from mailer.models import Article, EditionArticle, Holds, NewsletterArticle, Schedule

DUE: Final = "due"
CARRIED_OVER: Final = "carried_over"
HAD: Final = "had"
BEFORE_START: Final = "before_start"
DROPPED: Final = "dropped"
WITHDRAWN: Final = "withdrawn"
LATER: Final = "later"
EXPIRED: Final = "expired"
CLOSED: Final = "closed"

_IN_ORDER: Final = (
    DUE,
    CARRIED_OVER,
    HAD,
    BEFORE_START,
    DROPPED,
    WITHDRAWN,
    LATER,
    EXPIRED,
    CLOSED,
)


def count_articles(session: Session, schedule: Schedule, plan: Plan) -> dict[str, int]:
    """Count the newsletter's articles by reason; none for a one-off that staff filled."""
    if schedule.holds is not Holds.DUE:
        return {}
    why = _why_no_candidate(schedule, plan)
    never_sent = not_(
        exists(select(EditionArticle.article_id).where(EditionArticle.article_id == Article.id))
    ) & Article.closed_at.is_(None)
    rows = session.execute(
        _articles(schedule)
        .with_only_columns(why, func.count())
        .where(why.is_not(None), (why != EXPIRED) | never_sent)
        .group_by(why)
    )
    numbers = Counter({str(reason): number for reason, number in rows})
    had = frozenset[int]().union(*(had_by(group, plan.editions) for group in plan.groups))
    printed = {article for cohort in plan.choice.cohorts for article in cohort.articles}
    for candidate in plan.candidates:
        numbers[_reason(candidate.id, printed, plan.choice.carried_over, had)] += 1
    return {reason: numbers[reason] for reason in _IN_ORDER}


def explain_to_reader(
    session: Session, schedule: Schedule, plan: Plan, address_key: str
) -> list[tuple[Article, str]]:
    """List the articles that concern one reader, newest first, and what becomes of each.

    Those that expired are left out. None if the reader is not on this schedule.
    """
    group = load_reader(session, plan.readers_statement, plan.frame, schedule, address_key)
    if not isinstance(group, ReaderGroup) or schedule.holds is Holds.NONE:
        return []
    cohorts = (cohort for cohort in plan.choice.cohorts if group in cohort.groups)
    printed = {article for cohort in cohorts for article in cohort.articles}
    had = had_by(group, plan.editions)
    due = {
        candidate.id
        for candidate in plan.candidates
        if candidate.id > group.start and not candidate.backlog
    } - had
    reasons = {
        candidate.id: _reason(candidate.id, printed, due, had) for candidate in plan.candidates
    }
    if schedule.holds is Holds.DUE:
        why = _why_no_candidate(schedule, plan)
        for article_id, reason in session.execute(
            _articles(schedule)
            .with_only_columns(Article.id, why)
            .where(why.in_((DROPPED, WITHDRAWN, LATER, CLOSED)))
        ):
            reasons[article_id] = str(reason)
    articles = session.scalars(
        select(Article)
        .where(Article.id.in_(reasons))
        .order_by(Article.published_at.desc(), Article.id.desc())
    )
    return [(article, reasons[article.id]) for article in articles]


def _reason(article_id: int, printed: Iterable[int], due: Iterable[int], had: Iterable[int]) -> str:
    if article_id in printed:
        return DUE
    if article_id in due:
        return CARRIED_OVER
    return HAD if article_id in had else BEFORE_START


def _articles(schedule: Schedule) -> Select[int]:
    return (
        select(Article.id)
        .join(NewsletterArticle, NewsletterArticle.article_id == Article.id)
        .where(NewsletterArticle.newsletter_id == schedule.newsletter_id)
    )


def _why_no_candidate(schedule: Schedule, plan: Plan) -> ColumnElement[str | None]:
    """Say why this digest cannot use an article of the newsletter, or NULL."""
    oldest = plan.slot.due_at - max_age(schedule)
    return case(
        (is_dropped(), literal(DROPPED)),
        (Article.withdrawn_at.is_not(None), literal(WITHDRAWN)),
        (Article.published_at > plan.slot.due_at, literal(LATER)),
        (Article.published_at <= oldest, literal(EXPIRED)),
        (Article.closed_at.is_not(None), literal(CLOSED)),
        else_=None,
    )
