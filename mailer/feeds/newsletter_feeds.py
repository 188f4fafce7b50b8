"""Attaches feeds to newsletters, and gives newsletters the articles of their feeds.

Works in the caller's transaction, and never fetches.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, func, insert, literal, or_, select
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, UTCDateTime, take_lock
from mailer.errors import AlreadyExists, NotFound
from mailer.feeds import fetch_state
from mailer.feeds.canonical import absolute_url
from mailer.models import (
    ArticleCategory,
    Feed,
    FeedGuid,
    HeldItem,
    ImageSource,
    Newsletter,
    NewsletterArticle,
    NewsletterFeed,
    NewsletterFeedCategory,
)
from mailer.text.english import command


@dataclass(frozen=True)
class AttachedNewsletter:
    """A newsletter that takes articles from a feed; without categories it takes all of them."""

    slug: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class ListedFeed:
    """A feed, how its fetches went, and which newsletters take from it."""

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
    newsletters: tuple[AttachedNewsletter, ...]


def find(session: Session, url: str) -> Feed:
    """Find the feed at `url`.

    Raises:
        NotFound: there is none; the message lists the feeds that exist.
    """
    feed = with_url(session, url)
    if feed is None:
        urls = session.scalars(select(Feed.url).order_by(Feed.url).limit(20)).all()
        existing = (
            f"there are {', '.join(urls)}" if urls else "there is none yet; `mailer feed add`"
        )
        raise NotFound(f"there is no feed {url}; {existing}")
    return feed


def with_url(session: Session, url: str) -> Feed | None:
    """Find the feed at `url`, or the one that was there before it moved."""
    address = absolute_url(url) or url
    return session.scalars(
        select(Feed)
        .where(or_(Feed.url == address, Feed.former_url == address))
        .order_by((Feed.url == address).desc(), Feed.id)
        .limit(1)
    ).one_or_none()


def due_feeds(session: Session, now: datetime) -> list[int]:
    """Return the ids of the feeds to fetch now, the longest waiting first.

    Leaves out feeds that are gone, and those that another scheduler is fetching.
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


def attach(
    session: Session,
    feed: Feed,
    newsletter: Newsletter,
    categories: Collection[str],
    *,
    now: datetime,
) -> None:
    """Let `newsletter` take from `feed`; what the feed has brought so far is backlog for it.

    If it takes some categories already, `categories` are added to these; none at all means every article.

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
        backlog: the articles are older than the newsletter's wish for them.
        newsletter_id: only to this newsletter.
    """
    has_it = exists().where(
        NewsletterArticle.newsletter_id == NewsletterFeed.newsletter_id,
        NewsletterArticle.article_id == FeedGuid.article_id,
    )
    wanted = (
        select(
            NewsletterFeed.newsletter_id,
            FeedGuid.article_id,
            literal(backlog),
            literal(False),
            literal(now, UTCDateTime()),
        )
        .join(FeedGuid, FeedGuid.feed_id == NewsletterFeed.feed_id)
        .where(NewsletterFeed.feed_id == feed_id, _wanted(), ~has_it)
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
    """Detach `feed` from `newsletter`, with the articles that neither another feed nor staff gave it.

    What its readers had stays had. A feed without any newsletter is removed.

    Raises:
        NotFound: the feed is not attached to it.
    """
    # A refresh that has read who takes the feed must not give them anything afterwards.
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
    row = session.get(NewsletterFeed, (newsletter.id, feed.id), populate_existing=True)
    if row is None:
        raise NotFound(
            f"{newsletter.slug} takes no articles from {feed.url}; `mailer feed list` shows who does"
        )
    session.delete(row)
    session.flush()
    _take_back(session, feed.id, newsletter.id)
    others = select(NewsletterFeed.newsletter_id).where(NewsletterFeed.feed_id == feed.id)
    if session.scalar(others.limit(1)) is None:
        session.delete(feed)
        session.flush()


def remove(session: Session, feed: Feed) -> None:
    """Remove `feed` from all newsletters. Its articles stay in the editions that have them."""
    take_lock(session, AdvisoryLock.ADD_ARTICLES)
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


def listed(session: Session, url: str | None = None) -> list[ListedFeed]:
    """List all feeds by address, or the one at `url`."""
    if url is None:
        feeds = list(session.scalars(select(Feed).order_by(Feed.url)))
    else:
        feeds = [feed for feed in (with_url(session, url),) if feed is not None]
    counted = session.execute(
        select(HeldItem.feed_id, func.count())
        .where(HeldItem.discarded_at.is_(None))
        .group_by(HeldItem.feed_id)
    )
    held = {row[0]: row[1] for row in counted}
    attached: dict[int, list[AttachedNewsletter]] = defaultdict(list)
    for feed_id, newsletter_id, slug in session.execute(
        select(NewsletterFeed.feed_id, NewsletterFeed.newsletter_id, Newsletter.slug)
        .join(Newsletter, Newsletter.id == NewsletterFeed.newsletter_id)
        .order_by(Newsletter.slug)
    ):
        categories = tuple(sorted(_categories(session, newsletter_id, feed_id)))
        attached[feed_id].append(AttachedNewsletter(slug, categories))
    columns = [field.name for field in fields(ListedFeed) if hasattr(Feed, field.name)]
    return [
        ListedFeed(
            **{name: getattr(feed, name) for name in columns},
            images=feed.image_source,
            held=held.get(feed.id, 0),
            newsletters=tuple(attached[feed.id]),
        )
        for feed in feeds
    ]


def unknown_categories(
    session: Session, feed: Feed, categories: Collection[str]
) -> tuple[list[str], Sequence[str]]:
    """Return those of `categories` that no article of the feed has yet, and all that its articles have."""
    known = session.scalars(
        select(ArticleCategory.category)
        .join(FeedGuid, FeedGuid.article_id == ArticleCategory.article_id)
        .where(FeedGuid.feed_id == feed.id)
        .distinct()
        .order_by(ArticleCategory.category)
    ).all()
    return [name for name in categories if name not in known], known


def _wanted() -> ColumnElement[bool]:
    """Tell in SQL whether a newsletter wants an article: it named no category, or one of the article's."""
    of_newsletter = (NewsletterFeedCategory.newsletter_id == NewsletterFeed.newsletter_id) & (
        NewsletterFeedCategory.feed_id == NewsletterFeed.feed_id
    )
    named = exists().where(of_newsletter)
    matching = exists().where(
        of_newsletter,
        ArticleCategory.category == NewsletterFeedCategory.category,
        ArticleCategory.article_id == FeedGuid.article_id,
    )
    return ~named | matching


def _take_back(session: Session, feed_id: int, newsletter_id: int) -> None:
    of_feed = select(FeedGuid.article_id).where(FeedGuid.feed_id == feed_id)
    by_others = (
        select(NewsletterFeed.feed_id)
        .join(FeedGuid, FeedGuid.feed_id == NewsletterFeed.feed_id)
        .where(
            NewsletterFeed.newsletter_id == newsletter_id,
            FeedGuid.article_id == NewsletterArticle.article_id,
            _wanted(),
        )
        .exists()
    )
    session.execute(
        delete(NewsletterArticle)
        .where(
            NewsletterArticle.newsletter_id == newsletter_id,
            NewsletterArticle.article_id.in_(of_feed),
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
