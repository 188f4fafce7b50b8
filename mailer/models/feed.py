"""Defines the tables of feeds, and of the articles in them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey


class ImageSource(StrEnum):
    """Where the pictures of a feed's articles come from."""

    FEED = "feed"
    PAGE = "page"
    NONE = "none"


class Feed(Base):
    """A source of articles: an RSS, Atom or JSON Feed at one URL.

    `first_fetched_at` is empty until a document was read; the articles in that one are backlog. `etag` and
    `last_modified` came from `validators_url` with the last document that could be read. `former_url` is
    the address before the feed moved permanently. While `failing_since` is set, `alerted_at` tells whether
    staff know. A feed that is gone, or held, waits for staff; it is not asked before `retry_at`, as its
    server demanded. `moved_url` is its new address on another host, of which staff were told at `moved_at`
    and have not decided. Until `fetching_until` a scheduler is fetching it.
    """

    __tablename__ = "feed"

    id: Mapped[PrimaryKey]
    url: Mapped[LongText] = mapped_column(unique=True)
    former_url: Mapped[LongText | None]
    title: Mapped[LongText]
    allow_private: Mapped[bool] = mapped_column(default=False)
    image_source: Mapped[ImageSource] = mapped_column(default=ImageSource.FEED)
    etag: Mapped[LongText | None]
    last_modified: Mapped[LongText | None]
    validators_url: Mapped[LongText | None]
    first_fetched_at: Mapped[datetime | None]
    last_fetched_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    next_fetch_at: Mapped[datetime]
    retry_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    error: Mapped[LongText | None]
    failing_since: Mapped[datetime | None]
    alerted_at: Mapped[datetime | None]
    gone_at: Mapped[datetime | None]
    held_at: Mapped[datetime | None]
    moved_url: Mapped[LongText | None]
    moved_at: Mapped[datetime | None]
    fetching_until: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Article(Base):
    """One published story, unique by its canonical URL.

    Ids follow arrival and are never reused: they decide which articles are due. `published_at` is the feed's
    date if that is credible, otherwise the time when the article was first seen. Once `edited_at` is set, no
    feed changes what staff wrote. `page_read_at` is when the article's page was searched for a picture.
    Once `closed_at` is set, the article is due to nobody: a digest that carried it is purged, so that nobody
    can tell any more who has had it.
    """

    __tablename__ = "article"
    __table_args__ = (Index(None, "published_at"), {"sqlite_autoincrement": True})

    id: Mapped[PrimaryKey]
    canonical_url: Mapped[LongText] = mapped_column(unique=True)
    url: Mapped[LongText]
    title: Mapped[LongText]
    summary_html: Mapped[LongText]
    author: Mapped[LongText | None]
    image_url: Mapped[LongText | None]
    published_at: Mapped[datetime]
    first_seen_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    edited_at: Mapped[datetime | None]
    page_read_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class ArticleCategory(Base):
    """A category that some feed gave an article."""

    __tablename__ = "article_category"
    __table_args__ = (PrimaryKeyConstraint("article_id", "category"),)

    article_id: Mapped[int] = mapped_column(ForeignKey("article.id", ondelete="CASCADE"))
    category: Mapped[str]


class FeedGuid(Base):
    """A guid of a feed, and the article that it stands for: the same story in two feeds is one article."""

    __tablename__ = "feed_entry"
    __table_args__ = (PrimaryKeyConstraint("feed_id", "guid"), Index(None, "article_id"))

    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"))
    guid: Mapped[LongText]
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id", ondelete="CASCADE"))
    first_seen_at: Mapped[datetime]


class HeldItem(Base):
    """A feed item that waits for staff, or that staff have discarded.

    `content` is the item as it was read, in JSON; `guids` recognise it under another address.
    """

    __tablename__ = "held_piece"
    __table_args__ = (PrimaryKeyConstraint("feed_id", "canonical_url"),)

    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"))
    canonical_url: Mapped[LongText]
    guids: Mapped[LongText]
    content: Mapped[LongText]
    held_at: Mapped[datetime]
    discarded_at: Mapped[datetime | None]
