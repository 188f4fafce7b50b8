"""Defines the tables of the consent log: who agreed to what, in which words, and when. Append-only."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey, partial_index


class ConsentKind(StrEnum):
    """What happened to a person's consent."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    IMPORTED = "imported"
    CHANGED = "changed"
    UNSUBSCRIBED = "unsubscribed"
    COMPLAINED = "complained"
    REFUSED = "refused"
    ERASED = "erased"


class Wording(Base):
    """A consent sentence exactly as it was shown."""

    __tablename__ = "wording"

    id: Mapped[PrimaryKey]
    sha256: Mapped[str] = mapped_column(unique=True)
    language: Mapped[str]
    text: Mapped[LongText]


HAS_CLIENT = "ip IS NOT NULL OR user_agent IS NOT NULL"


class ConsentEvent(Base):
    """One thing that happened to one person's consent to one newsletter.

    `source` says where: the form's path, the import's file and its consent source, or the link that was used.
    """

    __tablename__ = "consent_event"
    __table_args__ = (
        Index(None, "key_hash"),
        Index(None, "at"),
        Index(None, "signup_public_id"),
        # For deleting old IP addresses and browsers.
        partial_index("ix_consent_event_client", "at", where=HAS_CLIENT),
    )

    id: Mapped[PrimaryKey]
    kind: Mapped[ConsentKind]
    at: Mapped[datetime]
    address: Mapped[str | None]
    key_hash: Mapped[str]
    newsletter_id: Mapped[int | None] = mapped_column(ForeignKey("newsletter.id"))
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("schedule.id"))
    signup_public_id: Mapped[int | None]
    wording_id: Mapped[int | None] = mapped_column(ForeignKey("wording.id"))
    publisher: Mapped[str | None]
    privacy_url: Mapped[LongText | None]
    ip: Mapped[str | None]
    user_agent: Mapped[LongText | None]
    source: Mapped[LongText]
