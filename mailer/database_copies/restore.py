"""Puts a backup in the place of the database: what happened after it, and must not be undone, is done again.

Nothing is built or sent afterwards until `mailer resume`. Never begins while another process has the database
open, and changes nothing unless the whole backup can be used.
"""

from datetime import datetime, timedelta
from pathlib import Path

from mailer.database_copies.files.contents import IsStopping
from mailer.database_copies.restoring import postgresql, sqlite
from mailer.database_copies.restoring.told import Restored
from mailer.db import Database


def restore(
    database: Database,
    file: Path,
    *,
    fingerprint: str,
    lease: timedelta,
    now: datetime,
    is_stopping: IsStopping,
) -> Restored:
    """Put the backup in `file` in the place of this database, which may be missing, empty or damaged.

    Args:
        fingerprint: of the identity key in the settings.
        lease: how long a worker may be silent before it is considered dead.

    Raises:
        Refused: the file is no backup for this database, the database is in use, or there is no room.
        SettingsError: the backup belongs to another identity key.
        SchemaError: it is of a newer program.
        Stopped: `is_stopping` said so; nothing was changed.
    """
    if database.is_sqlite:
        return sqlite.restore(database, file, fingerprint=fingerprint, lease=lease, now=now)
    return postgresql.restore(
        database,
        file,
        fingerprint=fingerprint,
        lease=lease,
        now=now,
        is_stopping=is_stopping,
    )
