"""Defines what the journal keeps of a digest: enough to count it as had where its rows are lost. Pure.

Never holds anything about readers but their number.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self


@dataclass(frozen=True)
class SentArticle:
    """An article that some reader of the digest got."""

    canonical_url: str
    url: str
    title: str
    published_at: datetime


@dataclass(frozen=True)
class DigestDetail:
    """A digest, by names that mean the same in an older database.

    Args:
        schedule, slot, due_at: which digest of its newsletter it is.
        status: sending, skipped or cancelled.
        subject: of its first edition; None if there is none.
        readers: how many it was queued for; of one that was cancelled: how many may have it.
        articles: those of all its editions.
        zone, holds: of a one-off, whose schedule an older database may not know; else None.
    """

    schedule: str
    slot: str
    due_at: datetime
    status: str
    subject: str | None
    readers: int
    articles: Sequence[SentArticle]
    zone: str | None = None
    holds: str | None = None

    def text(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, default=_instant, sort_keys=True)

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """Read what `text` wrote; None if that is not it."""
        try:
            values = json.loads(text or "")
            articles = [
                SentArticle(**{**article, "published_at": _parsed(article["published_at"])})
                for article in values.pop("articles")
            ]
            due_at = _parsed(values.pop("due_at"))
            return cls(**values, due_at=due_at, articles=articles)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


def _instant(value: Any) -> str:
    instant: datetime = value
    return instant.astimezone(UTC).isoformat()


def _parsed(text: str) -> datetime:
    """Read an instant.

    Raises:
        ValueError: it is no instant, or has no zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no zone")
    return at.astimezone(UTC)
