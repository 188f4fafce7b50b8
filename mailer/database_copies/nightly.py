"""Makes a backup each night into the folder of the settings, and keeps the last of them.

A night's backup is due at 03:00, by the clock of the oldest schedule's zone. If no scheduler ran then, it is
made as soon as one does. Of several schedulers one makes it. Never removes a file that it has not made.
"""

import logging
import re
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.clock import Clock, zone
from mailer.database_copies.backup import back_up
from mailer.database_copies.files.contents import IsStopping, Stopped
from mailer.database_copies.files.new_file import PART
from mailer.db import Database
from mailer.errors import MailerError, Refused
from mailer.models import Installation, Schedule
from mailer.notices.backup_alerts import TRY_AGAIN, BackupRecord, read_record
from mailer.text.untrusted import printable_line

log = logging.getLogger(__name__)

NIGHT: Final = time(3, 0)
KEPT: Final = 14
_LONGEST_ERROR: Final = 500


def make_due(
    database: Database,
    folder: Path,
    *,
    fingerprint: str,
    wall: Clock,
    is_stopping: IsStopping,
) -> None:
    """Make tonight's backup, unless it was made, was tried lately, or another scheduler makes it.

    If it fails, the reason is in the database, and it is tried again later. If it is given up because the
    process ends, the next process makes it.

    Raises:
        MailerError: it failed.
        OSError: an older one could not be removed.
    """
    now = wall()
    with database.read() as session:
        record = read_record(session)
        night = last_night(now, _zone(session))
    if not is_due(record, night, now) or not _claim(database, record, now):
        return
    try:
        _remove_parts(folder, fingerprint)
        path = folder / file_name(fingerprint, now, is_sqlite=database.is_sqlite)
        back_up(
            database,
            path,
            fingerprint=fingerprint,
            now=now,
            on_progress=lambda *_: None,
            is_stopping=is_stopping,
        )
    except Stopped:
        _record(database, backup_started_at=record.started_at)
        return
    except MailerError as error:
        _record(database, backup_error=printable_line(str(error), _LONGEST_ERROR))
        raise
    except Exception as error:
        _record(database, backup_error=f"{type(error).__name__}; see the log of `mailer run`")
        raise
    _record(database, backup_at=now, backup_error=None, backup_alerted_at=None)
    log.info("backed up the database to %s", path)
    for old in superseded((item.name for item in folder.iterdir()), fingerprint):
        (folder / old).unlink(missing_ok=True)


def name_before_upgrade(fingerprint: str, now: datetime, schema: str, *, is_sqlite: bool) -> str:
    """Name a backup that is made before an upgrade. It is not counted among those of the nights."""
    path = Path(file_name(fingerprint, now, is_sqlite=is_sqlite))
    return f"{path.stem}-schema-{schema}{path.suffix}"


def last_night(now: datetime, place: tzinfo) -> datetime:
    """Return the latest moment at which a backup was due."""
    today = datetime.combine(now.astimezone(place).date(), NIGHT, place)
    night = today if today <= now else datetime.combine(today.date() - timedelta(1), NIGHT, place)
    return night.astimezone(UTC)


def is_due(record: BackupRecord, night: datetime, now: datetime) -> bool:
    """Tell whether a backup is to be made now: none was since `night`, and none was tried lately.

    A time in the future is of a clock that was wrong, and does not count.
    """
    if record.good_at is not None and night <= record.good_at <= now:
        return False
    is_lately = record.started_at is not None and now - TRY_AGAIN < record.started_at <= now
    return not is_lately


def file_name(fingerprint: str, now: datetime, *, is_sqlite: bool) -> str:
    """Name a backup: by the installation, so that several may share a folder, and by its time in UTC."""
    return f"mailer-{fingerprint[:8]}-{now:%Y%m%dT%H%M%SZ}.{'db' if is_sqlite else 'dump'}"


def superseded(names: Iterable[str], fingerprint: str) -> list[str]:
    """Return which of these files are backups of this installation, but not the latest `KEPT`."""
    pattern = re.compile(
        rf"mailer-{re.escape(fingerprint[:8])}-([0-9]{{8}}T[0-9]{{6}}Z)\.(db|dump)"
    )
    own = [(match[1], name) for name in names if (match := pattern.fullmatch(name))]
    return [name for _, name in sorted(own)[:-KEPT]]


def _zone(session: Session) -> tzinfo:
    """Return the zone of the oldest schedule; UTC if there is none, or its zone does not exist any more."""
    name = session.scalar(
        select(Schedule.zone).where(Schedule.removed_at.is_(None)).order_by(Schedule.id).limit(1)
    )
    try:
        return UTC if name is None else zone(name)
    except Refused:
        return UTC


def _claim(database: Database, record: BackupRecord, now: datetime) -> bool:
    """Begin a backup, unless another process has since the record was read."""
    with database.write() as session:
        claimed = session.scalars(
            update(Installation)
            .where(Installation.backup_started_at.is_not_distinct_from(record.started_at))
            .values(backup_started_at=now, backup_error=None)
            .returning(Installation.id)
            .execution_options(synchronize_session=False)
        ).first()
    return claimed is not None


def _record(database: Database, **values: object) -> None:
    with database.write() as session:
        session.execute(update(Installation).values(**values))


def _remove_parts(folder: Path, fingerprint: str) -> None:
    """Remove what a process left behind that was killed; nobody else makes one now."""
    if folder.is_dir():
        for part in folder.glob(f".mailer-{fingerprint[:8]}-*{PART}"):
            part.unlink(missing_ok=True)
