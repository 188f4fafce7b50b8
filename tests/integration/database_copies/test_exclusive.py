"""Who else may open the database while it is restored or moved: nobody."""

import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from mailer.database_copies import exclusive as exclusive_module
from mailer.database_copies.exclusive import exclusive
from mailer.db import Database, engine, explain
from mailer.errors import DatabaseUnavailable, Refused
from mailer.ledger.heartbeat import register
from mailer.models import Installation, WorkerRole
from tests.support.factories import NOW

LEASE = timedelta(seconds=60)
OPEN = """
import sys
from mailer.db import Database
database = Database(sys.argv[1])
with database.read() as session:
    session.connection()
    print("open", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def _impatient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what stays in use be refused soon; PostgreSQL needs a moment to end a connection."""
    is_sqlite = request.getfixturevalue("database").is_sqlite
    monkeypatch.setattr(exclusive_module, "_LOOKS", 1 if is_sqlite else 10)


def _url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def _alone(database: Database) -> None:
    with exclusive(database, lease=LEASE, now=NOW):
        pass


def test_what_is_done_alone_stays(database: Database) -> None:
    with exclusive(database, lease=LEASE, now=NOW) as connection:
        with connection.begin():
            connection.execute(text("UPDATE installation SET paused_reason = 'alone'"))
        with connection.begin():
            assert connection.scalar(select(Installation.paused_reason)) == "alone"

    with database.write() as session:
        assert session.scalar(select(Installation.paused_reason)) == "alone"
        if database.is_sqlite:
            assert session.scalar(text("PRAGMA journal_mode")) == "wal"
            assert session.scalar(text("PRAGMA locking_mode")) == "normal"
    _alone(database)


def test_another_process_that_has_it_open_is_named(database: Database) -> None:
    program = [sys.executable, "-c", OPEN, _url(database)]
    with subprocess.Popen(program, stdin=-1, stdout=-1, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            with pytest.raises(Refused, match=r"such as `mailer run web`.*Stop all processes"):
                _alone(database)
            with database.write() as session:
                register(session, WorkerRole.SENDER, "mail.example", 4711, NOW)
            with pytest.raises(
                Refused, match=r"a worker runs on mail\.example with process id 4711"
            ):
                _alone(database)
        finally:
            process.communicate("\n")

    # A server that lost its connections for a moment may be that worker's: it is asked for by its heartbeat.
    if not database.is_sqlite:
        with pytest.raises(Refused, match="a worker runs on"):
            _alone(database)
    with exclusive(database, lease=LEASE, now=NOW + 2 * LEASE):
        pass


def test_a_thread_of_our_own_counts_too(database: Database) -> None:
    is_open, may_end = threading.Event(), threading.Event()

    def read() -> None:
        with database.engine.connect() as connection:
            connection.execute(select(Installation.id))
            is_open.set()
            may_end.wait()
            connection.invalidate()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        is_open.wait()
        with pytest.raises(Refused, match="in use"):
            _alone(database)
    finally:
        may_end.set()
        thread.join()
    _alone(database)


def test_who_comes_during_the_block_is_refused_and_harms_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0)
    with exclusive(database, lease=LEASE, now=NOW) as connection:
        late = Database(_url(database))
        with pytest.raises(DBAPIError) as refused, late.read() as session:
            session.connection()
        late.dispose()
        with connection.begin():
            connection.execute(text("UPDATE installation SET paused_reason = 'alone'"))
    error = explain(refused.value)
    assert isinstance(error, DatabaseUnavailable)
    with database.read() as session:
        assert session.scalar(select(Installation.paused_reason)) == "alone"


def test_it_is_free_again_after_an_error_in_a_transaction(database: Database) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        exclusive(database, lease=LEASE, now=NOW) as connection,
        connection.begin(),
    ):
        connection.execute(text("UPDATE installation SET paused_reason = 'alone'"))
        raise ZeroDivisionError

    with database.read() as session:
        assert session.scalar(select(Installation.paused_reason)) is None
    _alone(database)
