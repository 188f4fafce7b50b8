"""Defines the table of the journal: what must not be undone when an older database is restored.

Append-only. It holds no address: people are in it by the keyed hashes of their addresses.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Mapped

from mailer.db import Base, LongText, PrimaryKey


class JournalKind(StrEnum):
    """What happened. Of two entries about the same person and newsletter the later one counts."""

    LEFT = "left"
    RETURNED = "returned"
    """Confirmed, after leaving or for the first time."""
    MOVED = "moved"
    """Changed to another schedule of the newsletter."""
    SUPPRESSED = "suppressed"
    LIFTED = "lifted"
    ERASED = "erased"
    DIGEST = "digest"
    """A digest was built; its readers are getting it, or have got it."""
    GAP = "gap"
    """A backup was restored without a journal: what happened between the two is not known any more."""


class JournalEntry(Base):
    """One thing that a restored database has to be told again.

    Attributes:
        key_hash: of the person; None for a digest.
        newsletter: its slug, because ids repeat after a restore; None if it is about all newsletters.
        reason: of a suppression, or why somebody left.
        detail: of a digest: its schedule, slot and articles, as JSON; of a reader who returned or moved: the
            name of the schedule; of one whose address changed: the hash of the new one.
        replayed_at: when a restored database was told of it, until staff have resumed.
    """

    __tablename__ = "journal_entry"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[PrimaryKey]
    at: Mapped[datetime]
    kind: Mapped[JournalKind]
    key_hash: Mapped[str | None]
    newsletter: Mapped[str | None]
    reason: Mapped[str | None]
    detail: Mapped[LongText | None]
    replayed_at: Mapped[datetime | None]
