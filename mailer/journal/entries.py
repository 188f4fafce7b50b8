"""Defines an entry of the journal outside the database, and the line of a file that holds one. Pure.

Never opens the file.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from mailer.models import JournalKind


@dataclass(frozen=True)
class NewEntry:
    """Something that a restored database has to be told again.

    Args:
        key_hash: of the person; None for a digest.
        newsletter: its slug; None if it is about all newsletters.
        reason: of a suppression, or why somebody left.
        detail: of a digest: its schedule, slot and articles, as JSON; of a reader who returned or moved: the
            name of the schedule.
    """

    kind: JournalKind
    at: datetime
    key_hash: str | None = None
    newsletter: str | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class RecordedEntry(NewEntry):
    """An entry that was recorded, with its number in the database where that was done."""

    id: int = 0

    @classmethod
    def of(cls, row: Any) -> Self:
        """Return the entry that a row of the table, or of its copy, holds."""
        return cls(
            kind=JournalKind(row.kind),
            at=row.at,
            key_hash=row.key_hash,
            newsletter=row.newsletter,
            reason=row.reason,
            detail=row.detail,
            id=row.id,
        )


def line(entry: RecordedEntry) -> str:
    """Write an entry as one line of JSON."""
    values = {name: value for name, value in vars(entry).items() if value is not None}
    values["at"] = entry.at.astimezone(UTC).isoformat()
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"


def header(identity: str) -> str:
    """Write the first line of a file: whose journal it is, by the fingerprint of the identity key."""
    return json.dumps({"journal": 1, "identity": identity}, separators=(",", ":")) + "\n"


def read_header(text: bytes) -> str | None:
    """Return the fingerprint that the first line of a file names; None if it is no such line."""
    values = _read_object(text)
    identity = values.get("identity")
    return identity if values.get("journal") == 1 and isinstance(identity, str) else None


def read_line(text: bytes) -> RecordedEntry | None:
    """Read a line; None if it is not a whole entry, for example because the power failed."""
    values = _read_object(text)
    try:
        at = datetime.fromisoformat(values["at"])
        number = values["id"]
        if not isinstance(number, int) or at.tzinfo is None:
            return None
        texts = {
            name: None if values.get(name) is None else str(values[name])
            for name in ("key_hash", "newsletter", "reason", "detail")
        }
        return RecordedEntry(JournalKind(values["kind"]), at, **texts, id=number)
    except (KeyError, ValueError, TypeError):
        return None


def _read_object(text: bytes) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
