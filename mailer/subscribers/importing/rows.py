"""Defines what one row of an import file says: a reader and their status, or why the row cannot be used.

Pure. Never judges whether an address is valid.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from mailer.models import SuppressionReason


class ReaderStatus(StrEnum):
    """Whether the reader gets the newsletter where the file comes from, from least to most restrictive."""

    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"


class ImportRow(NamedTuple):
    """What a row says about one reader. A tuple, because a file has a million of them.

    `line` is where the row begins. `email` is as written, without blanks around it. `name` is cleaned, and
    may be shown in a mail. `reason` is set if `status` is SUPPRESSED. Times are aware, in UTC. `source` is
    how the other service names the place where they signed up, on one line. `language` is one of those that
    the mailer has. Only its own export knows `paused_at`: such a reader stays paused.
    """

    line: int
    email: str
    name: str | None = None
    status: ReaderStatus = ReaderStatus.ACTIVE
    reason: SuppressionReason | None = None
    opted_in_at: datetime | None = None
    opt_in_ip: str | None = None
    left_at: datetime | None = None
    source: str | None = None
    language: str | None = None
    paused_at: datetime | None = None


class RejectedRow(NamedTuple):
    """A row that cannot be used, with the line that it begins on; the reason is safe to show."""

    line: int
    reason: str
