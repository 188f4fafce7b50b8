"""What a build reads: the articles it may use, the editions that hold them, and readers in groups.

SQL only, and only reads. Readers are grouped by the database; nothing here brings one row per reader
to Python. Which articles a group gets is decided in `choose`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    String,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import Session

from mailer.digests.choose import CandidateArticle, Group
from mailer.models import (
    HAD,
    Article,
    Candidate,
    ChosenArticle,
    Delivery,
    DeliveryStatus,
    Digest,
    DroppedArticle,
    EditionArticle,
    Edits,
    Holds,
    NewsletterArticle,
    Schedule,
    ScheduleKind,
    Subscriber,
    Subscription,
)
from mailer.permission.rule import may_mail, why_not

Readers = Select[int, int, int, bool, str]
"""A statement for readers with their groups, see `grouped_readers`."""

Source = Select[int, bool]
"""A statement for the articles a build may use: their ids, and whether they are backlog."""

OTHER_SCHEDULE = "other_schedule"

# A fixed order, so that a statement's text is the same in every process.
_GIVEN_BACK = sorted(set(DeliveryStatus) - HAD)
_HAD = sorted(HAD)


@dataclass(frozen=True)
class Frame:
    """What readers are told apart by.

    Attributes:
        first_article, last_article: readers who start before the first candidate are alike, and so are
            those who start after the last.
        editions: those that hold a candidate, in order. Others need not be looked at, which keeps the
            cost of a build from growing with the past.
    """

    first_article: int
    last_article: int
    editions: tuple[int, ...]

    @classmethod
    def around(cls, articles: Collection[int], editions: Iterable[int]) -> "Frame":
        """The frame of these candidates and of the editions that hold them."""
        return cls(min(articles, default=0), max(articles, default=0), tuple(sorted(editions)))


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


def grouped_readers(schedule: Schedule, frame: Frame) -> Readers:
    """A statement with one row for each reader of the schedule who may be mailed; a one-off's readers
    are those of all schedules of its newsletter.

    Columns: subscription_id, subscriber_id, and the group: start, newcomer, had. A build runs it twice,
    to choose and to write: a reader whose group is the same both times gets what was chosen for it.
    """
    # What staff chose, or wrote, is for everybody, and is nobody's first digest.
    by_hand = schedule.holds is not Holds.DUE
    start: ColumnElement[int] = case(
        (Subscription.start_article < frame.first_article, literal(0)),
        (Subscription.start_article >= frame.last_article, literal(frame.last_article)),
        else_=Subscription.start_article,
    )
    return (
        select(
            Subscription.id.label("subscription_id"),
            Subscription.subscriber_id.label("subscriber_id"),
            (literal(0) if by_hand else start).label("start"),
            (false() if by_hand else _is_newcomer()).label("newcomer"),
            _had(frame).label("had"),
        )
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(_is_reader_of(schedule), may_mail())
    )


def load_groups(session: Session, readers: Readers) -> list[Group]:
    """The groups of these readers, and how many are in each."""
    each = readers.subquery()
    rows = session.execute(
        select(each.c.start, each.c.newcomer, each.c.had, func.count()).group_by(
            each.c.start, each.c.newcomer, each.c.had
        )
    )
    return [_group(start, newcomer, had, number) for start, newcomer, had, number in rows]


def load_reader(
    session: Session, readers: Readers, schedule: Schedule, address_key: str
) -> Group | str | None:
    """The group of the reader with this address, as large as it is alone, or why there is none.

    Returns:
        None where no subscription to the newsletter is theirs.
    """
    reason = session.execute(
        select(_why_not_here(schedule))
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscriber.address_key == address_key,
            Subscription.newsletter_id == schedule.newsletter_id,
        )
    ).one_or_none()
    if reason is None or reason[0] is not None:
        return None if reason is None else str(reason[0])
    row = session.execute(readers.where(Subscriber.address_key == address_key)).one()
    return _group(row.start, row.newcomer, row.had, 1)


def had_text(group: Group) -> str:
    """The group's editions as the statement of `grouped_readers` writes them."""
    return ",".join(str(edition) for edition in group.editions)


def load_excluded(session: Session, schedule: Schedule) -> dict[str, int]:
    """Those of its newsletter's subscriptions that no build of this schedule looks at, by reason.

    Readers who left are in none of the numbers.
    """
    each = (
        select(_why_not_here(schedule).label("reason"))
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscription.newsletter_id == schedule.newsletter_id, Subscription.left_at.is_(None))
        .subquery()
    )
    rows = session.execute(
        select(each.c.reason, func.count())
        .where(each.c.reason.is_not(None))
        .group_by(each.c.reason)
        .order_by(each.c.reason)
    )
    return {reason: count for reason, count in rows}  # noqa: C416


def _is_reader_of(schedule: Schedule) -> ColumnElement[bool]:
    if schedule.kind is ScheduleKind.ONCE:
        return Subscription.newsletter_id == schedule.newsletter_id
    return Subscription.schedule_id == schedule.id


def _why_not_here(schedule: Schedule) -> ColumnElement[str | None]:
    """Why a subscription is none that this schedule's builds look at, or NULL."""
    return case(
        (Subscription.left_at.is_not(None), literal("left")),
        (not_(_is_reader_of(schedule)), literal(OTHER_SCHEDULE)),
        else_=why_not(),
    )


def _group(start: int, newcomer: bool, had: str, readers: int) -> Group:
    return Group(
        start=start,
        # SQLite has no booleans of its own.
        newcomer=bool(newcomer),
        editions=tuple(int(edition) for edition in had.split(",") if edition),
        readers=readers,
    )


def _is_newcomer() -> ColumnElement[bool]:
    """True for a reader whose first digest is still to come, or was given back."""
    return or_(
        Subscription.first_digest_id.is_(None),
        exists(
            select(Delivery.id).where(
                Delivery.digest_id == Subscription.first_digest_id,
                Delivery.subscriber_id == Subscription.subscriber_id,
                Delivery.status.in_(_GIVEN_BACK),
            )
        ),
    )


def _had(frame: Frame) -> ColumnElement[str]:
    """The ids of the reader's live editions that hold a candidate, in order, joined by commas."""
    if not frame.editions:
        return literal("")
    # Written into the statement: there may be more of them than a statement takes parameters, and
    # PostgreSQL makes a table of them only when it sees them.
    editions: BindParameter[Any] = bindparam(
        "editions", frame.editions, expanding=True, literal_execute=True
    )
    mine = (
        select(cast(Delivery.edition_id, String).label("edition"))
        .where(
            Delivery.subscriber_id == Subscription.subscriber_id,
            Delivery.edition_id.between(frame.editions[0], frame.editions[-1]),
            Delivery.status.in_(_HAD),
            # The sum keeps both databases from starting at this list: walking the reader's part of
            # the index in order and asking it for each row is thirty times faster.
            (Delivery.edition_id + 0).in_(editions),
        )
        .order_by(Delivery.edition_id)
        .correlate(Subscription)
        .subquery()
    )
    return func.coalesce(
        select(func.aggregate_strings(mine.c.edition, ",")).scalar_subquery(), literal("")
    )
