"""What operators are told where a database cannot be used."""

import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from mailer.db import Database, explain, is_unusable
from mailer.errors import DatabaseUnavailable, SchemaError


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


def test_a_lock_that_another_process_holds_is_told(postgresql_database: Database) -> None:
    with postgresql_database.write() as session:
        session.execute(text("LOCK TABLE installation"))
        statement = "SET LOCAL lock_timeout = 1; SELECT count(*) FROM installation"
        told = explain(failure(postgresql_database, statement))
    assert isinstance(told, DatabaseUnavailable)
    assert "another process holds a lock" in str(told)


def test_a_value_that_cannot_be_read_is_no_fault_of_the_database(database: Database) -> None:
    value = "CAST(x'ff' AS TEXT)" if database.is_sqlite else "CAST('x' AS INTEGER)"
    with pytest.raises(DatabaseError) as caught, database.read() as session:
        session.execute(text(f"SELECT {value}")).all()
    assert explain(caught.value) is None


UNUSABLE = ("57P01", "08006", "25P03", "53100", "42P01")


@pytest.mark.parametrize("state", [*UNUSABLE, "22003", "23505", "25P02", "42601"])
def test_only_the_connection_and_the_server_make_a_database_unusable(state: str) -> None:
    error = DBAPIError.instance(None, None, psycopg.errors.lookup(state)("told"), psycopg.Error)
    assert isinstance(error, DBAPIError)
    assert is_unusable(error) is (state in UNUSABLE)


def test_a_defect_of_ours_is_not_explained_away(database: Database) -> None:
    assert explain(failure(database, "SELEKT 1")) is None
    assert explain(failure(database, "INSERT INTO installation (id) VALUES (1)")) is None
    assert explain(ValueError("x")) is None
