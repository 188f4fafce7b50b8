"""Reads the numbers that are kept of a digest whose rows of the ledger were deleted. Never writes."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.models import Digest, DigestCount

IN_DOUBT: Final = "in_doubt"
"""How often rows of the digest ended in doubt. Each status of a delivery has a count under its own word."""

READERS: Final = "readers:"
"""Followed by the number of an edition: for how many readers it was made."""

RETURNED: Final = "returned:"
"""Followed by a kind of `EvidenceKind`: how many mails came back that way."""

RETURNED_REASON: Final = "returned_reason:"
"""Followed by a word of `mailer.bounces.reasons`: how many mails came back for it."""

FAILURE: Final = "failure:"
"""Followed by why mails failed, as the report on the digest says it."""

LEFT: Final = "left"
"""How many of its readers had left the newsletter since it was built."""


def kept_counts(session: Session, digest_id: int) -> Mapping[str, int] | None:
    """Return the counts of a purged digest by name; None if it is not purged."""
    rows = session.execute(
        select(DigestCount.name, DigestCount.number)
        .select_from(Digest)
        .outerjoin(DigestCount, DigestCount.digest_id == Digest.id)
        .where(Digest.id == digest_id, Digest.purged_at.is_not(None))
    ).all()
    if not rows:
        return None
    return {name: number for name, number in rows if name is not None}


def with_prefix(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    """Return the counts whose names begin so, under the rest of their names."""
    return {
        name.removeprefix(prefix): number
        for name, number in counts.items()
        if name.startswith(prefix)
    }
