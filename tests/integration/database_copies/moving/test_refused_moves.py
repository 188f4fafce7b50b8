"""What a move refuses, before anything is changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text, update

from mailer import schema
from mailer.database_copies.moving import move as move_module
from mailer.database_copies.moving.move import ChecksumMismatch
from mailer.db import Database
from mailer.errors import DatabaseMoved, DatabaseUnavailable, Refused
from mailer.journal import copies, file
from mailer.models import Delivery, Installation
from mailer.tokens import Keys
from tests.support import factories
from tests.support.every_table import fill
from tests.support.factories import NOW
from tests.support.moves import move_to


def is_untouched(old: Database, new: Database, keys: Keys) -> None:
    schema.check(old, keys.fingerprint())
    with new.read() as session:
        tables = (
            "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text"
        )
        assert session.scalar(text(f"{tables} IN ('public', 'mailer_journal')")) == 0


def test_texts_that_postgresql_cannot_store_are_named_and_nothing_is_changed(
    sqlite_database: Database, new: Database, keys: Keys
) -> None:
    with sqlite_database.write() as session:
        first, second = factories.articles(session, 2)
        session.execute(
            text("UPDATE article SET title = 'a' || char(0) || 'b' WHERE id = :id"),
            {"id": first.id},
        )
        session.execute(
            text("UPDATE article SET author = CAST(x'eda080' AS TEXT) WHERE id = :id"),
            {"id": second.id},
        )
        factories.newsletter(session, title="a\0b")
    with pytest.raises(Refused) as refused:
        move_to(sqlite_database, new, keys)
    for named in (
        f"article.title of the row {first.id} (a NUL character)",
        f"article.author of the row {second.id} (not UTF-8)",
        "newsletter.title of the row 1 (a NUL character)",
        "cannot store 3 texts",
    ):
        assert named in str(refused.value)
    is_untouched(sqlite_database, new, keys)


def test_a_row_that_arrives_changed_is_noticed_and_nothing_is_changed(
    sqlite_database: Database, new: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_database, keys)
    write = move_module.write_lines

    def change(connection: Any, table: Any, chunks: Any) -> None:
        is_chosen = table.name == "newsletter"
        write(
            connection, table, (c.replace(b"Daily", b"Dally") if is_chosen else c for c in chunks)
        )

    monkeypatch.setattr(move_module, "write_lines", change)
    with pytest.raises(ChecksumMismatch, match=r"newsletter \(1 and 1 rows\)"):
        move_to(sqlite_database, new, keys)
    is_untouched(sqlite_database, new, keys)


def test_numbers_that_would_not_go_on_are_noticed(
    sqlite_database: Database, new: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite_database, keys)
    monkeypatch.setattr(move_module, "continue_numbers", lambda _connection, _last: None)
    with pytest.raises(ChecksumMismatch, match="number rows"):
        move_to(sqlite_database, new, keys)
    is_untouched(sqlite_database, new, keys)


def test_a_reference_to_a_missing_row_is_refused_before_anything_is_written(
    sqlite_database: Database, new: Database, keys: Keys
) -> None:
    fill(sqlite_database, keys)
    with sqlite_database.engine.connect() as connection:
        connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        connection.execute(update(Delivery).values(subscription_id=99))
        connection.commit()
        connection.invalidate()
    with pytest.raises(Refused, match=r"1 row that refers to a missing one.*db check"):
        move_to(sqlite_database, new, keys)
    is_untouched(sqlite_database, new, keys)


def test_a_database_that_is_not_empty_is_refused(
    sqlite_database: Database, postgresql_database: Database, keys: Keys
) -> None:
    with pytest.raises(Refused, match="not empty"):
        move_to(sqlite_database, postgresql_database, keys)
    schema.check(sqlite_database, keys.fingerprint())


def test_what_another_command_moved_a_moment_ago_is_not_moved_a_second_time(
    sqlite_database: Database, new: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = move_module.exclusive

    @contextmanager
    def after_another(database: Database, **options: Any) -> Iterator[Connection]:
        with database.write() as session:
            session.execute(update(Installation).values(moved_to="postgresql://x", moved_at=NOW))
        with real(database, **options) as connection:
            yield connection

    monkeypatch.setattr(move_module, "exclusive", after_another)
    with pytest.raises(DatabaseMoved):
        move_to(sqlite_database, new, keys)
    with new.read() as session:
        assert not inspect(session.connection()).get_table_names()


def test_the_database_itself_is_no_place_to_move_to(
    postgresql_database: Database, keys: Keys
) -> None:
    with pytest.raises(Refused, match="this database itself"):
        move_to(postgresql_database, postgresql_database, keys)


def test_a_new_database_that_somebody_uses_is_refused(
    sqlite_database: Database, new: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailer.database_copies.exclusive._LOOKS", 1)
    other = Database(new.url.render_as_string(hide_password=False))
    with (
        other.engine.connect() as connection,
        pytest.raises(Refused, match="the new database is in use"),
    ):
        connection.execute(text("SELECT 1"))
        move_to(sqlite_database, new, keys)
    other.dispose()
    is_untouched(sqlite_database, new, keys)


def test_sqlite_is_no_place_to_move_to(
    sqlite_database: Database, fast_folder: Path, keys: Keys
) -> None:
    other = Database(f"sqlite:///{fast_folder / 'other.db'}")
    with pytest.raises(Refused, match="PostgreSQL only"):
        move_to(sqlite_database, other, keys)
    schema.check(sqlite_database, keys.fingerprint())
    assert not (fast_folder / "other.db").exists()


def test_a_place_that_cannot_be_reached_is_named_without_its_password(
    sqlite_database: Database, free_port: int, keys: Keys
) -> None:
    url = f"postgresql://mailer:geheim@127.0.0.1:{free_port}/mailer?sslpassword=geheim"
    with pytest.raises(DatabaseUnavailable, match="the new database") as refused:
        move_to(sqlite_database, Database(url), keys)
    assert "geheim" not in str(refused.value)
    assert f"mailer@127.0.0.1:{free_port}/mailer" in str(refused.value)
    schema.check(sqlite_database, keys.fingerprint())


def test_a_database_without_all_characters_is_refused(
    sqlite_database: Database, new: Database, keys: Keys
) -> None:
    name = f"{new.url.database}_latin"
    options = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    outside_transactions(new, f"CREATE DATABASE {name} {options}")
    latin = Database(new.url.set(database=name).render_as_string(hide_password=False))
    try:
        with pytest.raises(Refused, match=r"LATIN1.*--encoding UTF8"):
            move_to(sqlite_database, latin, keys)
    finally:
        latin.dispose()
        outside_transactions(new, f"DROP DATABASE {name} WITH (FORCE)")


def outside_transactions(database: Database, statement: str) -> None:
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))


def test_a_user_who_may_not_make_tables_is_told_so(
    sqlite_database: Database, new: Database, keys: Keys
) -> None:
    user = f"guest_{new.url.database}"
    with new.engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {user} LOGIN"))
    new.dispose()
    try:
        with pytest.raises(Refused, match="createdb --owner"):
            move_to(sqlite_database, Database(str(new.url.set(username=user))), keys)
    finally:
        with new.engine.begin() as connection:
            connection.execute(text(f"DROP ROLE {user}"))
    is_untouched(sqlite_database, new, keys)


def test_a_journal_that_is_ahead_of_the_database_is_taken_in_first(
    sqlite_database: Database, new: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "last_ids", lambda _database: (3, 5))
    with pytest.raises(Refused, match="older than the journal"):
        move_to(sqlite_database, new, keys)
    is_untouched(sqlite_database, new, keys)


def test_a_place_with_a_journal_of_an_earlier_move_is_not_empty(
    sqlite_database: Database, new: Database, keys: Keys
) -> None:
    fill(sqlite_database, keys)
    move_to(sqlite_database, new, keys)
    with sqlite_database.write() as session:
        session.execute(update(Installation).values(moved_at=None, moved_to=None))
    if (journal := file.path_of(sqlite_database.url)) is not None:
        journal.unlink()
    with new.write() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    with pytest.raises(Refused, match="mailer_journal"):
        move_to(sqlite_database, new, keys)
