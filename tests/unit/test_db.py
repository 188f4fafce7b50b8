"""Sessions: what they commit, what they refuse, and that SQLite's writers wait in order."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)

from mailer.db import Database, FifoLock, explain
from mailer.errors import DatabaseUnavailable, SchemaError, SettingsError
from mailer.models import Installation, Newsletter, Subscription
from tests import factories
from tests.factories import NOW


def test_a_write_session_commits(database: Database) -> None:
    with database.write() as session:
        factories.newsletter(session)
    with database.read() as session:
        assert session.query(Newsletter).count() == 1


def test_a_write_session_that_fails_changes_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        factories.newsletter(session)
        raise ZeroDivisionError
    with database.read() as session:
        assert session.query(Newsletter).count() == 0


def test_a_read_session_keeps_nothing(sqlite_database: Database) -> None:
    with sqlite_database.read() as session:
        factories.newsletter(session)
    with sqlite_database.read() as session:
        assert session.query(Newsletter).count() == 0


def test_a_read_session_on_postgresql_refuses_to_write(postgresql_database: Database) -> None:
    with pytest.raises(DatabaseError), postgresql_database.read() as session:
        factories.newsletter(session)


def test_instants_come_back_aware_and_in_utc(database: Database) -> None:
    elsewhere = datetime(2026, 11, 24, 10, 0, tzinfo=timezone(timedelta(hours=4)))
    with database.write() as session:
        factories.newsletter(session, created_at=elsewhere)
    with database.read() as session:
        found = session.query(Newsletter).one().created_at
    assert (found, found.tzinfo) == (NOW, UTC)


def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive"), database.write() as session:
        factories.newsletter(session, created_at=datetime(2026, 11, 24))  # noqa: DTZ001


def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(
            Subscription(
                public_id=1,
                subscriber_id=77,
                newsletter_id=77,
                schedule_id=77,
                start_article=0,
                confirmed_at=NOW,
            )
        )


def test_a_read_modify_write_of_many_threads_loses_nothing(database: Database) -> None:
    with database.write() as session:
        session.execute(text("CREATE TABLE counter (n integer)"))
        session.execute(text("INSERT INTO counter VALUES (0)"))

    def add(_: int) -> None:
        with database.write() as session:
            lock = "" if database.is_sqlite else " FOR UPDATE"
            n = session.scalar(text(f"SELECT n FROM counter{lock}"))
            session.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(80)))
    with database.read() as session:
        assert session.scalar(text("SELECT n FROM counter")) == 80


def test_sqlite_is_durable_and_checks_foreign_keys(sqlite_database: Database) -> None:
    with sqlite_database.read() as session:
        found = [
            session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_the_lock_is_granted_in_order() -> None:
    lock = FifoLock()
    order: list[int] = []

    def enter(number: int) -> None:
        with lock:
            order.append(number)

    threads = []
    with lock:
        for number in range(10):
            thread = threading.Thread(target=enter, args=(number,))
            thread.start()
            threads.append(thread)
            while len(lock._waiting) <= number:
                pass
    for thread in threads:
        thread.join()
    assert order == list(range(10))


@pytest.mark.parametrize("url", ["", "mailer.db", "mysql://host/name", "nonsense://x", "sqlite"])
def test_a_url_that_is_no_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"sqlite:///"):
        Database(url)


def test_the_installation_has_one_row(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Installation(id=2, identity_fingerprint="x", created_at=NOW))
    with database.write() as session:
        assert session.scalars(update(Installation).values(id=1).returning(Installation.id)).all()


def failure(database: Database, statement: str) -> Exception:
    with pytest.raises(DatabaseError) as caught, database.write() as session:
        session.execute(text(statement))
    return caught.value


@pytest.mark.parametrize("statement", ["SELECT * FROM nowhere", "SELECT nowhere FROM installation"])
def test_a_missing_table_or_column_names_the_upgrade(database: Database, statement: str) -> None:
    told = explain(failure(database, statement))
    assert isinstance(told, SchemaError)
    assert "mailer db upgrade" in str(told)


def test_a_database_that_may_only_be_read_is_told(sqlite_database: Database) -> None:
    path = sqlite_database.url.database
    read_only = Database(f"sqlite:///file:{path}?mode=ro&uri=true")
    told = explain(failure(read_only, "DELETE FROM installation"))
    read_only.dispose()
    assert isinstance(told, DatabaseUnavailable)
    assert "may write there" in str(told)


def test_a_server_that_is_not_there_is_told() -> None:
    database = Database("postgresql://127.0.0.1:1/nothing")
    told = explain(failure(database, "SELECT 1"))
    assert isinstance(told, DatabaseUnavailable)
    assert "database_url" in str(told)


def test_a_file_that_is_no_database_is_told(fast_folder: Path) -> None:
    (fast_folder / "notes").write_text("This is no database, and long enough to be read as one.")
    database = Database(f"sqlite:///{fast_folder / 'notes'}")
    told = explain(failure(database, "SELECT 1"))
    database.dispose()
    assert isinstance(told, DatabaseUnavailable)


def test_a_database_that_somebody_else_writes_is_explained() -> None:
    told = explain(OperationalError("x", None, sqlite3.OperationalError("database is locked")))
    assert isinstance(told, DatabaseUnavailable)
    assert "another process has been writing" in str(told)
    assert "database_url" not in str(told)


def test_a_defect_of_ours_is_not_explained_away(database: Database) -> None:
    assert explain(failure(database, "SELEKT 1")) is None
    assert explain(failure(database, "INSERT INTO installation (id) VALUES (1)")) is None
    assert explain(ValueError("x")) is None


def test_an_error_shows_no_value_of_a_row(database: Database) -> None:
    with pytest.raises(DatabaseError) as caught, database.write() as session:
        session.execute(text("INSERT INTO nothing VALUES (:name)"), {"name": "Anna Reader"})
    assert "Anna" not in str(caught.value)


def test_a_writer_commits_what_ends_well_and_nothing_else(database: Database) -> None:
    writer = database.writer()
    with writer.write() as session:
        factories.newsletter(session, slug="kept")
    with pytest.raises(RuntimeError), writer.write() as session:
        factories.newsletter(session, slug="dropped")
        raise RuntimeError
    with writer.write() as session:
        assert session.scalars(select(Newsletter.slug)).all() == ["kept"]
    writer.close()


def test_a_writer_keeps_its_connection_until_it_is_lost(database: Database) -> None:
    writer = database.writer()
    used = []
    for _ in range(2):
        with writer.write() as session:
            used.append(session.connection().connection.dbapi_connection)
    assert used[0] is used[1] is not None
    used[0].close()
    with pytest.raises(SQLAlchemyError), writer.write() as session:
        session.execute(select(Newsletter.id))
    with writer.write() as session:
        factories.newsletter(session, slug="after")
    with database.read() as session:
        assert session.scalars(select(Newsletter.slug)).all() == ["after"]
    writer.close()


def test_a_temporary_table_lasts_on_a_connection_that_is_kept_and_no_longer(
    database: Database,
) -> None:
    count = text("SELECT count(*) FROM noted")
    with database.kept() as kept:
        with kept.read() as session:
            session.execute(text("CREATE TEMPORARY TABLE noted (number INTEGER)"))
            session.execute(text("INSERT INTO noted VALUES (7)"))
        with database.read() as other, pytest.raises(SQLAlchemyError):
            other.execute(count)
        with kept.write() as session:
            factories.newsletter(session)
            assert session.scalar(count) == 1
    with database.read() as session:
        assert session.query(Newsletter).count() == 1
    for _ in range(2):
        with database.read() as session, pytest.raises(SQLAlchemyError):
            session.execute(count)


def test_a_session_on_a_kept_connection_changes_nothing_when_it_fails(database: Database) -> None:
    with database.kept() as kept:
        with pytest.raises(ZeroDivisionError), kept.write() as session:
            factories.newsletter(session)
            raise ZeroDivisionError
        with kept.write() as session:
            assert session.query(Newsletter).count() == 0
    with database.write() as session:
        factories.newsletter(session)


def test_all_that_is_read_on_a_kept_connection_is_of_one_moment(database: Database) -> None:
    with database.kept() as kept, kept.read() as session:
        assert session.query(Newsletter).count() == 0
        with database.write() as other:
            factories.newsletter(other)
        assert session.query(Newsletter).count() == 0
