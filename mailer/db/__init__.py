"""The database: base class of the models, engines and sessions. Which tables there are is not known here."""

from mailer.db.base import (
    SQLITE_ONLY,
    Base,
    BigId,
    LongText,
    PrimaryKey,
    UTCDateTime,
    checked_on_sqlite,
)
from mailer.db.database import Database, FifoLock, PinnedConnection, Writer
from mailer.db.errors import explain, is_unreadable, is_unusable
from mailer.db.locks import AdvisoryLock, take_lock
from mailer.db.statements import insert_if, insert_missing, let_go_when_frozen

__all__ = [
    "SQLITE_ONLY",
    "AdvisoryLock",
    "Base",
    "BigId",
    "Database",
    "FifoLock",
    "LongText",
    "PinnedConnection",
    "PrimaryKey",
    "UTCDateTime",
    "Writer",
    "checked_on_sqlite",
    "explain",
    "insert_if",
    "insert_missing",
    "is_unreadable",
    "is_unusable",
    "let_go_when_frozen",
    "take_lock",
]
