"""Defines the tables of what comes back: reports about single mails, and the mailboxes they are read from."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey


class EvidenceKind(StrEnum):
    """What was reported about a mail."""

    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"


class BounceEvent(Base):
    """One thing that was reported about one mail; the same report again makes no second row.

    Rows of the ledger and of readers may be deleted before these: their ids are plain numbers, and what is
    asked of an event is in it.

    Attributes:
        digest_id: of a delivery; None for a notice.
        domain: of the reader's address; None once the reader is erased.
        reason: a word of `mailer.bounces.reasons`.
        status, diagnostic: what the receiving host said, without addresses.
        source: how the report came here, such as "imap", "ses" or "smtp".
        mailed_at: when the mail was first tried.
        reported_at: by the clock of the reporting system, but never later than `recorded_at`.
    """

    __tablename__ = "bounce_event"
    __table_args__ = (
        UniqueConstraint("delivery_id", "kind"),
        UniqueConstraint("notice_id", "kind"),
        Index(None, "digest_id", "kind"),
        Index(None, "key_hash"),
        Index(None, "recorded_at"),
    )

    id: Mapped[PrimaryKey]
    delivery_id: Mapped[int | None]
    notice_id: Mapped[int | None]
    digest_id: Mapped[int | None]
    key_hash: Mapped[str]
    domain: Mapped[str | None]
    kind: Mapped[EvidenceKind]
    reason: Mapped[str]
    status: Mapped[str | None]
    diagnostic: Mapped[LongText | None]
    source: Mapped[str]
    mailed_at: Mapped[datetime]
    reported_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class MailboxFetch(Base):
    """A mailbox from which returned mails are fetched, and how the last fetches went.

    Attributes:
        mailbox: names it without a password.
        fetched_at: when it was last fetched without an error.
        failing_since, error: of the fetches since then.
        alerted_at: when staff were told that it has been failing.
    """

    __tablename__ = "mailbox_fetch"

    id: Mapped[PrimaryKey]
    mailbox: Mapped[str] = mapped_column(unique=True)
    fetched_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    error: Mapped[LongText | None]
    alerted_at: Mapped[datetime | None]
