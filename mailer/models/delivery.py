"""The ledger's rows: one delivery per reader and digest, and notices, which are mails to one person.

Both have the same columns and the same statuses. Only `mailer.ledger.ledger` writes a status.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Computed, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from mailer.db import Base, LongText, PrimaryKey, checked_on_sqlite
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
"""What may still be sent without anybody's doing."""

GIVEN_BACK: Final = (_S.FAILED, _S.SKIPPED, _S.CANCELLED)
"""A delivery in one of these counts as not had: its articles are due to the reader again."""

HAD: Final = frozenset(_S) - set(GIVEN_BACK)
"""A delivery in one of these counts as had: its articles are due to the reader no more."""

ALLOWED: Final[dict[DeliveryStatus, frozenset[DeliveryStatus]]] = {
    # What was in doubt, and was to be sent once more, is in doubt again where nothing comes of that:
    # the relay may have it, so it is not given back to the reader.
    _S.QUEUED: frozenset({_S.CLAIMED, _S.SKIPPED, _S.CANCELLED, _S.FAILED, _S.SENT, _S.UNKNOWN}),
    _S.CLAIMED: frozenset(
        {
            _S.QUEUED,
            _S.SENDING,
            _S.DEFERRED,
            _S.FAILED,
            _S.SKIPPED,
            _S.CANCELLED,
            _S.SENT,
            _S.UNKNOWN,
        }
    ),
    _S.SENDING: frozenset({_S.SENT, _S.DEFERRED, _S.FAILED, _S.UNKNOWN}),
    _S.DEFERRED: frozenset({_S.CLAIMED, _S.FAILED, _S.SKIPPED, _S.CANCELLED, _S.UNKNOWN}),
    # A 250 that comes late turns it into sent, though it may wait already to be sent once more.
    _S.UNKNOWN: frozenset({_S.QUEUED, _S.SENT}),
    _S.SENT: frozenset(),
    _S.FAILED: frozenset(),
    _S.SKIPPED: frozenset(),
    _S.CANCELLED: frozenset(),
}
"""Which status may follow which. A status from which nothing follows is final."""


class LedgerColumns:
    """What the ledger keeps of one mail to one person.

    `worker_id` holds the row while it is claimed or sending. `in_doubt` counts how often it ended in
    doubt. `first_attempt_at` fixes the Date header. `code`, `reply` and `step` are the relay's last word,
    with the address taken out. `crashes` counts how often a worker died while it made this mail.
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

    @declared_attr
    def worker_id(cls) -> Mapped[int | None]:
        return mapped_column(ForeignKey("worker.id"))


_WAITING = text("status IN ('queued', 'deferred')")
_PUT_OFF = text("not_before > created_at")
_HELD = text("status IN ('claimed', 'sending')")
_IN_DOUBT = text("status = 'unknown' AND dropped_at IS NULL")

WORD: Final = 32
"""How many editions a word is; at most 62, for which a number has bits on both databases. With fewer, a
build asks for more words of each reader; with more, it enters what it writes among more that is old."""

_IS_GIVEN_BACK = text("status IN (" + ", ".join(f"'{one}'" for one in GIVEN_BACK) + ")")


class Delivery(LedgerColumns, Base):
    """One edition to one subscriber: the ledger.

    `edition_word` numbers the words of `WORD` editions each, by which a build asks what readers have had.

    `dropped_at` is when staff decided that a row in doubt is left as it is: it stays `unknown`, counts as
    had, and needs nobody any more.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        *(
            checked_on_sqlite(f"{table}_id", f"{table}.id")
            for table in ("digest", "edition", "subscriber", "subscription")
        ),
        UniqueConstraint("digest_id", "subscriber_id"),
        # What readers have had, word by word, for grouping them. Beside its subscriber alone the edition
        # would be entered anywhere in all of the past. The status is left out, or every mail that is
        # sent would be entered anew; the few that were given back are in the second index.
        Index("ix_delivery_word", "edition_word", "subscriber_id", "edition_id"),
        Index(
            "ix_delivery_given_back",
            "subscriber_id",
            "edition_word",
            "edition_id",
            sqlite_where=_IS_GIVEN_BACK,
            postgresql_where=_IS_GIVEN_BACK,
        ),
        Index(None, "digest_id", "status"),
        # By digest first: one that is paused must not stand in the way of the others' rows.
        Index(
            "ix_delivery_waiting",
            "digest_id",
            "next_attempt_at",
            "id",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
        Index("ix_delivery_held", "worker_id", sqlite_where=_HELD, postgresql_where=_HELD),
        # Few rows, and asked for all the time: what needs somebody to decide.
        Index(
            "ix_delivery_in_doubt",
            "digest_id",
            sqlite_where=_IN_DOUBT,
            postgresql_where=_IN_DOUBT,
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[PrimaryKey]
    digest_id: Mapped[int]
    edition_id: Mapped[int]
    subscriber_id: Mapped[int]
    subscription_id: Mapped[int]
    edition_word: Mapped[int] = mapped_column(Computed(f"edition_id / {WORD}", persisted=True))
    dropped_at: Mapped[datetime | None]


class NoticeKind(StrEnum):
    """Why one person gets a mail that is no digest."""

    CONFIRMATION = "confirmation"
    ALREADY = "already"
    PREFERENCES = "preferences"
    TEST = "test"
    ALERT = "alert"
    REVIEW = "review"
    REPORT = "report"


class Notice(FrozenContent, LedgerColumns, Base):
    """One transactional mail. Its content holds marker words, never a usable link.

    `rate_key` and `not_before` are set where a sign-up caused it: the limits on sign-ups count these
    rows. `not_before` is when the limit on all sign-ups together lets it go out first.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index(
            "ix_notice_waiting",
            "next_attempt_at",
            "id",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
        Index("ix_notice_held", "worker_id", sqlite_where=_HELD, postgresql_where=_HELD),
        Index(None, "rate_key", "created_at"),
        Index(None, "not_before"),
        Index(
            "ix_notice_put_off",
            "not_before",
            sqlite_where=_PUT_OFF,
            postgresql_where=_PUT_OFF,
        ),
        # Whoever deletes a sign-up looks for the notices that refer to it.
        Index(None, "signup_id"),
        # Finished ones are deleted by their age.
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
