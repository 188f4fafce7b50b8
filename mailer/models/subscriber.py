"""Defines the tables of readers: sign-ups, the people who confirmed, and their subscriptions.

`public_id` columns are random 63-bit numbers. Links carry them instead of row ids, so that a link made
before a backup was restored can never name another person's row.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import ForeignKey, Index, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey, checked_on_sqlite, partial_index
from mailer.models.consent import HAS_CLIENT

TOMBSTONE: Final = "erased "
"""What `address_key` and `key_hash` of an erased subscriber begin with; the row's id follows."""


class Subscriber(Base):
    """A person who confirmed here, or whom staff entered with a recorded consent source.

    `key_hash` is the keyed hash of `address_key` under the identity key. Suppressions are found by it, so
    that they hold after the address itself has been erased. `reachable_at` is when the reader last confirmed
    here, or staff lifted a suppression: what came back of earlier mails does not count any more. `language`
    is the reader's own, for notices and pages; None means the newsletter's. Once `erased_at` is set, the row
    holds nothing of the person: it stays so that the sums of the ledger hold.
    """

    __tablename__ = "subscriber"

    id: Mapped[PrimaryKey]
    public_id: Mapped[int] = mapped_column(unique=True)
    address: Mapped[str]
    address_key: Mapped[str] = mapped_column(unique=True)
    key_hash: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    language: Mapped[str | None]
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]
    reachable_at: Mapped[datetime | None]


class Subscription(Base):
    """A subscriber's place in one newsletter.

    `start_article` is the newest article of the whole installation when the reader confirmed or resumed:
    only later ones are due. `first_digest_id` is the digest that took the newcomer's earlier articles.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        checked_on_sqlite("first_digest_id", "digest.id"),
        UniqueConstraint("subscriber_id", "newsletter_id"),
        Index(None, "schedule_id", "start_article"),
        Index(None, "newsletter_id"),
        # Room for a second version of each row on its page, so that recording the first digest of many
        # readers does not rewrite all indexes.
        {"postgresql_with": {"fillfactor": 50}},
    )

    id: Mapped[PrimaryKey]
    public_id: Mapped[int] = mapped_column(unique=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscriber.id"))
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"))
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id"))
    start_article: Mapped[int]
    first_digest_id: Mapped[int | None]
    confirmed_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    left_reason: Mapped[str | None]


class Signup(Base):
    """A request that awaits confirmation by mail; purged when it has expired.

    With a `subscriber_id` it is no sign-up: that reader's address changes to this one once it is confirmed.
    """

    __tablename__ = "signup"
    __table_args__ = (
        Index(None, "expires_at"),
        partial_index("ix_signup_client", "created_at", where=HAS_CLIENT),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[PrimaryKey]
    public_id: Mapped[int] = mapped_column(unique=True)
    address: Mapped[str]
    address_key: Mapped[str] = mapped_column(index=True)
    key_hash: Mapped[str]
    name: Mapped[str | None]
    language: Mapped[str]
    ip: Mapped[str | None]
    user_agent: Mapped[LongText | None]
    source: Mapped[LongText]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    dropped_at: Mapped[datetime | None]
    subscriber_id: Mapped[int | None] = mapped_column(index=True)


class SignupChoice(Base):
    """One newsletter that a sign-up asks for, with the schedule and the consent sentence shown for it."""

    __tablename__ = "signup_choice"
    __table_args__ = (PrimaryKeyConstraint("signup_id", "newsletter_id"),)

    signup_id: Mapped[int] = mapped_column(ForeignKey("signup.id", ondelete="CASCADE"))
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id", ondelete="CASCADE"))
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id"))
    wording_id: Mapped[int] = mapped_column(ForeignKey("wording.id"))


class ClientRequest(Base):
    """A sign-up or a request for a link, which counts against the limits of its client network.

    `network` is a /24 or /64, `wider_network` the /48 around a /64. Purged when it no longer counts.
    """

    __tablename__ = "client_request"
    __table_args__ = (
        Index(None, "network", "at"),
        Index(None, "wider_network", "at"),
        Index(None, "at"),
    )

    id: Mapped[PrimaryKey]
    network: Mapped[str]
    wider_network: Mapped[str | None]
    at: Mapped[datetime]
