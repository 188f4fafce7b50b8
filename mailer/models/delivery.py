"""Defines the tables of the ledger: deliveries, one for each reader and digest, and notices to one person.

Both have the same columns and the same statuses. Only `mailer.ledger` writes a status.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Computed, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey, checked_on_sqlite, partial_index
from mailer.models.digest import FrozenContent


class DeliveryStatus(StrEnum):
    """Where a mail to one reader stands."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    SENDING = "sending"
    DEFERRED = "deferred"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


_S = DeliveryStatus

PENDING: Final = frozenset({_S.QUEUED, _S.CLAIMED, _S.SENDING, _S.DEFERRED})
"""What may still be sent without a decision by staff."""

GIVEN_BACK: Final = (_S.FAILED, _S.SKIPPED, _S.CANCELLED)
"""With one of these the reader did not get the mail: its articles are due again."""

HAD: Final = frozenset(_S) - set(GIVEN_BACK)
"""With one of these the reader has, or may have, the mail: its articles are not due again."""


class LedgerColumns:
    """The columns of the ledger for one mail to one person.

    `worker_id` holds the row while it is claimed or sending. `in_doubt` counts how often it ended in
    doubt. `first_attempt_at` fixes the Date header. `code`, `reply` and `step` are the relay's last reply,
    without the address. `crashes` counts how often a worker died while it made this mail.
    """

    status: Mapped[DeliveryStatus] = mapped_column(default=DeliveryStatus.QUEUED)
    attempts: Mapped[int] = mapped_column(default=0)
    in_doubt: Mapped[int] = mapped_column(default=0)
    crashes: Mapped[int] = mapped_column(default=0, server_default="0")
    next_attempt_at: Mapped[datetime]
    first_attempt_at: Mapped[datetime | None]
    outcome_at: Mapped[datetime | None]
    step: Mapped[str | None]
    code: Mapped[int | None]
    reply: Mapped[LongText | None]
    created_at: Mapped[datetime]
    worker_id: Mapped[int | None]


_WAITING = "status IN ('queued', 'deferred')"
_PUT_OFF = "not_before > created_at"
_HELD = "status IN ('claimed', 'sending')"
_FAILED = "status = 'failed'"
_IN_DOUBT = "status = 'unknown' AND dropped_at IS NULL"

BLOCK_SIZE: Final = 32
"""How many editions a bitmap block holds; at most 62, the bits of a number on both databases. With fewer, a
build reads more blocks for each reader; with more, it writes its rows among more old ones in the index."""

_IS_GIVEN_BACK = "status IN (" + ", ".join(f"'{status}'" for status in GIVEN_BACK) + ")"


class Delivery(LedgerColumns, Base):
    """One edition to one subscriber: the ledger.

    `edition_block` numbers the bitmap blocks, by which a build asks what readers have had. `dropped_at` is
    when staff decided to leave a row in doubt as it is: it stays `unknown`, and counts as had.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        *(
            checked_on_sqlite(f"{table}_id", f"{table}.id")
            for table in ("digest", "edition", "subscriber", "subscription", "worker")
        ),
        UniqueConstraint("digest_id", "subscriber_id"),
        # What readers have had, block by block, for grouping them. Without the block, new rows would be
        # spread over the whole index. Without the status, sending a mail does not touch it; the few that
        # were given back are in the second index.
        Index("ix_delivery_word", "edition_word", "subscriber_id", "edition_id"),
        partial_index(
            "ix_delivery_given_back",
            "subscriber_id",
            "edition_word",
            "edition_id",
            where=_IS_GIVEN_BACK,
        ),
        # Two that each mail enters and leaves; together they hold what is pending, and what was sent is in
        # none. By digest first, so that a paused one does not block the rows of the others.
        partial_index("ix_delivery_waiting", "digest_id", "next_attempt_at", "id", where=_WAITING),
        partial_index("ix_delivery_held", "digest_id", "worker_id", where=_HELD),
        # Few rows, read all the time: those that need a decision.
        partial_index("ix_delivery_in_doubt", "digest_id", where=_IN_DOUBT),
        # And those from which a bounce is read.
        partial_index("ix_delivery_failed", "digest_id", "id", where=_FAILED),
        # PostgreSQL writes a changed row anew: with room left, onto the same page, so that it writes half
        # as many.
        {"sqlite_autoincrement": True, "postgresql_with": {"fillfactor": 50}},
    )

    id: Mapped[PrimaryKey]
    digest_id: Mapped[int]
    edition_id: Mapped[int]
    subscriber_id: Mapped[int]
    subscription_id: Mapped[int]
    edition_block: Mapped[int] = mapped_column(
        "edition_word", Computed(f"edition_id / {BLOCK_SIZE}", persisted=True)
    )
    dropped_at: Mapped[datetime | None]


class NoticeKind(StrEnum):
    """Why one person gets a mail other than a digest."""

    CONFIRMATION = "confirmation"
    ADDRESS_CHANGE = "address_change"
    ALREADY = "already"
    PREFERENCES = "preferences"
    DATA = "data"
    ERASE = "erase"
    TEST = "test"
    ALERT = "alert"
    REVIEW = "review"
    REPORT = "report"


class Notice(FrozenContent, LedgerColumns, Base):
    """One mail to one person. Its content holds marker words, never a usable link.

    `rate_key` and `not_before` are set if a sign-up caused it: the limits on sign-ups count these rows.
    `not_before` is the earliest time at which the limit on all sign-ups lets it go out. `review_id` is the
    review whose links it has: no foreign key, because reviews refer to notices already.
    """

    __tablename__ = "notice"
    __table_args__ = (
        checked_on_sqlite("worker_id", "worker.id"),
        partial_index("ix_notice_waiting", "next_attempt_at", "id", where=_WAITING),
        partial_index("ix_notice_held", "worker_id", where=_HELD),
        partial_index("ix_notice_failed", "outcome_at", where=_FAILED),
        Index(None, "rate_key", "created_at"),
        Index(None, "not_before"),
        partial_index("ix_notice_put_off", "not_before", where=_PUT_OFF),
        # Deleting a sign-up looks for the notices that refer to it.
        Index(None, "signup_id"),
        # Finished notices are deleted by their age.
        Index(None, "outcome_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[PrimaryKey]
    kind: Mapped[NoticeKind]
    address: Mapped[str]
    key_hash: Mapped[str]
    newsletter_id: Mapped[int | None] = mapped_column(ForeignKey("newsletter.id"))
    signup_id: Mapped[int | None] = mapped_column(ForeignKey("signup.id", ondelete="SET NULL"))
    subscriber_id: Mapped[int | None] = mapped_column(ForeignKey("subscriber.id"))
    rate_key: Mapped[str | None]
    not_before: Mapped[datetime | None]
    review_id: Mapped[int | None]
