"""Defines the tables of digests, and of their frozen editions."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, PrimaryKeyConstraint, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey, partial_index


class DigestStatus(StrEnum):
    """Where a digest stands."""

    SCHEDULED = "scheduled"
    BUILDING = "building"
    SENDING = "sending"
    PAUSED = "paused"
    SENT = "sent"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class FrozenContent:
    """The columns of content that is rendered once and never changes, so that a retry is the same mail.

    Reader fields stand in `subject`, `html` and `text` as marker words that begin with `marker`.
    """

    language: Mapped[str]
    from_name: Mapped[str]
    from_address: Mapped[str]
    reply_to: Mapped[str | None]
    subject: Mapped[LongText]
    html: Mapped[LongText]
    text: Mapped[LongText]
    marker: Mapped[str]


_UNREPORTED = "status = 'sent' AND reported_at IS NULL"
_FAILURES_UNREAD = (
    "finished_at IS NOT NULL AND (failures_read_at IS NULL OR failures_read_at < finished_at)"
)


class Digest(Base):
    """What one schedule sends at one slot: one row, however many builders there are.

    Attributes:
        slot, due_at: the local date and time that names the slot, and its instant.
        reported_at: when the report was sent to staff.
        resumed_at: when staff last resumed it; only mails since then may stop it for what comes back.
        failures_read_at: when its failed mails were last read as bounces.
        refusals_void_until: mails that the relay refused up to then say nothing about their readers: it
            refused too many in a row.
        bounces_withheld_at: when so many of its mails were found to bounce that they suppress nobody.
        bounces_told_at: when staff were told so, because it was sent and could not be paused any more.
        complaints_warned_at: when staff were told of its complaints.
        purged_at: when its texts and its rows of the ledger were deleted; its `DigestCount`s are kept.
    """

    __tablename__ = "digest"
    __table_args__ = (
        UniqueConstraint("schedule_id", "slot"),
        UniqueConstraint("schedule_id", "due_at"),
        Index(None, "status"),
        partial_index("ix_digest_unreported", "id", where=_UNREPORTED),
        partial_index("ix_digest_failures_unread", "finished_at", where=_FAILURES_UNREAD),
    )

    id: Mapped[PrimaryKey]
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id"))
    slot: Mapped[str]
    due_at: Mapped[datetime]
    status: Mapped[DigestStatus]
    reason: Mapped[LongText | None]
    subject: Mapped[LongText | None]
    builder_id: Mapped[int | None] = mapped_column(ForeignKey("worker.id"))
    created_at: Mapped[datetime]
    built_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    reported_at: Mapped[datetime | None]
    resumed_at: Mapped[datetime | None]
    failures_read_at: Mapped[datetime | None]
    refusals_void_until: Mapped[datetime | None]
    bounces_withheld_at: Mapped[datetime | None]
    bounces_told_at: Mapped[datetime | None]
    complaints_warned_at: Mapped[datetime | None]
    purged_at: Mapped[datetime | None]


class DigestCount(Base):
    """A number of a purged digest: how many of its deliveries ended with a status, or came back."""

    __tablename__ = "digest_count"
    __table_args__ = (PrimaryKeyConstraint("digest_id", "name"),)

    digest_id: Mapped[int] = mapped_column(ForeignKey("digest.id"))
    name: Mapped[str]
    number: Mapped[int]


class Candidate(Base):
    """An article that a build may use, frozen when the build began."""

    __tablename__ = "candidate"
    __table_args__ = (PrimaryKeyConstraint("digest_id", "article_id"),)

    digest_id: Mapped[int] = mapped_column(ForeignKey("digest.id", ondelete="CASCADE"))
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
    backlog: Mapped[bool]


class Edition(FrozenContent, Base):
    """The frozen content of a digest for one cohort of readers."""

    __tablename__ = "edition"
    __table_args__ = (UniqueConstraint("digest_id", "number"),)

    id: Mapped[PrimaryKey]
    digest_id: Mapped[int] = mapped_column(ForeignKey("digest.id"))
    number: Mapped[int]


class EditionArticle(Base):
    """An article in an edition, at its place in it."""

    __tablename__ = "edition_article"
    __table_args__ = (
        PrimaryKeyConstraint("edition_id", "article_id"),
        Index(None, "article_id", "edition_id"),
    )

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id", ondelete="CASCADE"))
    article_id: Mapped[int] = mapped_column(ForeignKey("article.id"))
    position: Mapped[int]
