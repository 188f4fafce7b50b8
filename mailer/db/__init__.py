"""Opens the database: engines, sessions, locks, and the base class of the models. Never knows the tables."""

from mailer.db.dialect import abort_if_frozen, dialect_insert, insert_if, insert_missing
from mailer.db.errors import explain, is_unreadable, is_unusable
from mailer.db.locks import AdvisoryLock, take_lock
from mailer.db.model_base import (
    SQLITE_ONLY,
    Base,
    BigId,
    LongText,
    PrimaryKey,
    UTCDateTime,
    checked_on_sqlite,
    partial_index,
)
from mailer.db.sessions import Database, FifoLock, PinnedConnection, Writer

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
    "abort_if_frozen",
    "checked_on_sqlite",
    "dialect_insert",
    "explain",
    "insert_if",
    "insert_missing",
    "is_unreadable",
    "is_unusable",
    "partial_index",
    "take_lock",
]
