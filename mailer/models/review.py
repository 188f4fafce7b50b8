"""Defines the table of reviews: what staff are shown before a digest, and what they answered."""

from datetime import datetime
from enum import Enum

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, PrimaryKey


class ReviewAct(Enum):
    """What a link of a review does; the value is the last bit of its public id."""

    STOP = 0
    SEND = 1


class Review(Base):
    """The mail that shows staff the coming digest of a slot: one for each slot.

    `notice_id` is that mail, to the first staff address; each copy names the review in `notice.review_id`.
    Its links work until `expires_at`. `send_asked_at` is when staff asked to send the digest early; a digest
    that they stopped has a row of its own.
    """

    __tablename__ = "review"
    __table_args__ = (UniqueConstraint("schedule_id", "slot"),)

    id: Mapped[PrimaryKey]
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id"))
    slot: Mapped[str]
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    notice_id: Mapped[int | None] = mapped_column(ForeignKey("notice.id"), unique=True)
    send_asked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    def link_id(self, act: ReviewAct) -> int:
        """Return the public id in the link that does this. Links are signed, so it need not be secret."""
        return self.id * 2 + act.value

    @staticmethod
    def behind(link_id: int) -> tuple[int, ReviewAct]:
        """Return the id of the review that a link belongs to, and what the link does."""
        return link_id // 2, ReviewAct(link_id % 2)
