"""Kills a process in the middle of a transaction, at exactly one row that it writes.

On SQLite a trigger of the process's own connection kills it there. On PostgreSQL a trigger waits there
for a lock that the test holds, and the test kills the process meanwhile.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from mailer.db import Database
from tests.faults.run import Run
from tests.support.processes import killed_in_the_end, start_mailer
from tests.support.waiting import wait_until

_LOCK = 4711
_PROGRAM = Path(__file__).with_name("trapped.py")


@dataclass(frozen=True)
class Trap:
    """Where a process dies: when the row that it writes is like this.

    Attributes:
        change: such as "INSERT ON {}delivery"; the braces are for the schema's name.
        sqlite: of NEW, which has just been written.
        postgresql: of NEW, which is about to be written.
    """

    change: str
    sqlite: str
    postgresql: str


def after_delivery(number: int) -> Trap:
    """So many deliveries have been written, in a database that had none."""
    return Trap("INSERT ON {}delivery", f"NEW.id = {number}", f"NEW.id = {number + 1}")


def article_written(number: int) -> Trap:
    """So many articles have been written, in a database that had none."""
    return Trap("INSERT ON {}article", f"NEW.id = {number}", f"NEW.id = {number}")


AT_THE_END = Trap("UPDATE ON {}digest", "NEW.status = 'sent'", "NEW.status = 'sent'")
"""A digest is being closed."""

REPORT_QUEUED = Trap("INSERT ON {}notice", "NEW.kind = 'report'", "NEW.kind = 'report'")
"""The report of a digest is being queued; that staff are told was written before, in the same transaction."""

REPORT_STARTED = Trap("UPDATE ON {}notice", "NEW.status = 'sending'", "NEW.status = 'sending'")
"""The report, which is the only notice, is about to be the relay's."""


def die_in(run: Run, trap: Trap, port: int, /, *roles: str, **settings: str) -> None:
    """Run these roles, with these settings, until they are in the trap and dead."""
    if run.database.is_sqlite:
        statement = (
            f"CREATE TEMP TRIGGER trap AFTER {trap.change.format('main.')} "
            f"WHEN {trap.sqlite} BEGIN SELECT die(); END"
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(os.environ, "TRAP", statement)
            process = start_mailer(
                run.database, run.keys, port, run.log, *roles, program=[str(_PROGRAM)], **settings
            )
        with killed_in_the_end(process):
            assert process.wait() == -signal.SIGKILL, run.log.read_text()
        return
    with _lock_held(run.database, trap), run.running(port, *roles, **settings) as process:
        wait_until(lambda: _is_trapped(run.database, process))


@contextmanager
def _lock_held(database: Database, trap: Trap) -> Iterator[None]:
    with database.write() as session:
        session.execute(
            text(
                "CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ "
                f"BEGIN PERFORM pg_advisory_xact_lock({_LOCK}); RETURN NEW; END $$"
            )
        )
        session.execute(
            text(
                f"CREATE TRIGGER trap BEFORE {trap.change.format('')} FOR EACH ROW "
                f"WHEN ({trap.postgresql}) EXECUTE FUNCTION trap()"
            )
        )
    with database.engine.connect() as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        yield
        connection.rollback()
    # Waits until the server has noticed that the client is dead, and undone what it wrote.
    table = trap.change.partition("{}")[2]
    with database.write() as session:
        session.execute(text(f"DROP TRIGGER trap ON {table}"))
        session.execute(text("DROP FUNCTION trap()"))


def _is_trapped(database: Database, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None
    with database.read() as session:
        found = session.scalar(
            text(
                "SELECT count(*) FROM pg_locks "
                f"WHERE locktype = 'advisory' AND objid = {_LOCK} AND NOT granted"
            )
        )
        return bool(found)
