"""Defines the tables of newsletters, and of the feeds and articles that belong to them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey


class Newsletter(Base):
    """A named publication line with its sender and look.

    `list_id` never changes, because mail programs sort mail by it (RFC 2919 section 2). A closed newsletter
    takes no sign-ups.
    """

    __tablename__ = "newsletter"

    id: Mapped[PrimaryKey]
    slug: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    language: Mapped[str]
    from_name: Mapped[str]
    from_address: Mapped[str]
    reply_to: Mapped[str | None]
    postal_address: Mapped[LongText]
    list_id: Mapped[str] = mapped_column(unique=True)
    logo_url: Mapped[LongText | None]
    color: Mapped[str]
    pictures: Mapped[bool] = mapped_column(default=True)
    closed: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class NewsletterFeed(Base):
    """A feed that a newsletter takes its articles from; without categories it takes all of them."""

    __tablename__ = "newsletter_feed"
    __table_args__ = (PrimaryKeyConstraint("newsletter_id", "feed_id"),)

    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id", ondelete="CASCADE"))
    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"), index=True)
    attached_at: Mapped[datetime]


class NewsletterFeedCategory(Base):
    """One category that a newsletter wants from a feed."""

    __tablename__ = "newsletter_feed_category"
    __table_args__ = (PrimaryKeyConstraint("newsletter_id", "feed_id", "category"),)

    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id", ondelete="CASCADE"))
    feed_id: Mapped[int] = mapped_column(ForeignKey("feed.id", ondelete="CASCADE"))
    category: Mapped[str]


class NewsletterArticle(Base):
    """An article that belongs to a newsletter.

    `backlog` marks what was there before the feed or category was attached: only newcomers' first
    digest may take it. An article that staff added stays if a feed that also has it is removed.
    """

    __tablename__ = "newsletter_article"
    __table_args__ = (
        PrimaryKeyConstraint("newsletter_id", "article_id"),
        Index(None, "article_id"),
    )

    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id", ondelete="CASCADE"))
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id", ondelete="CASCADE"))
    backlog: Mapped[bool]
    by_staff: Mapped[bool] = mapped_column(default=False)
    added_at: Mapped[datetime]
