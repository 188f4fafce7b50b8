"""A move to PostgreSQL: everything arrives as it was, numbers go on, and only one of the two can be used."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import delete, func, insert, select, text, update

from mailer import schema
from mailer.database_copies.backup import back_up
from mailer.database_copies.restore import restore
from mailer.db import Database
from mailer.errors import DatabaseMoved
from mailer.journal import copies
from mailer.models import (
    Article,
    ArticleCategory,
    Delivery,
    Edition,
    JournalEntry,
    Newsletter,
    Subscription,
    TokenBucket,
    Worker,
)
from mailer.tokens import Keys
from tests.support import factories
from tests.support.every_table import fill
from tests.support.factories import NOW
from tests.support.moves import LEASE, everything, move_to, structure


def test_everything_arrives_and_only_the_new_one_can_be_used(
    sqlite_database: Database, new: Database, postgresql_database: Database, keys: Keys
) -> None:
    fill(sqlite_database, keys)
    before = everything(sqlite_database)
    assert min(map(len, before.values())) > 0
    result = move_to(sqlite_database, new, keys)
    assert {name: table.rows for name, table in result.tables.items()} == {
        name: len(rows) for name, rows in before.items()
    }
    assert everything(new) == before
    assert everything(sqlite_database) == before
    for kind, wanted in zip(structure(new), structure(postgresql_database), strict=True):
        assert set(kind) == set(wanted)
    with schema.migration(new) as connection:
        command.check(schema.alembic_config(connection))
    schema.check(new, keys.fingerprint())
    with pytest.raises(DatabaseMoved, match=r"moved to postgresql://.*database_url"):
        schema.check(sqlite_database, keys.fingerprint())
    with pytest.raises(DatabaseMoved):
        schema.upgrade(sqlite_database, keys.fingerprint(), NOW)
    with pytest.raises(DatabaseMoved):
        move_to(sqlite_database, new, keys)


HOSTILE = (
    "",
    "\\N",
    "\\.",
    "\\",
    "\\\\t",
    "a\tb\nc\rd\be\ff\vg",
    "\r\n",
    "\x01\x1f\x7f\x85\u2028\ufeff",
    "NULL",
    "'); DROP TABLE article; --",
    "%s %(x)s {x} $1",
    "é e\u0301 ß ẞ İ ı 漢字 العربية 🙂 \U0010ffff",
    " " * 3,
    "x" * 300_000,
)
INSTANTS = (
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1900, 2, 3, 4, 5, 6, 7, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 0, 0, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, 59, 999_999, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_values_are_exactly_the_same(
    sqlite_database: Database, new: Database, keys: Keys, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", zone)
    with sqlite_database.write() as session:
        newsletter = factories.newsletter(session, closed=True, pictures=False)
        factories.schedule(session, newsletter, max_age=None, max_lateness=timedelta(days=3))
        for number, words in enumerate(HOSTILE):
            at = INSTANTS[number % len(INSTANTS)]
            row = factories.article(
                session,
                newsletter,
                title=words,
                summary_html=words,
                author=words or None,
                updated_at=at,
            )
            session.add(ArticleCategory(article_id=row.id, category=words[:100]))
        for public_id in (-(2**63), -1, 0, 2**63 - 1):
            address = f"reader{public_id % 1000}@example.com"
            factories.subscriber(session, keys, address, public_id=public_id)
        # SQL writes no fraction of the second.
        session.execute(
            text("UPDATE installation SET created_at = '2026-11-24 06:00:00', paused_reason = ''")
        )
    before = everything(sqlite_database)
    move_to(sqlite_database, new, keys)
    monkeypatch.delenv("PGTZ")
    new.dispose()
    assert everything(new) == before


@pytest.mark.parametrize(
    "tokens", [0.0, -2.5, 100.0, 1e-4, 0.1 + 0.2, 99999.99999999999, 123456789012.5]
)
def test_tokens_of_the_rate_are_exactly_the_same(
    sqlite_database: Database, new: Database, keys: Keys, tokens: float
) -> None:
    with sqlite_database.write() as session:
        session.add(TokenBucket(id=1, tokens=tokens, filled_at=NOW))
    move_to(sqlite_database, new, keys)
    with new.read() as session:
        assert session.scalar(select(TokenBucket.tokens)) == tokens


def test_no_number_is_used_twice(sqlite_database: Database, new: Database, keys: Keys) -> None:
    fill(sqlite_database, keys)
    with sqlite_database.write() as session:
        edition = session.scalars(select(Edition)).one()
        subscription = session.scalars(select(Subscription)).one()
        session.execute(delete(Delivery))
        last = factories.delivery(session, edition, subscription, id=41)
        session.delete(last)
    move_to(sqlite_database, new, keys)
    with new.write() as session:
        assert factories.delivery(session, edition, subscription).id == 42
        largest = session.scalar(select(func.max(Article.id))) or 0
        assert factories.article(session).id == largest + 1


def test_the_journal_and_its_copy_come_along(
    sqlite_database: Database, new: Database, keys: Keys
) -> None:
    fill(sqlite_database, keys)
    move_to(sqlite_database, new, keys)
    with new.read() as session:
        ids = list(session.scalars(select(JournalEntry.id).order_by(JournalEntry.id)))
    assert ids
    assert [entry.id for entry in copies.read(new)] == ids
    assert copies.last_ids(new) == (ids[-1], ids[-1])


def test_a_backup_from_before_the_move_does_not_know_what_happened_at_the_new_one(
    sqlite_database: Database, new: Database, keys: Keys, fast_folder: Path
) -> None:
    fill(sqlite_database, keys)
    copies.complete(sqlite_database)
    backup, place = fast_folder / "backup.db", Path(sqlite_database.url.database or "")
    options = {"fingerprint": keys.fingerprint(), "now": NOW}
    back_up(sqlite_database, backup, **options, on_progress=lambda *_: None, is_stopping=never)
    move_to(sqlite_database, new, keys)
    sqlite_database.dispose()
    place.unlink()
    done = restore(sqlite_database, backup, **options, lease=LEASE, is_stopping=never)
    assert done.journal.copy
    assert done.journal.is_lost


def never() -> bool:
    return False


def test_from_one_postgresql_to_another(
    postgresql_database: Database, new: Database, keys: Keys
) -> None:
    fill(postgresql_database, keys)
    with postgresql_database.write() as session:
        session.execute(update(Worker).values(stopped_at=NOW))
        session.execute(text("SELECT setval('delivery_id_seq', 500)"))
        session.execute(insert(Newsletter.__table__).from_select(*_copied_newsletter()))
    before = everything(postgresql_database)
    postgresql_database.dispose()
    move_to(postgresql_database, new, keys)
    assert everything(new) == before
    with new.write() as session:
        assert session.scalar(text("SELECT nextval('delivery_id_seq')")) == 501
    with pytest.raises(DatabaseMoved):
        schema.check(postgresql_database, keys.fingerprint())


def _copied_newsletter() -> tuple[list[str], Any]:
    """A second newsletter with a title whose letters COPY has to write in another way."""
    columns = [
        c for c in Newsletter.__table__.c if c.name not in {"id", "slug", "list_id", "title"}
    ]
    names = [*(c.name for c in columns), "slug", "list_id", "title"]
    other = (text("'other'"), text("'other.example'"), text("E'a\\\\\\tb\\n\\\\\\\\N'"))
    return names, select(*columns, *other).limit(1)
