"""Tells staff that there is no recent backup, and knows when that is so.

Never makes a backup.
"""

import logging
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.clock import format_instant
from mailer.models import Installation
from mailer.notices.alert import Alerts, first_newsletter, queue_alert

log = logging.getLogger(__name__)

OVERDUE: Final = timedelta(days=2)
"""How old the last good backup may be."""
TRY_AGAIN: Final = timedelta(hours=3)
"""How long after a backup began another try may begin, unless it was good."""
_TELL_AGAIN: Final = timedelta(days=7)


class BackupRecord(NamedTuple):
    """When the last backup began, when the last good nightly one did, why one failed, when staff knew."""

    started_at: datetime | None
    good_at: datetime | None
    error: str | None
    alerted_at: datetime | None


def read_record(session: Session) -> BackupRecord:
    """Read what is known of the backups."""
    row = session.execute(
        select(
            Installation.backup_started_at,
            Installation.backup_at,
            Installation.backup_error,
            Installation.backup_alerted_at,
        )
    ).one()
    return BackupRecord(*row)


def why_overdue(record: BackupRecord, now: datetime) -> str | None:
    """Say why there is no recent backup; None if there is one, or one is under way."""
    if record.good_at is not None and now - record.good_at <= OVERDUE:
        return None
    is_tried = record.started_at is not None and now - record.started_at <= TRY_AGAIN
    if record.error is None and (is_tried or record == BackupRecord(None, None, None, None)):
        # One is under way, or backups were switched on just now.
        return None
    return record.error or "none was finished; `mailer run` makes them, and its log says more"


def alert_if_overdue(session: Session, alerts: Alerts, now: datetime) -> None:
    """Tell staff that there is no recent backup: once, and again every week while that lasts."""
    record = read_record(session)
    reason = why_overdue(record, now)
    if reason is None or (record.alerted_at is not None and now - record.alerted_at < _TELL_AGAIN):
        return
    claimed = session.scalars(
        update(Installation)
        .where(Installation.backup_alerted_at.is_not_distinct_from(record.alerted_at))
        .values(backup_alerted_at=now)
        .returning(Installation.id)
        .execution_options(synchronize_session=False)
    ).first()
    if claimed is None:
        return
    log.error("there is no recent backup: %s", reason)
    if (newsletter := first_newsletter(session)) is not None:
        since = None if record.good_at is None else format_instant(record.good_at)
        facts = {"backup": {"since": since}, "commands": ["mailer status", "mailer db backup FILE"]}
        queue_alert(session, alerts, newsletter, reason, facts, now)
