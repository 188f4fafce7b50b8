"""Migrations: they make what the models say, keep the rows, and let nobody work on another schema."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, UniqueConstraint, delete, func, inspect, select, text, update

from mailer import schema
from mailer.db import SQLITE_ONLY, Base, Database
from mailer.errors import Refused, SchemaError, SettingsError
from mailer.models import (
    BLOCK_SIZE,
    Article,
    Delivery,
    Digest,
    DigestStatus,
    Edition,
    Feed,
    HeldItem,
    Installation,
    Schedule,
    Subscription,
)
from mailer.tokens import Keys
from tests.support import factories
from tests.support.every_table import fill, held
from tests.support.factories import NOW

BOTH = pytest.mark.parametrize("empty_database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    """An empty database, opened."""
    database = Database(empty_database_url)
    yield database
    database.dispose()


@pytest.fixture
def created(empty: Database, keys: Keys) -> Database:
    """A database whose schema was made by its migrations, and not copied; parametrise as `empty`."""
    schema.create(empty, keys.fingerprint(), NOW)
    return empty


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)


def counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }


def run(database: Database, action: Any, *arguments: str) -> None:
    with schema.migration(database) as connection:
        action(schema.alembic_config(connection), *arguments)


@BOTH
def test_up_down_and_up_again_with_rows_in_every_table(created: Database, keys: Keys) -> None:
    run(created, command.check)
    fill(created, keys)
    full = counts(created)
    assert min(full.values()) > 0, full
    run(created, command.downgrade, "base")
    with created.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    assert schema.upgrade(created, keys.fingerprint(), NOW) == (None, schema.head())
    run(created, command.check)
    fill(created, keys)
    assert counts(created) == full


@BOTH
def test_the_check_can_fail(created: Database) -> None:
    with created.write() as session:
        session.execute(text("DROP INDEX ix_delivery_waiting"))
        session.execute(text("ALTER TABLE newsletter DROP COLUMN color"))
    with pytest.raises(Exception, match=r"ix_delivery_waiting.*color|color.*ix_delivery_waiting"):
        run(created, command.check)


def test_every_constraint_and_index_has_a_name() -> None:
    for table in Base.metadata.sorted_tables:
        assert all(index.name for index in table.indexes), table.name
        for constraint in table.constraints:
            assert constraint.name, (table.name, constraint)


def test_what_refers_to_rows_that_are_purged_is_found_by_an_index() -> None:
    """Else each row that is purged costs a look at all of a table: seconds, with the write lock held."""
    without = []
    for table in Base.metadata.sorted_tables:
        keys = [table.primary_key.columns.keys(), *(one.columns.keys() for one in table.indexes)]
        keys += [
            one.columns.keys() for one in table.constraints if isinstance(one, UniqueConstraint)
        ]
        without += [
            f"{table.name}.{key.parent.name}"
            for key in table.foreign_keys
            if key.column.table.name
            in {"signup", "notice", "delivery", "bounce_event", "edits", "review"}
            and not any(names[:1] == [key.parent.name] for names in keys)
        ]
    assert without == []


@BOTH
def test_names_are_the_same_in_the_database(created: Database) -> None:
    with created.engine.connect() as connection:
        found = inspect(connection)
        for table in Base.metadata.sorted_tables:
            named = {index["name"] for index in found.get_indexes(table.name)}
            named |= {key["name"] for key in found.get_foreign_keys(table.name)}
            named |= {key["name"] for key in found.get_unique_constraints(table.name)}
            named |= {key["name"] for key in found.get_check_constraints(table.name)}
            named.add(found.get_pk_constraint(table.name)["name"])
            wanted = {index.name for index in table.indexes}
            wanted |= {
                constraint.name
                for constraint in table.constraints
                if created.is_sqlite or not constraint.info.get(SQLITE_ONLY)
            }
            if created.is_sqlite and table.dialect_options["sqlite"]["autoincrement"]:
                # SQLite takes AUTOINCREMENT only beside the column, where a key has no name.
                wanted.discard(table.primary_key.name)
            assert wanted <= named, table.name


def test_there_is_one_line_of_migrations_and_the_number_of_the_last_is_its_end() -> None:
    class Nobody:
        pass

    scripts = ScriptDirectory.from_config(schema.alembic_config(Nobody()))  # type: ignore[arg-type]
    assert scripts.get_heads() == [schema.head()]
    assert all(
        Path(script.path).name.startswith(f"{script.revision}_")
        for script in scripts.walk_revisions()
    )


def test_an_upgrade_of_a_current_schema_changes_nothing(database: Database, keys: Keys) -> None:
    fill(database, keys)
    before = counts(database)
    assert schema.upgrade(database, keys.fingerprint(), NOW) == (schema.head(), schema.head())
    assert counts(database) == before


@BOTH
def test_two_upgrades_at_once_are_one(empty: Database, keys: Keys) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "MAILER_DATABASE_URL": empty.url.render_as_string(hide_password=False),
        "MAILER_SECRET_KEY": "s" * 40,
        "MAILER_IDENTITY_KEY": "i" * 40,
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "mailer", "db", "upgrade"],
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = sorted(process.communicate()[1] for process in processes)
    assert [process.returncode for process in processes] == [0, 0], told
    assert [line.split()[0] for line in told] == ["the", "upgraded"]
    assert schema.current(empty) == schema.head()


def test_rows_survive_when_the_table_they_refer_to_is_made_anew(
    database: Database, keys: Keys
) -> None:
    fill(database, keys)
    before = counts(database)
    with schema.migration(database) as connection:
        operations = Operations(MigrationContext.configure(connection))
        recreate = "always" if database.is_sqlite else "never"
        with operations.batch_alter_table("newsletter", recreate=recreate) as batch:
            batch.alter_column("title", nullable=True)
    assert counts(database) == before
    assert before["newsletter_article"] > 0


def test_a_migration_that_leaves_dangling_references_is_undone(
    sqlite_database: Database, keys: Keys
) -> None:
    fill(sqlite_database, keys)
    before = counts(sqlite_database)
    with (
        pytest.raises(SchemaError, match="nothing was changed"),
        schema.migration(sqlite_database) as connection,
    ):
        connection.execute(text("DELETE FROM newsletter"))
    assert counts(sqlite_database) == before
    with sqlite_database.read() as session:
        assert session.scalar(text("PRAGMA foreign_keys")) == 1


def set_version(connection: Connection, version: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": version})


def test_a_current_schema_is_accepted(database: Database, keys: Keys) -> None:
    schema.check(database, keys.fingerprint())


def test_an_old_schema_is_refused_with_the_command_to_run_and_a_newer_one_never_upgraded(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        set_version(session.connection(), "0000")
    with pytest.raises(SchemaError, match="mailer db upgrade"):
        schema.check(database, keys.fingerprint())
    with database.write() as session:
        set_version(session.connection(), "9999")
    with pytest.raises(SchemaError, match="newer"):
        schema.check(database, keys.fingerprint())
    with pytest.raises(SchemaError, match="newer"):
        schema.upgrade(database, keys.fingerprint(), NOW)


@BOTH
def test_an_empty_database_is_refused(empty: Database, keys: Keys) -> None:
    if empty.is_sqlite:
        Path(empty.url.database or "").touch()
    with pytest.raises(SchemaError, match="mailer db upgrade"):
        schema.check(empty, keys.fingerprint())


def test_a_missing_file_is_refused_and_not_made(fast_folder: Path, keys: Keys) -> None:
    path = fast_folder / "nothing.db"
    with pytest.raises(SchemaError, match="mailer db upgrade"):
        schema.check(Database(f"sqlite:///{path}"), keys.fingerprint())
    assert not path.exists()


def test_a_database_of_another_identity_key_is_refused(database: Database) -> None:
    other = Keys(secrets=(b"s" * 32,), identity=b"another" * 6).fingerprint()
    with pytest.raises(SettingsError, match="identity_key does not belong"):
        schema.check(database, other)
    with pytest.raises(SettingsError, match="identity_key does not belong"):
        schema.upgrade(database, other, NOW)


def test_a_database_in_use_is_not_made_again(database: Database, keys: Keys) -> None:
    with pytest.raises(Refused, match="in use already"):
        schema.create(database, keys.fingerprint(), NOW + timedelta(days=1))
    with database.read() as session:
        assert session.scalar(select(Installation.created_at)) == NOW


def test_a_new_sqlite_file_is_private(fast_folder: Path, keys: Keys) -> None:
    path = fast_folder / "new.db"
    database = Database(f"sqlite:///{path}")
    schema.create(database, keys.fingerprint(), NOW)
    database.dispose()
    assert path.stat().st_mode & 0o777 == 0o600


@BOTH
def test_where_pictures_come_from_is_kept(created: Database) -> None:
    run(created, command.downgrade, "0004")
    columns = "url, title, allow_private, images, etag, failures, next_fetch_at, created_at"
    with created.write() as session:
        for url, images, etag in (("a", "true", "NULL"), ("b", "false", "'1'")):
            at = "'2026-11-24 06:00:00+00'"
            session.execute(
                text(
                    f"INSERT INTO feed ({columns})"
                    f" VALUES ('{url}', '', false, {images}, {etag}, 0, {at}, {at})"
                )
            )
    run(created, command.upgrade, "head")
    with created.engine.connect() as connection:
        found = connection.execute(
            text("SELECT url, image_source, validators_url FROM feed ORDER BY url")
        ).all()
        assert [tuple(row) for row in found] == [("a", "feed", None), ("b", "none", "b")]
    run(created, command.downgrade, "0004")
    with created.engine.connect() as connection:
        images = connection.execute(text("SELECT images FROM feed ORDER BY url")).scalars().all()
        assert [bool(shown) for shown in images] == [True, False]


@BOTH
def test_a_ledger_keeps_its_rows_and_numbers_when_words_of_editions_are_added(
    created: Database, keys: Keys
) -> None:
    fill(created, keys)
    with created.write() as session:
        edition = session.scalars(select(Edition)).one()
        last = session.scalars(select(Delivery.id)).one()
    run(created, command.downgrade, "0007")
    run(created, command.upgrade, "head")
    run(created, command.check)
    with created.write() as session:
        kept = session.scalars(select(Delivery)).one()
        assert (kept.id, kept.edition_id) == (last, edition.id)
        assert kept.edition_block == edition.id // BLOCK_SIZE
        # A number that was used once is not used again.
        session.execute(delete(Delivery))
        subscription = session.scalars(select(Subscription)).one()
        assert factories.delivery(session, edition, subscription).id > last


@BOTH
def test_what_failed_before_bounces_were_read_is_not_judged(created: Database, keys: Keys) -> None:
    fill(created, keys)
    with created.write() as session:
        finished = session.scalars(select(Digest)).one()
        finished.status, finished.finished_at = DigestStatus.SENT, NOW
        schedule = session.get_one(Schedule, finished.schedule_id)
        factories.digest(session, schedule, due_at=NOW + timedelta(days=1))
    run(created, command.downgrade, "0013")
    run(created, command.upgrade, "head")
    run(created, command.check)
    with created.read() as session:
        read = session.scalars(select(Digest.failures_read_at).order_by(Digest.id)).all()
    assert list(read) == [NOW, None]


@BOTH
def test_rows_that_refer_to_nothing_are_found(created: Database, keys: Keys) -> None:
    fill(created, keys)
    assert schema.dangling_references(created) == {}
    with created.engine.connect() as connection:
        if created.is_sqlite:
            # Outside of a transaction, or it does nothing.
            connection.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        connection.execute(update(Delivery).values(subscription_id=99, edition_id=98))
        connection.execute(update(Subscription).values(first_digest_id=97))
        connection.commit()
        connection.invalidate()
    assert schema.dangling_references(created) == {"delivery": 2, "subscription": 1}


@BOTH
def test_pieces_are_known_by_the_addresses_that_feeds_are_read_with(
    created: Database, keys: Keys
) -> None:
    fill(created, keys)
    before = [
        "https://news.example/fair/",
        "https://news.example/twice",
        "https://news.example/twice/",
        "https://news.example/plain?id=7",
    ]
    with created.write() as session:
        session.execute(delete(HeldItem))
        feed = session.scalars(select(Feed)).one()
        for url in before:
            factories.article(session, url=url, canonical_url=url)
            session.add(held(feed, url))
    run(created, command.downgrade, "0008")
    run(created, command.upgrade, "head")
    wanted = {"https://news.example/fair", *before[1:]}
    with created.read() as session:
        assert set(session.scalars(select(HeldItem.canonical_url))) == wanted
        assert wanted <= set(session.scalars(select(Article.canonical_url)))
