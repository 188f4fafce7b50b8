"""What was deleted is in none of SQLite's files afterwards."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from mailer.db import Database, wiping
from mailer.db.wiping import empty_wal, wipe
from mailer.errors import Refused
from tests.support.traces import files_with

SECRET = "anna-the-secret-reader"


def folder_of(database: Database) -> Path:
    return Path(str(database.url.database)).parent


def write_and_delete(database: Database) -> None:
    """Fill pages with the word, indexes and overflow pages too, and delete all of it."""
    with database.write() as session:
        session.execute(text("CREATE TABLE spoken (id INTEGER PRIMARY KEY, word TEXT UNIQUE)"))
    with database.write() as session:
        for number in range(200):
            word = f"{SECRET} {number} {'x' * (number * 100)}"
            session.execute(text("INSERT INTO spoken (word) VALUES (:word)"), {"word": word})
    with database.write() as session:
        session.execute(text("DELETE FROM spoken"))


def delete_as_an_older_version_did(database: Database) -> None:
    with sqlite3.connect(str(database.url.database)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE old (word TEXT)")
        rows = [(f"{SECRET} {number}",) for number in range(1000)]
        connection.executemany("INSERT INTO old VALUES (?)", rows)
        connection.commit()
        connection.execute("DROP TABLE old")
        connection.commit()
    connection.close()


def test_what_was_deleted_is_in_no_file(sqlite_database: Database) -> None:
    folder = folder_of(sqlite_database)
    write_and_delete(sqlite_database)
    assert files_with(folder, SECRET) == ["mailer.db-wal"]
    assert wipe(sqlite_database) is None
    assert files_with(folder, SECRET) == []


def test_what_is_deleted_is_overwritten_without_rewriting_the_file(
    sqlite_database: Database,
) -> None:
    folder = folder_of(sqlite_database)
    write_and_delete(sqlite_database)
    assert empty_wal(sqlite_database, wait_seconds=1)
    assert files_with(folder, SECRET) == []


def test_a_large_file_is_rewritten_only_on_request(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(sqlite_database)
    delete_as_an_older_version_did(sqlite_database)
    monkeypatch.setattr(wiping, "LARGE", 4096)
    said = wipe(sqlite_database)
    assert said is not None
    assert "--vacuum" in said
    assert files_with(folder, SECRET) == ["mailer.db"]
    assert wipe(sqlite_database, rewrite_large=True) is None
    assert files_with(folder, SECRET) == []


def test_a_reader_that_holds_the_wal_is_named_and_repeating_is_enough(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiping, "LARGE", 0)
    other = sqlite3.connect(str(sqlite_database.url.database), isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM subscriber").fetchone()
    write_and_delete(sqlite_database)
    assert not empty_wal(sqlite_database, wait_seconds=0)
    other.execute("COMMIT")
    other.close()
    assert empty_wal(sqlite_database, wait_seconds=0)
    with sqlite_database.read() as session:
        assert session.scalar(text("PRAGMA busy_timeout")) == 30_000


def test_a_file_that_cannot_be_rewritten_is_told_and_what_was_deleted_is(
    sqlite_database: Database,
) -> None:
    write_and_delete(sqlite_database)
    other = sqlite3.connect(str(sqlite_database.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with sqlite_database.alone() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    with pytest.raises(Refused, match="repeat the command"):
        wipe(sqlite_database)
    other.execute("ROLLBACK")
    other.close()
    assert wipe(sqlite_database) is None


def test_on_postgresql_nothing_is_done(postgresql_database: Database) -> None:
    assert wipe(postgresql_database, rewrite_large=True) is None
    assert empty_wal(postgresql_database, wait_seconds=0)
