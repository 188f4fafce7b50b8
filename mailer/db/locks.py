"""Names every advisory lock of the project, and takes one for the length of a transaction.

Never takes a lock with a key that is not in the registry below.
"""

from enum import IntEnum, unique

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session


@unique
class AdvisoryLock(IntEnum):
    """What one transaction at a time may do; the value is the lock's key on PostgreSQL.

    The keys never change: during an upgrade the old and the new version run side by side.
    """

    UPGRADE_SCHEMA = 0x6D61_696C
    CLAIM_SLOTS = 0x6D61_696C_6572
    ADD_ARTICLES = 0x6665_6564
    COUNT_SIGNUPS = 0x6D61_696C_0002
    CHANGE_SUBSCRIBERS = 0x6D61_696C_0003
    EXCLUSIVE_USE = 0x6D61_696C_0004
    """Held, for longer than a transaction, by a command that restores or moves the whole database."""


def take_lock(session: Session | Connection, lock: AdvisoryLock) -> None:
    """Wait until no other transaction holds `lock`, then hold it until this transaction ends.

    A transaction may take a lock that it holds already. On SQLite nothing is done: it has one writer at a
    time anyway.
    """
    connection = session.connection() if isinstance(session, Session) else session
    if connection.dialect.name != "sqlite":
        connection.execute(select(func.pg_advisory_xact_lock(lock.value)))
