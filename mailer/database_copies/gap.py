"""Finds what a restored database does not know of its digests: what was sent after the backup, and how many.

Only reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.database_copies.replayed_acts import lost_readers
from mailer.database_copies.replayed_entries import standing
from mailer.journal.digest_detail import DigestDetail
from mailer.ledger.transitions import HELD, WAITING, is_in
from mailer.models import (
    Delivery,
    Digest,
    DigestStatus,
    JournalEntry,
    JournalKind,
    Newsletter,
    Schedule,
)

_OPEN: Final = (DigestStatus.SENDING, DigestStatus.PAUSED)


@dataclass(frozen=True)
class GapDigest:
    """A digest of after the backup, as the journal says.

    Attributes:
        newsletter: its slug; `newsletter_id` is None if the backup does not know it.
        at: when it was built.
    """

    newsletter: str
    newsletter_id: int | None
    at: datetime
    detail: DigestDetail


@dataclass(frozen=True)
class BegunDigest:
    """A digest that was being sent, or was paused, when the backup was made."""

    id: int
    newsletter: str
    schedule: str
    slot: str
    pending: int


def digests_since_backup(session: Session) -> list[GapDigest]:
    """List the digests that the database does not know, or knows as being built, in their order."""
    rows = session.execute(
        select(JournalEntry, Newsletter.id)
        .outerjoin(Newsletter, Newsletter.slug == JournalEntry.newsletter)
        .where(JournalEntry.kind == JournalKind.DIGEST, JournalEntry.replayed_at.is_not(None))
        .order_by(JournalEntry.id)
    )
    found: dict[tuple[str, str, str], GapDigest] = {}
    for entry, newsletter_id in rows:
        detail = DigestDetail.read(entry.detail)
        if detail is None or entry.newsletter is None:
            continue
        key = (entry.newsletter, detail.schedule, detail.slot)
        # Of a digest that was cancelled later, the last entry counts; it was built at the first.
        at = found[key].at if key in found else entry.at
        found[key] = GapDigest(entry.newsletter, newsletter_id, at, detail)
    known = _known(session)
    return [digest for key, digest in found.items() if key not in known]


def _known(session: Session) -> set[tuple[str, str, str]]:
    rows = session.execute(
        select(Newsletter.slug, Schedule.name, Digest.slot)
        .join(Schedule, Schedule.newsletter_id == Newsletter.id)
        .join(Digest, Digest.schedule_id == Schedule.id)
        .where(Digest.status != DigestStatus.BUILDING)
    )
    return {(slug, name, slot) for slug, name, slot in rows}


def begun_digests(session: Session) -> list[BegunDigest]:
    """List the digests that are not finished: while the fence is up no other one is begun."""
    pending = (
        select(func.count())
        .where(Delivery.digest_id == Digest.id, is_in(Delivery, WAITING) | is_in(Delivery, HELD))
        .scalar_subquery()
    )
    rows = session.execute(
        select(Digest.id, Newsletter.slug, Schedule.name, Digest.slot, pending)
        .join(Schedule, Schedule.id == Digest.schedule_id)
        .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
        .where(Digest.status.in_(_OPEN))
        .order_by(Digest.id)
    )
    return [BegunDigest(*row) for row in rows]


def count_lost_readers(session: Session) -> int:
    """Count the subscriptions that were confirmed after the backup, and are not in it."""
    rows = lost_readers(standing(JournalEntry.replayed_at.is_not(None)).subquery())
    return session.scalar(select(func.count()).select_from(rows.subquery())) or 0


def titles(digest: GapDigest) -> Sequence[str]:
    """Return the titles of the articles in it."""
    return [article.title for article in digest.detail.articles]
