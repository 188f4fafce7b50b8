"""The journal's copy beside the database: complete after every commit, whole after any failure."""

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import delete, func, literal, null, select, text, update

from mailer.db import Database
from mailer.journal import copies, file, own_schema
from mailer.journal.entries import RecordedEntry
from mailer.journal.record import NewEntry, record, record_selected, silent
from mailer.models import Installation, JournalEntry, JournalKind
from tests.support.factories import NOW


def left(key_hash: str) -> NewEntry:
    return NewEntry(JournalKind.LEFT, NOW, key_hash=key_hash, newsletter="daily", reason="reader")


def act(database: Database, *names: str) -> None:
    with database.write() as session:
        record(session, [left(name) for name in names])


def in_table(database: Database) -> list[RecordedEntry]:
    with database.read() as session:
        return [
            RecordedEntry.of(row)
            for row in session.scalars(select(JournalEntry).order_by(JournalEntry.id))
        ]


def in_copy(database: Database) -> list[str | None]:
    return [entry.key_hash for entry in copies.read(database)]


def path(database: Database) -> Path:
    found = file.path_of(database.url)
    assert found is not None
    return found


def test_the_copy_says_what_the_table_says(database: Database) -> None:
    act(database, "a", "b")
    columns = JournalEntry.__table__.c
    with database.write() as session:
        at, kind = literal(NOW, columns["at"].type), literal("erased", columns["kind"].type)
        record_selected(session, select(at, kind, literal("c"), null(), null(), literal('"ü"')))
    assert list(copies.read(database)) == in_table(database)
    assert in_copy(database) == ["a", "b", "c"]
    assert copies.last_ids(database) == (3, 3)
    assert copies.complete(database) == 0


def test_what_is_rolled_back_or_silent_is_not_copied(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        record(session, [left("a")])
        raise ZeroDivisionError
    with database.write() as session, silent(session):
        record(session, [left("b")])
    assert in_copy(database) == []


def test_a_builder_and_a_writer_copy_as_well(database: Database) -> None:
    with database.pinned() as connection, connection.write() as session:
        record(session, [left("a")])
    writer = database.writer()
    with writer.write() as session:
        record(session, [left("b")])
    writer.close()
    assert in_copy(database) == ["a", "b"]


def test_what_a_killed_process_did_not_copy_comes_with_the_next_entry(
    sqlite_database: Database,
) -> None:
    act(sqlite_database, "a")
    with sqlite_database.engine.begin() as connection:
        connection.execute(
            JournalEntry.__table__.insert().values(at=NOW, kind="left", key_hash="b")
        )
    assert copies.last_ids(sqlite_database) == (2, 1)
    act(sqlite_database, "c")
    assert in_copy(sqlite_database) == ["a", "b", "c"]


def test_what_was_not_copied_is_copied_when_a_role_starts(database: Database) -> None:
    act(database, "a")
    with database.engine.begin() as connection:
        connection.execute(
            JournalEntry.__table__.insert().values(at=NOW, kind="left", key_hash="b")
        )
    assert copies.complete(database) == 1
    assert in_copy(database) == ["a", "b"]


@pytest.mark.parametrize("cut", [b'{"at":"1999-', b"\xff\x00", b'{"id":7}'])
def test_a_line_that_was_cut_is_removed(sqlite_database: Database, cut: bytes) -> None:
    act(sqlite_database, "a")
    with path(sqlite_database).open("ab") as journal:
        journal.write(cut)
    assert in_copy(sqlite_database) == ["a"]
    act(sqlite_database, "b")
    assert in_copy(sqlite_database) == ["a", "b"]
    assert cut not in path(sqlite_database).read_bytes()


def test_a_line_that_lost_its_end_is_written_again(sqlite_database: Database) -> None:
    act(sqlite_database, "a", "b")
    os.truncate(path(sqlite_database), path(sqlite_database).stat().st_size - 10)
    act(sqlite_database, "c")
    assert in_copy(sqlite_database) == ["a", "b", "c"]


def test_a_file_that_only_began_is_written_anew(sqlite_database: Database) -> None:
    path(sqlite_database).write_bytes(b'{"journ')
    act(sqlite_database, "a")
    assert in_copy(sqlite_database) == ["a"]


def test_a_file_that_was_lost_is_written_from_the_table(sqlite_database: Database) -> None:
    act(sqlite_database, "a")
    path(sqlite_database).unlink()
    assert copies.last_ids(sqlite_database) == (1, None)
    act(sqlite_database, "b")
    assert in_copy(sqlite_database) == ["a", "b"]


def test_a_line_longer_than_a_block_is_found_again(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        record(session, [NewEntry(JournalKind.DIGEST, NOW, detail="x" * 300_000)])
    act(sqlite_database, "a")
    act(sqlite_database, "b")
    assert in_copy(sqlite_database) == [None, "a", "b"]
    assert copies.last_ids(sqlite_database) == (3, 3)


def test_the_file_is_private(sqlite_database: Database) -> None:
    act(sqlite_database, "a")
    assert stat.S_IMODE(path(sqlite_database).stat().st_mode) == 0o600
    assert path(sqlite_database).name == "mailer-journal.jsonl"


def test_what_root_makes_belongs_to_the_owner_of_the_database(sqlite_database: Database) -> None:
    # Only root may give a file away; anybody else has both.
    owner = (12345, 23456) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(str(sqlite_database.url.database), *owner)
    act(sqlite_database, "a")
    made = path(sqlite_database).stat()
    assert (made.st_uid, made.st_gid) == owner


def test_two_databases_in_one_folder_have_files_of_their_own(tmp_path: Path) -> None:
    names = ["a.db", "a", "a.sqlite", "a-journal.jsonl", "a.journal.jsonl", "b.db"]
    files = {file.path_of(Database(f"sqlite:///{tmp_path / name}").url) for name in names}
    assert len(files) == len(names)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true"])
def test_a_database_that_is_no_ordinary_file_has_no_copy(url: str) -> None:
    assert file.path_of(Database(url).url) is None


def test_the_file_of_another_installation_is_moved_away(sqlite_database: Database) -> None:
    act(sqlite_database, "a")
    before = path(sqlite_database).read_bytes()
    with sqlite_database.write() as session:
        session.execute(update(Installation).values(identity_fingerprint="f" * 64))
        session.execute(delete(JournalEntry))
    assert copies.last_ids(sqlite_database) == (0, None)
    act(sqlite_database, "b")
    assert in_copy(sqlite_database) == ["b"]
    others = set(path(sqlite_database).parent.glob("mailer-journal.*.jsonl"))
    assert [other.read_bytes() for other in others] == [before]


@contextmanager
def unwritable(database: Database) -> Iterator[None]:
    """Put a folder where the file should be: nobody can open it for writing, not even root."""
    place = path(database)
    kept = place.with_name("kept")
    if place.exists():
        place.rename(kept)
    place.mkdir()
    yield
    place.rmdir()
    if kept.exists():
        kept.rename(place)


def test_an_act_whose_copy_cannot_be_written_is_done(
    sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    act(sqlite_database, "a")
    with unwritable(sqlite_database):
        act(sqlite_database, "b")
        assert "mailer-journal.jsonl cannot be written" in caplog.text
        assert len(in_table(sqlite_database)) == 2
        with pytest.raises(OSError):
            copies.complete(sqlite_database)
    act(sqlite_database, "c")
    assert in_copy(sqlite_database) == ["a", "b", "c"]


def test_half_a_write_is_taken_back(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    act(sqlite_database, "a")
    size = path(sqlite_database).stat().st_size
    write, calls = os.write, []

    def full(descriptor: int, data: memoryview) -> int:
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:20])

    monkeypatch.setattr(file.os, "write", full)
    act(sqlite_database, "b")
    monkeypatch.undo()
    assert path(sqlite_database).stat().st_size == size
    act(sqlite_database, "c")
    assert in_copy(sqlite_database) == ["a", "b", "c"]


def test_many_that_write_at_once_copy_each_entry_once(sqlite_database: Database) -> None:
    # Each has an opened database of its own, as processes have: no lock of this process orders them.
    def write(name: str) -> None:
        database = Database(str(sqlite_database.url))
        for number in range(10):
            act(database, f"{name}{number}")
        database.dispose()

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(copies.read(sqlite_database)) == in_table(sqlite_database)
    assert len(in_copy(sqlite_database)) == 40


def test_without_the_right_to_a_schema_acts_are_done_all_the_same(
    postgresql_database: Database,
) -> None:
    with postgresql_database.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA mailer_journal CASCADE"))
    act(postgresql_database, "a")
    assert copies.last_ids(postgresql_database) == (1, None)
    assert in_copy(postgresql_database) == []
    with postgresql_database.engine.begin() as connection:
        assert own_schema.create(connection)
    assert copies.complete(postgresql_database) == 1
    act(postgresql_database, "b")
    assert in_copy(postgresql_database) == ["a", "b"]


def test_the_copy_on_postgresql_outlasts_the_tables_of_the_database(
    postgresql_database: Database,
) -> None:
    act(postgresql_database, "a")
    with postgresql_database.write() as session:
        session.execute(delete(JournalEntry))
        assert session.scalar(select(func.count()).select_from(JournalEntry)) == 0
    assert in_copy(postgresql_database) == ["a"]
    assert copies.last_ids(postgresql_database) == (0, 1)


def test_a_role_that_may_not_make_the_schema_makes_none(postgresql_database: Database) -> None:
    with postgresql_database.engine.connect() as connection:
        connection.execute(text("DROP SCHEMA mailer_journal CASCADE"))
        connection.execute(text("CREATE ROLE limited"))
        connection.execute(text("SET ROLE limited"))
        assert not own_schema.create(connection)
        # A schema that somebody else owns is not one that may be used.
        connection.execute(text("RESET ROLE"))
        assert own_schema.create(connection)
        connection.execute(text("SET ROLE limited"))
        assert not own_schema.is_usable(connection)
        # Roles belong to the whole server.
        connection.rollback()
