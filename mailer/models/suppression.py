"""Defines the table of suppressions: the decisions that an address gets no mail."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey, partial_index


class SuppressionReason(StrEnum):
    """Why an address gets no mail."""

    STAFF = "staff"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    NOT_ME = "not_me"
    ERASED = "erased"


class Suppression(Base):
    """An address that gets no mail: from any newsletter, or from one where `newsletter_id` is set.

    Found by the keyed hash, so that it outlives the address. `address` is for staff to read, and is deleted
    when the reader is erased. `event_id` is the `BounceEvent` that led to it, if one did.
    """

    __tablename__ = "suppression"
    __table_args__ = (
        partial_index(
            "uq_suppression_key_hash_everywhere",
            "key_hash",
            where="newsletter_id IS NULL",
            unique=True,
        ),
        partial_index(
            "uq_suppression_key_hash_newsletter_id",
            "key_hash",
            "newsletter_id",
            where="newsletter_id IS NOT NULL",
            unique=True,
        ),
    )

    id: Mapped[PrimaryKey]
    key_hash: Mapped[str]
    address: Mapped[str | None]
    newsletter_id: Mapped[int | None] = mapped_column(ForeignKey("newsletter.id"))
    reason: Mapped[SuppressionReason]
    detail: Mapped[LongText | None]
    event_id: Mapped[int | None]
    created_at: Mapped[datetime]
