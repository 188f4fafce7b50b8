"""`mailer status` warns while a restore could not be told everything."""

from sqlalchemy import text

from mailer.db import Database
from mailer.journal import file
from mailer.journal.record import NewEntry, record
from mailer.models import JournalKind
from mailer.monitoring.journal_copy import journal_warnings
from tests.support.factories import NOW


def act(database: Database) -> None:
    with database.write() as session:
        record(session, [NewEntry(JournalKind.LIFTED, NOW, "a")])


def test_nothing_is_said_while_the_copy_is_complete(database: Database) -> None:
    assert journal_warnings(database) == []
    act(database)
    assert journal_warnings(database) == []


def test_entries_that_could_not_be_copied_are_counted(sqlite_database: Database) -> None:
    path = file.path_of(sqlite_database.url)
    assert path is not None
    path.mkdir()
    act(sqlite_database)
    [warning] = journal_warnings(sqlite_database)
    assert "cannot be read" in warning
    path.rmdir()
    [warning] = journal_warnings(sqlite_database)
    assert warning.startswith("1 entry is missing in the journal mailer-journal.jsonl")
    act(sqlite_database)
    assert journal_warnings(sqlite_database) == []


def test_a_role_that_may_not_make_the_schema_is_told(postgresql_database: Database) -> None:
    with postgresql_database.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA mailer_journal CASCADE"))
    act(postgresql_database)
    [warning] = journal_warnings(postgresql_database)
    assert "grant CREATE" in warning
