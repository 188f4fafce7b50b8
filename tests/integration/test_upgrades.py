"""An upgrade from the first schema, with rows as its version wrote them: they survive, and work goes on."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, func, inspect, select, text

from mailer import schema
from mailer.db import Base, Database
from mailer.demo import browser
from mailer.models import Delivery, DeliveryStatus, Subscriber, Subscription
from mailer.tokens import Keys, Purpose
from tests.support.factories import NOW
from tests.support.processes import (
    ROOT,
    accepted,
    environment,
    is_up,
    killed_in_the_end,
    receiving,
    start_mailer,
)
from tests.support.waiting import wait_until

FIRST = Path(__file__).parents[1] / "data" / "schemas" / "first.sql"
BOTH = pytest.mark.parametrize("empty_database_url", ["sqlite", "postgresql"], indirect=True)

pytestmark = pytest.mark.thorough


@pytest.fixture
def first(empty_database_url: str, keys: Keys) -> Iterator[Database]:
    """A database with the first schema, and rows in all its tables."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    database = Database(empty_database_url)
    to(database, "0001")
    rows = FIRST.read_text().replace(":fingerprint", f"'{keys.fingerprint()}'")
    for name in ("ann", "bob", "carl", "dora"):
        key_hash = keys.key_hash(f"{name}@example.com")
        rows = rows.replace(f":{name}", f"'{key_hash}'")
    with database.write() as session:
        for line in rows.splitlines():
            if line.startswith("INSERT"):
                session.connection().exec_driver_sql(line)
        if not database.is_sqlite:
            continue_numbers(session)
    yield database
    database.dispose()


def continue_numbers(session: Any) -> None:
    """Number the next rows after these, as if PostgreSQL had numbered them."""
    for name in inspect(session.connection()).get_table_names():
        sequence = session.scalar(
            text(
                "SELECT CASE WHEN EXISTS (SELECT FROM information_schema.columns WHERE table_name = :name"
                " AND column_name = 'id') THEN pg_get_serial_sequence(:name, 'id') END"
            ),
            {"name": name},
        )
        if sequence:
            session.execute(text(f"SELECT setval('{sequence}', (SELECT max(id) FROM {name}))"))


def to(database: Database, revision: str) -> None:
    with schema.migration(database) as connection:
        command.upgrade(schema.alembic_config(connection), revision)


def upgrade(database: Database, keys: Keys, *, in_steps: bool) -> None:
    if in_steps:
        with database.engine.connect() as connection:
            scripts = ScriptDirectory.from_config(schema.alembic_config(connection))
            revisions = sorted(script.revision for script in scripts.walk_revisions())
        for revision in revisions[1:]:
            to(database, revision)
    else:
        assert schema.upgrade(database, keys.fingerprint(), NOW) == ("0001", schema.head())


def old_rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the first schema's tables, in the columns that it has and the current one keeps."""
    found = MetaData()
    with database.engine.connect() as connection:
        found.reflect(connection)
        return {
            table.name: sorted(
                map(tuple, connection.execute(select(*(table.c[name] for name in kept)))), key=repr
            )
            for table in found.sorted_tables
            if table.name in COLUMNS
            for kept in [COLUMNS[table.name]]
        }


def columns() -> dict[str, list[str]]:
    """The columns of each table of the first schema that the current one still has, by the fixture's file."""
    found: dict[str, set[str]] = {}
    for line in FIRST.read_text().splitlines():
        if line.startswith("INSERT INTO "):
            table, _, rest = line.removeprefix("INSERT INTO ").partition(" (")
            found.setdefault(table, set()).update(rest.partition(")")[0].split(", "))
    return {
        table: sorted(names & set(Base.metadata.tables[table].c.keys()))
        for table, names in found.items()
    }


COLUMNS = columns()


def test_the_rows_of_the_first_version_are_in_every_table_that_it_had() -> None:
    source = next((ROOT / "migrations" / "versions").glob("0001_*.py")).read_text()
    made = source.partition("def downgrade")[0].count("op.create_table(")
    assert len(COLUMNS) == made


@BOTH
@pytest.mark.parametrize("in_steps", [False, True], ids=["at once", "in steps"])
def test_rows_survive_and_the_schema_is_that_of_the_models(
    first: Database, keys: Keys, in_steps: bool
) -> None:
    before = old_rows(first)
    assert all(before.values())
    upgrade(first, keys, in_steps=in_steps)
    with schema.migration(first) as connection:
        command.check(schema.alembic_config(connection))
    assert schema.dangling_references(first) == {}
    assert old_rows(first) == before
    schema.check(first, keys.fingerprint())
    with first.read() as session:
        # What later versions added is filled, and can be read by the models.
        for table in Base.metadata.sorted_tables:
            session.execute(select(table)).all()
        assert (
            session.scalars(select(Delivery.edition_block).order_by(Delivery.id)).all() == [0] * 3
        )
        assert session.scalar(select(func.count()).select_from(Subscriber)) == 2


@BOTH
def test_what_was_begun_then_is_finished_now_and_links_of_then_work(
    first: Database, keys: Keys, fast_folder: Path, free_port: int
) -> None:
    upgrade(first, keys, in_steps=False)
    first.dispose()
    base = f"http://127.0.0.1:{free_port}"
    settings = {"port": str(free_port), "base_url": base}

    def ask(*words: str) -> Any:
        own = environment(first, keys, 25, settings) | {"PYTHONPATH": str(ROOT)}
        ended = subprocess.run(
            [sys.executable, "-m", "mailer", *words, "--json"],
            env=own,
            cwd=fast_folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    assert ask("db", "check")["ok"] is True
    assert ask("status")["paused_at"] is None
    assert ask("digest", "plan", "daily/morning")["newsletter"] == "daily"
    assert ask("digest", "show", "1")["status"] == "sent"
    assert ask("subscriber", "show", "ann@example.com")["address"].lower() == "ann@example.com"
    file, log = fast_folder / "received", fast_folder / "log"
    with receiving(file) as relay:
        roles = start_mailer(first, keys, relay, log, "web", "worker", **settings)
        with killed_in_the_end(roles):
            wait_until(lambda: is_up(free_port))
            wait_until(lambda: any(mail["digest"] == "2" for mail in accepted(file)))
            left = browser.post(
                f"{base}/unsubscribe/{keys.make(Purpose.UNSUBSCRIBE, 2001)}",
                {"List-Unsubscribe": "One-Click"},
            )
            confirmed = browser.post(f"{base}/confirm/{keys.make(Purpose.CONFIRM, 3001)}", {})
            assert (left.status, confirmed.status) == (200, 200), log.read_text()
            wait_until(lambda: ask("digest", "show", "2")["status"] == "sent")
    digests = [mail for mail in accepted(file) if mail["digest"] is not None]
    assert [(mail["to"], mail["digest"]) for mail in digests] == [("bob@example.com", "2")]
    with first.read() as session:
        assert set(session.scalars(select(Delivery.status))) == {DeliveryStatus.SENT}
        gone = select(Subscription.public_id).where(Subscription.left_at.is_not(None))
        assert session.scalars(gone).all() == [2001]
        assert session.scalar(select(func.count()).select_from(Subscription)) == 3
