"""Which newsletters take their articles from which feeds, and which articles that gives them.

Domain functions: they change rows in the caller's transaction and fetch nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, insert, literal, or_, select
from sqlalchemy.orm import Session

from mailer.db import UTCDateTime
from mailer.errors import AlreadyExists, NotFound
from mailer.feeds import fetch_state, held_items
from mailer.feeds.canonical import absolute_url
from mailer.models import (
    ArticleCategory,
    Feed,
    FeedEntry,
    ImageSource,
    Newsletter,
    NewsletterArticle,
    NewsletterFeed,
    NewsletterFeedCategory,
    Schedule,
)
from mailer.text.english import command


@dataclass(frozen=True)
class Taker:
    """A newsletter that takes articles from a feed; without categories it takes all."""

    slug: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Listed:
    """A feed, how it fares, and who takes from it."""

    id: int
    url: str
    title: str
    allow_private: bool
    images: ImageSource
    last_fetched_at: datetime | None
    last_success_at: datetime | None
    next_fetch_at: datetime
    failures: int
    error: str | None
    failing_since: datetime | None
    gone_at: datetime | None
    held_at: datetime | None
    held: int
    moved_url: str | None
    newsletters: tuple[Taker, ...]


def find(session: Session, url: str) -> Feed:
    """The feed at `url`.

    Raises:
        NotFound: there is none; the message lists those there are.
    """
    feed = with_url(session, url)
    if feed is None:
        urls = session.scalars(select(Feed.url).order_by(Feed.url).limit(20)).all()
        there = f"there are {', '.join(urls)}" if urls else "there is none yet; `mailer feed add`"
        raise NotFound(f"there is no feed {url}; {there}")
    return feed


def with_url(session: Session, url: str) -> Feed | None:
    """The feed at `url`, or the one that was there before it moved."""
    address = absolute_url(url) or url
    return session.scalars(
        select(Feed)
        .where(or_(Feed.url == address, Feed.former_url == address))
        .order_by((Feed.url == address).desc(), Feed.id)
        .limit(1)
    ).one_or_none()


def due_feeds(session: Session, now: datetime) -> list[int]:
    """The ids of the feeds whose next fetch is due, the longest waiting first.

    None that is gone, or that another scheduler is fetching.
    """
    return list(
        session.scalars(
            select(Feed.id)
            .where(
                or_(Feed.next_fetch_at <= now, fetch_state.is_ahead(now)),
                Feed.gone_at.is_(None),
                fetch_state.is_free(now),
            )
            .order_by(Feed.next_fetch_at)
        )
    )


def feeds_of_schedule(session: Session, schedule_id: int) -> list[int]:
    """The ids of the feeds that the schedule's newsletter takes its articles from."""
    return list(
        session.scalars(
            select(NewsletterFeed.feed_id)
            .join(Schedule, Schedule.newsletter_id == NewsletterFeed.newsletter_id)
            .where(Schedule.id == schedule_id)
            .order_by(NewsletterFeed.feed_id)
        )
    )


def attach(
    session: Session,
    feed: Feed,
    newsletter: Newsletter,
    categories: Collection[str],
    *,
    now: datetime,
) -> None:
    """Let `newsletter` take from `feed`; what the feed has brought so far is backlog for it.

    Where it takes some categories already, `categories` come on top; none at all means every article.

    Raises:
        AlreadyExists: it takes all that already.
    """
    row = session.get(NewsletterFeed, (newsletter.id, feed.id))
    before = _categories(session, newsletter.id, feed.id)
    if row is None:
        session.add(NewsletterFeed(newsletter_id=newsletter.id, feed_id=feed.id, attached_at=now))
    elif not before or (categories and before.issuperset(categories)):
        raise AlreadyExists(
            f"{newsletter.slug} takes these articles already; for fewer of them, first "
            f"`{command('feed', 'remove', feed.url, '--newsletter', newsletter.slug)}`"
        )
    if not categories:
        session.execute(delete(NewsletterFeedCategory).where(_of(newsletter.id, feed.id)))
    session.add_all(
        NewsletterFeedCategory(newsletter_id=newsletter.id, feed_id=feed.id, category=name)
        for name in sorted(set(categories) - before)
    )
    session.flush()
    hand_out(session, feed.id, backlog=True, now=now, newsletter_id=newsletter.id)


def hand_out(
    session: Session,
    feed_id: int,
    *,
    backlog: bool,
    now: datetime,
    newsletter_id: int | None = None,
) -> None:
    """Give each newsletter the articles of a feed that it wants and does not have yet.

    Args:
        backlog: they were there before the newsletter asked for them.
        newsletter_id: only to this one.
    """
    there = exists().where(
        NewsletterArticle.newsletter_id == NewsletterFeed.newsletter_id,
        NewsletterArticle.article_id == FeedEntry.article_id,
    )
    wanted = (
        select(
            NewsletterFeed.newsletter_id,
            FeedEntry.article_id,
            literal(backlog),
            literal(False),
            literal(now, UTCDateTime()),
        )
        .join(FeedEntry, FeedEntry.feed_id == NewsletterFeed.feed_id)
        .where(NewsletterFeed.feed_id == feed_id, _wanted(), ~there)
        .distinct()
    )
    if newsletter_id is not None:
        wanted = wanted.where(NewsletterFeed.newsletter_id == newsletter_id)
    session.execute(
        insert(NewsletterArticle).from_select(
            ["newsletter_id", "article_id", "backlog", "by_staff", "added_at"], wanted
        )
    )


def detach(session: Session, feed: Feed, newsletter: Newsletter) -> None:
    """Stop `newsletter` taking from `feed`; it loses the articles that neither another feed nor staff gives.

    What its readers had stays had. A feed that nobody takes from any more is removed.

    Raises:
        NotFound: it does not take from it.
    """
    row = session.get(NewsletterFeed, (newsletter.id, feed.id))
    if row is None:
        raise NotFound(
            f"{newsletter.slug} takes nothing from {feed.url}; `mailer feed list` shows who does"
        )
    session.delete(row)
    session.flush()
    _take_back(session, feed.id, newsletter.id)
    others = select(NewsletterFeed.newsletter_id).where(NewsletterFeed.feed_id == feed.id)
    if session.scalar(others.limit(1)) is None:
        session.delete(feed)
        session.flush()


def remove(session: Session, feed: Feed) -> None:
    """Remove `feed` from all newsletters. Its articles stay where editions hold them."""
    newsletters = session.scalars(
        select(Newsletter)
        .join(NewsletterFeed, NewsletterFeed.newsletter_id == Newsletter.id)
        .where(NewsletterFeed.feed_id == feed.id)
    ).all()
    for newsletter in newsletters:
        detach(session, feed, newsletter)
    if not newsletters:
        session.delete(feed)
        session.flush()


def listed(session: Session, url: str | None = None) -> list[Listed]:
    """All feeds by address, or the one at `url`."""
    one = None if url is None else with_url(session, url)
    every = session.scalars(select(Feed).order_by(Feed.url)).all() if url is None else []
    feeds = [one] if one is not None else every
    held = held_items.numbers_kept(session)
    takers = session.execute(
        select(NewsletterFeed.feed_id, NewsletterFeed.newsletter_id, Newsletter.slug)
        .join(Newsletter, Newsletter.id == NewsletterFeed.newsletter_id)
        .order_by(Newsletter.slug)
    ).all()
    return [
        Listed(
            id=feed.id,
            url=feed.url,
            title=feed.title,
            allow_private=feed.allow_private,
            images=feed.image_source,
            last_fetched_at=feed.last_fetched_at,
            last_success_at=feed.last_success_at,
            next_fetch_at=feed.next_fetch_at,
            failures=feed.failures,
            error=feed.error,
            failing_since=feed.failing_since,
            gone_at=feed.gone_at,
            held_at=feed.held_at,
            held=held.get(feed.id, 0),
            moved_url=feed.moved_url,
            newsletters=tuple(
                Taker(row.slug, tuple(sorted(_categories(session, row.newsletter_id, feed.id))))
                for row in takers
                if row.feed_id == feed.id
            ),
        )
        for feed in feeds
    ]


def unknown_categories(
    session: Session, feed: Feed, categories: Collection[str]
) -> tuple[list[str], Sequence[str]]:
    """Those of `categories` that no article of the feed has yet, and all that its articles have."""
    known = session.scalars(
        select(ArticleCategory.category)
        .join(FeedEntry, FeedEntry.article_id == ArticleCategory.article_id)
        .where(FeedEntry.feed_id == feed.id)
        .distinct()
        .order_by(ArticleCategory.category)
    ).all()
    return [name for name in categories if name not in known], known


def _wanted() -> ColumnElement[bool]:
    """Whether the newsletter wants the article: it named none of its categories, or one of them."""
    named = exists().where(
        NewsletterFeedCategory.newsletter_id == NewsletterFeed.newsletter_id,
        NewsletterFeedCategory.feed_id == NewsletterFeed.feed_id,
    )
    matching = (
        select(NewsletterFeedCategory.category)
        .join(ArticleCategory, ArticleCategory.category == NewsletterFeedCategory.category)
        .where(
            NewsletterFeedCategory.newsletter_id == NewsletterFeed.newsletter_id,
            NewsletterFeedCategory.feed_id == NewsletterFeed.feed_id,
            ArticleCategory.article_id == FeedEntry.article_id,
        )
        .exists()
    )
    return ~named | matching


def _take_back(session: Session, feed_id: int, newsletter_id: int) -> None:
    given = select(FeedEntry.article_id).where(FeedEntry.feed_id == feed_id)
    by_others = (
        select(NewsletterFeed.feed_id)
        .join(FeedEntry, FeedEntry.feed_id == NewsletterFeed.feed_id)
        .where(
            NewsletterFeed.newsletter_id == newsletter_id,
            FeedEntry.article_id == NewsletterArticle.article_id,
            _wanted(),
        )
        .exists()
    )
    session.execute(
        delete(NewsletterArticle)
        .where(
            NewsletterArticle.newsletter_id == newsletter_id,
            NewsletterArticle.article_id.in_(given),
            NewsletterArticle.by_staff.is_(False),
            ~by_others,
        )
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(NewsletterFeedCategory).where(_of(newsletter_id, feed_id)))


def _of(newsletter_id: int, feed_id: int) -> ColumnElement[bool]:
    return (NewsletterFeedCategory.newsletter_id == newsletter_id) & (
        NewsletterFeedCategory.feed_id == feed_id
    )


def _categories(session: Session, newsletter_id: int, feed_id: int) -> set[str]:
    return set(
        session.scalars(select(NewsletterFeedCategory.category).where(_of(newsletter_id, feed_id)))
    )
