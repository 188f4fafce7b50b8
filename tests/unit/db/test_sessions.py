"""Sessions: what they commit, what they refuse, and that SQLite's writers wait in order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import BigInteger, String, bindparam, select, text, update
from sqlalchemy.exc import DatabaseError, IntegrityError, SQLAlchemyError

from mailer.db import Database, FifoLock
from mailer.db.prepared_statements import Prepared, Queries, Query, Row
from mailer.models import Newsletter
from tests.support import factories


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


def test_a_writer_commits_queries_of_sqlite_together_or_not_at_all(
    sqlite_database: Database,
) -> None:
    writer = sqlite_database.writer()
    rename = Prepared(
        update(Newsletter)
        .values(slug=bindparam("new_slug", type_=String()))
        .returning(Newsletter.id),
        BigInteger(),
    )
    with sqlite_database.write() as session:
        row = factories.newsletter(session, slug="before").id

    def renaming(*slugs: str | None) -> Queries[list[Row]]:
        rows: list[Row] = []
        for slug in slugs:
            rows = yield Query(rename, {"new_slug": slug})
        return rows

    with pytest.raises(IntegrityError):
        writer.execute(renaming("dropped", None))
    with sqlite_database.read() as session:
        assert session.scalar(select(Newsletter.slug)) == "before"
        # Nothing waits for a lock that was left behind.
        assert writer.execute(renaming("after")) == [(row,)]
        with writer.write() as same_connection:
            assert same_connection.scalar(select(Newsletter.slug)) == "after"
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
    with database.pinned() as pinned:
        with pinned.read() as session:
            session.execute(text("CREATE TEMPORARY TABLE noted (number INTEGER)"))
            session.execute(text("INSERT INTO noted VALUES (7)"))
        with database.read() as other, pytest.raises(SQLAlchemyError):
            other.execute(count)
        with pinned.write() as session:
            factories.newsletter(session)
            assert session.scalar(count) == 1
    with database.read() as session:
        assert session.query(Newsletter).count() == 1
    for _ in range(2):
        with database.read() as session, pytest.raises(SQLAlchemyError):
            session.execute(count)


def test_a_session_on_a_kept_connection_changes_nothing_when_it_fails(database: Database) -> None:
    with database.pinned() as pinned:
        with pytest.raises(ZeroDivisionError), pinned.write() as session:
            factories.newsletter(session)
            raise ZeroDivisionError
        with pinned.write() as session:
            assert session.query(Newsletter).count() == 0
    with database.write() as session:
        factories.newsletter(session)


def test_all_that_is_read_on_a_kept_connection_is_of_one_moment(database: Database) -> None:
    with database.pinned() as pinned, pinned.read() as session:
        assert session.query(Newsletter).count() == 0
        with database.write() as other:
            factories.newsletter(other)
        assert session.query(Newsletter).count() == 0
