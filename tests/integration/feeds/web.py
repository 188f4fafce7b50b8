"""Feeds without a network: a function plays it, the database is real."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db import Database
from mailer.errors import FeedError
from mailer.feeds import articles, moved, new_feed, newsletter_feeds
from mailer.feeds.context import FeedContext, Fetch
from mailer.feeds.http.fetch import Fetched, FetchRequest
from mailer.feeds.refresh import refresh
from mailer.feeds.sandbox.reader import FeedReader
from mailer.feeds.store import Refreshed
from mailer.models import Article, Feed, Newsletter, NewsletterArticle
from mailer.notices.alert import Alerts
from tests.support import factories

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
INTERVAL = timedelta(minutes=15)
URL = "https://news.example/feed"
READER = FeedReader()
"""Its child process is started once for all tests, and ends with them."""


class Web:
    """Feeds at addresses, what they were asked, and the newsletters that take them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        with database.write() as session:
            self.daily = factories.newsletter(session, "daily")
            self.weekly = factories.newsletter(session, "weekly")
        self.pages: dict[str, bytes | Exception | None] = {}
        self.asked: list[FetchRequest] = []
        self.etag: str | None = '"1"'
        self.permanent: dict[str, str] = {}
        self.now = NOW

    def __call__(self, wanted: FetchRequest) -> Fetched:
        self.asked.append(wanted)
        page = self.pages.get(wanted.url, FeedError("there is no host news.example"))
        if isinstance(page, Exception):
            raise page
        moved_to = self.permanent.get(wanted.url)
        return Fetched(
            moved_to or wanted.url,
            page,
            "application/rss+xml",
            self.etag,
            "Mon, 23 Nov 2026",
            moved_to,
        )

    def publish(self, *items: str, url: str = URL, title: str = "News") -> None:
        self.pages[url] = (
            f'<rss version="2.0"><channel><title>{title}</title>{"".join(items)}</channel></rss>'
        ).encode()

    def context(self, alerts: Alerts | None = None, fetch: Fetch | None = None) -> FeedContext:
        clock = lambda: self.now  # noqa: E731
        return FeedContext(self.database, READER, clock, INTERVAL, alerts, fetch or self)

    def add(
        self, url: str = URL, *, to: Newsletter | None = None, **more: Any
    ) -> new_feed.AddedFeed:
        return new_feed.add_feed(self.context(), url, (to or self.daily).id, **more)

    def start(self, *items: str) -> new_feed.AddedFeed:
        """Publish these, and add the feed to the daily."""
        self.publish(*items)
        return self.add()

    def fetch(
        self,
        ids: Sequence[int],
        *,
        unconditional: bool = False,
        fetch: Fetch | None = None,
        alerts: Alerts | None = None,
        **more: Any,
    ) -> list[Refreshed]:
        """Fetch the feeds with these ids."""
        return refresh(
            self.context(alerts, fetch or self), ids, unconditional=unconditional, **more
        )

    def refresh(self, *urls: str, **more: Any) -> list[Refreshed]:
        return self.fetch([self.feed(url).id for url in urls or (URL,)], **more)

    def poll(self, *items: str, **more: Any) -> Refreshed:
        """Publish these, and fetch the feed."""
        self.publish(*items)
        (result,) = self.refresh(**more)
        return result

    def put_in(self, url: str, title: str, **more: str) -> tuple[int, bool]:
        """What staff put into the daily: the id of the article, and whether it is new."""
        with self.database.write() as session:
            newsletter = session.merge(self.daily)
            return articles.add_article(session, newsletter, url=url, title=title, now=NOW, **more)

    def detach(self, newsletter: Newsletter) -> None:
        with self.database.write() as session:
            newsletter_feeds.detach(session, newsletter_feeds.find(session, URL), newsletter)

    def accept(self) -> Refreshed:
        with self.database.write() as session:
            return moved.accept(session, newsletter_feeds.find(session, URL), now=self.now)

    def discard(self) -> tuple[int, int]:
        with self.database.write() as session:
            return moved.discard(session, newsletter_feeds.find(session, URL), now=self.now)

    def feed(self, url: str = URL) -> Feed:
        with self.database.read() as session:
            return newsletter_feeds.find(session, url)

    def listed(self, url: str | None = None) -> list[newsletter_feeds.ListedFeed]:
        with self.database.read() as session:
            return newsletter_feeds.listed(session, url)

    def titles(self) -> list[str]:
        with self.database.read() as session:
            return titles(session)

    def due(self, newsletter: Newsletter | None = None, *, backlog: bool = False) -> list[str]:
        with self.database.read() as session:
            return due(session, newsletter or self.daily, backlog=backlog)

    def pages_asked(self) -> list[str]:
        """The addresses that were asked for since this was called last."""
        asked = [wanted.url for wanted in self.asked]
        self.asked.clear()
        return asked


def item(
    name: str,
    *,
    guid: str | None = None,
    title: str | None = None,
    at: datetime | None = NOW - timedelta(hours=1),
    categories: Sequence[str] = (),
    text: str = "Text",
    author: str = "",
    host: str = "https://news.example",
) -> str:
    date = f"<pubDate>{at.isoformat()}</pubDate>" if at else ""
    return (
        f"<item><title>{name if title is None else title}</title><link>{host}/{name}</link>"
        f'<guid isPermaLink="false">{guid or "g-" + name}</guid>{date}'
        f"<description>{text}</description>"
        + (
            f'<creator xmlns="http://purl.org/dc/elements/1.1/">{author}</creator>'
            if author
            else ""
        )
        + "".join(f"<category>{category}</category>" for category in categories)
        + "</item>"
    )


def titles(session: Session) -> list[str]:
    return list(session.scalars(select(Article.title).order_by(Article.id)))


def due(session: Session, newsletter: Newsletter, *, backlog: bool = False) -> list[str]:
    return list(
        session.scalars(
            select(Article.title)
            .join(NewsletterArticle, NewsletterArticle.article_id == Article.id)
            .where(
                NewsletterArticle.newsletter_id == newsletter.id,
                NewsletterArticle.backlog == backlog,
            )
            .order_by(Article.id)
        )
    )
