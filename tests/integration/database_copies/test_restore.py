"""A database that comes back from a backup: what must not be undone is done again, and nothing is lost."""

import gzip
import os
import sqlite3
import stat
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from mailer import schema
from mailer.database_copies.backup import back_up
from mailer.database_copies.restore import restore
from mailer.database_copies.restoring import sqlite as restoring_sqlite
from mailer.database_copies.restoring.told import Journal, Restored
from mailer.database_copies.resume import resume
from mailer.db import Database
from mailer.errors import Refused, SchemaError, SettingsError
from mailer.journal import copies, own_schema
from mailer.ledger import fence
from mailer.models import (
    Installation,
    JournalKind,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.permission.consent import Origin
from mailer.permission.leave import leave
from mailer.permission.suppress import suppress
from mailer.subscribers.erase import erase
from tests.conftest import KEYS
from tests.support import factories
from tests.support.factories import NOW

pytestmark = pytest.mark.usefixtures("postgresql_programs")

LATER = NOW + timedelta(days=30)
NAMES = ("ann", "bob", "carl", "dora")


def _back_up(database: Database, path: Path) -> Path:
    back_up(
        database,
        path,
        fingerprint=KEYS.fingerprint(),
        now=NOW,
        on_progress=lambda *_: None,
        is_stopping=lambda: False,
    )
    return path


def _restore(database: Database, path: Path, **chosen: Any) -> Restored:
    values = {
        "fingerprint": KEYS.fingerprint(),
        "lease": timedelta(seconds=60),
        "now": LATER,
        "is_stopping": lambda: False,
    }
    return restore(database, path, **values | chosen)


def _url(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def _path(database: Database) -> Path:
    return Path(database.url.database or "")


def _hash(name: str) -> str:
    return KEYS.key_hash(f"{name}@example.com")


def _complain(session: Session, name: str, at: datetime) -> None:
    reason = SuppressionReason.COMPLAINED
    suppress(session, key_hash=_hash(name), address=None, reason=reason, now=at)


@pytest.fixture
def backup(database: Database, tmp_path: Path) -> Path:
    """A backup with four readers. Since then ann left, bob complained and carl was erased."""
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        for name in NAMES:
            reader = factories.subscriber(session, KEYS, f"{name}@example.com")
            factories.subscription(session, reader, schedule)
    made = _back_up(database, tmp_path / "backup")
    at = NOW + timedelta(days=1)
    with database.write() as session:
        subscription = session.scalars(
            select(Subscription).join(Subscriber).where(Subscriber.address == "ann@example.com")
        ).one()
        leave(session, subscription, Origin(at=at, source="page"), reason="page")
        _complain(session, "bob", at)
        erase(session, _hash("carl"), source="staff", now=at)
    database.dispose()
    return made


def _state(database: Database) -> dict[str, str]:
    """What is true of each of the four."""
    with database.read() as session:
        rows = session.execute(
            select(Subscriber.key_hash, Subscription.left_at).join(Subscription)
        ).all()
        left = dict(rows)
        rows = session.execute(select(Suppression.key_hash, Suppression.reason)).all()
        suppressed = dict(rows)
        state = {}
        for name in NAMES:
            key_hash = _hash(name)
            if key_hash in suppressed:
                state[name] = suppressed[key_hash].value
            elif key_hash not in left:
                state[name] = "gone"
            else:
                state[name] = "active" if left[key_hash] is None else "left"
        return state


NOT_UNDONE = {"ann": "left", "bob": "complained", "carl": "erased", "dora": "active"}


def test_who_left_complained_or_was_erased_stays_so(database: Database, backup: Path) -> None:
    done = _restore(database, backup)

    assert _state(database) == NOT_UNDONE
    assert done.journal == Journal(copy=True, replaced=True)
    assert (done.made_at, done.schema) == (NOW, schema.head())
    counts = done.counts
    assert (counts.left, counts.suppressed, counts.erased) == (1, 1, 1)
    with database.read() as session:
        standing = fence.current(session)
        assert standing == fence.Fence(LATER, NOW, False)
        assert session.scalar(select(Installation.paused_at)) == LATER
        addresses = session.scalars(select(Subscriber.address)).all()
    assert "carl@example.com" not in addresses
    if database.is_sqlite:
        kept = done.replaced
        assert kept is not None
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        names = {item.name for item in kept.parent.iterdir()}
        assert names <= {
            "mailer.db",
            "mailer.db-wal",
            "mailer.db-shm",
            "mailer-journal.jsonl",
            kept.name,
        }


def test_restoring_it_again_changes_nothing(database: Database, backup: Path) -> None:
    _restore(database, backup)
    _restore(database, backup)
    assert _state(database) == NOT_UNDONE


def test_the_journal_is_read_from_the_replaced_database(database: Database, backup: Path) -> None:
    _lose_copy(database)
    done = _restore(database, backup)
    assert _state(database) == NOT_UNDONE
    assert done.journal == Journal(copy=not database.is_sqlite, replaced=True)


def test_the_journal_is_read_from_its_copy(database: Database, backup: Path) -> None:
    _lose_database(database)
    done = _restore(database, backup)
    assert _state(database) == NOT_UNDONE
    assert done.journal == Journal(copy=True, replaced=False)


def test_it_is_said_that_the_journal_is_lost(database: Database, backup: Path) -> None:
    _lose_copy(database)
    _lose_database(database)
    done = _restore(database, backup)
    assert done.journal.is_lost
    assert _state(database) == dict.fromkeys(NAMES, "active")
    with database.read() as session:
        assert fence.current(session) == fence.Fence(LATER, NOW, True)


@pytest.mark.thorough
@pytest.mark.parametrize("is_resumed", [False, True])
def test_that_the_journal_was_lost_is_known_when_a_backup_is_restored_again(
    database: Database, backup: Path, is_resumed: bool
) -> None:
    _lose_copy(database)
    _lose_database(database)
    _restore(database, backup)
    if is_resumed:
        with database.write() as session:
            resume(session, count_as_had=True, now=LATER)
    copies.complete(database)
    newer = _back_up(database, backup.with_name("newer"))

    assert _restore(database, backup, now=LATER + timedelta(days=1)).journal.is_lost
    # It holds what was entered and counted since; if staff have not resumed, they still have to.
    assert _restore(database, newer, now=LATER + timedelta(days=2)).journal.is_lost != is_resumed


def test_a_copy_of_the_journal_that_is_older_than_the_backup_says_nothing(
    database: Database, backup: Path
) -> None:
    newer = _back_up(database, backup.with_name("newer"))
    _lose_database(database)
    if database.is_sqlite:
        path = _path(database).parent / "mailer-journal.jsonl"
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    else:
        with database.write() as session:
            last = "(SELECT max(id) FROM mailer_journal.entry)"
            session.execute(text(f"DELETE FROM mailer_journal.entry WHERE id = {last}"))
        database.dispose()
    done = _restore(database, newer)
    assert done.journal.is_lost
    assert _state(database) == NOT_UNDONE


def test_the_journal_goes_on_after_a_restore(database: Database, backup: Path) -> None:
    _restore(database, backup)
    with database.write() as session:
        _complain(session, "dora", LATER)
    own, copied = copies.last_ids(database)
    assert own == copied
    kinds = [entry.kind for entry in copies.read(database)]
    assert kinds.count(JournalKind.SUPPRESSED) == 2
    _restore(database, backup, now=LATER + timedelta(days=1))
    assert _state(database) == NOT_UNDONE | {"dora": "complained"}


def _lose_copy(database: Database) -> None:
    if database.is_sqlite:
        (_path(database).parent / "mailer-journal.jsonl").unlink()
        return
    with database.write() as session:
        session.execute(text(f"DROP SCHEMA {own_schema.SCHEMA} CASCADE"))
    database.dispose()
    own_schema._found.clear()


def _lose_database(database: Database) -> None:
    database.dispose()
    if database.is_sqlite:
        for path in _path(database).parent.glob("mailer.db*"):
            path.unlink()
        return
    with database.write() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    database.dispose()


@pytest.mark.thorough
def test_another_process_keeps_it_from_beginning(database: Database, backup: Path) -> None:
    program = (
        "import sys; from mailer.db import Database; d = Database(sys.argv[1]);"
        "s = d.read(); s.__enter__().connection(); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, _url(database)]
    with subprocess.Popen(command, stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(Refused, match="the database is in use"):
            _restore(database, backup)
        process.communicate(b"")
    with database.read() as session:
        assert fence.current(session) is None


BAD = {
    "empty": (lambda content: b"", "it is empty"),
    "cut": (lambda content: content[: len(content) // 2], "cannot be restored|is not a backup"),
    "packed": (gzip.compress, "packed by gzip; unpack it first"),
    "encrypted": (lambda content: b"age-encryption.org/v1\n" + content, "encrypted; decrypt it"),
    "text": (lambda content: b"-- a dump in SQL\n" * 99, "is not a backup: it is neither"),
    "noise": (lambda content: os.urandom(9999), "is not a backup: it is neither"),
    "damaged": (
        lambda content: (
            content[: len(content) // 2] + b"\xa5" * 9999 + content[len(content) // 2 + 9999 :]
        ),
        "cannot be restored: .*; take another backup",
    ),
    "header": (lambda content: content[:100] + bytes(len(content) - 100), "cannot be restored"),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_file_changes_nothing(database: Database, backup: Path, how: str) -> None:
    spoil, reason = BAD[how]
    backup.write_bytes(spoil(backup.read_bytes()))
    before = _state(database)
    with pytest.raises(Refused, match=reason):
        _restore(database, backup)
    assert _state(database) == before
    with database.read() as session:
        assert fence.current(session) is None
    if database.is_sqlite:
        database.dispose()
        assert not list(_path(database).parent.glob("*restoring*"))


def test_a_backup_of_the_other_engine_is_refused(
    sqlite_database: Database, postgresql_database: Database, tmp_path: Path
) -> None:
    one = _back_up(sqlite_database, tmp_path / "one")
    other = _back_up(postgresql_database, tmp_path / "other")
    with pytest.raises(Refused, match="is a backup of SQLite, and `database_url` names PostgreSQL"):
        _restore(postgresql_database, one)
    with pytest.raises(Refused, match="is a backup of PostgreSQL, and `database_url` names SQLite"):
        _restore(sqlite_database, other)


def test_a_missing_file_is_named(database: Database, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not exist; check its name"):
        _restore(database, tmp_path / "none")
    with pytest.raises(Refused, match="is not a file"):
        _restore(database, tmp_path)


def test_a_database_of_something_else_is_refused(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other") as connection:
        connection.execute("CREATE TABLE song (title)")
    connection.close()
    with pytest.raises(Refused, match="not a database of the mailer: it has no table"):
        _restore(sqlite_database, tmp_path / "other")
    with pytest.raises(Refused, match="is the database itself"):
        _restore(sqlite_database, _path(sqlite_database))
    (tmp_path / "other-wal").write_bytes(b"x")
    with pytest.raises(Refused, match="is a database in use and no backup"):
        _restore(sqlite_database, tmp_path / "other")


def test_a_backup_that_belongs_to_another_key_is_refused(database: Database, backup: Path) -> None:
    with pytest.raises(SettingsError, match=r"put back the mailer\.toml"):
        _restore(database, backup, fingerprint="of another")


def test_a_backup_of_a_newer_program_is_refused(
    database: Database, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "head", lambda: "0001")
    with pytest.raises(SchemaError, match="of a newer mailer, this one knows 0001"):
        _restore(database, backup)


def test_a_database_of_a_newer_program_is_replaced(database: Database, backup: Path) -> None:
    """It has a table that refers to one of ours, another that does not, and a schema that we do not know."""
    with database.write() as session:
        session.execute(text("CREATE TABLE later (id INTEGER REFERENCES digest (id))"))
        session.execute(text("CREATE TABLE alone (id INTEGER)"))
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.dispose()
    _restore(database, backup)
    assert _state(database) == NOT_UNDONE
    schema.check(database, KEYS.fingerprint())
    with database.write() as session:
        session.execute(text("CREATE TABLE later (id INTEGER)"))
        session.execute(text("CREATE TABLE alone (id INTEGER)"))


@pytest.mark.parametrize("damage", ["noise", "empty", "middle"])
def test_a_damaged_database_is_replaced(
    sqlite_database: Database, tmp_path: Path, damage: str
) -> None:
    with sqlite_database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.many_readers(session, KEYS, schedule, 3000)
    backup = _back_up(sqlite_database, tmp_path / "backup")
    with sqlite_database.write() as session:
        _complain(session, "reader7", NOW)
    sqlite_database.dispose()
    path = _path(sqlite_database)
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "noise": os.urandom(9000),
            "empty": b"",
            "middle": content[:20000] + os.urandom(middle) + content[20000 + middle :],
        }[damage]
    )
    done = _restore(sqlite_database, backup)
    assert done.journal.copy
    assert done.counts.suppressed == 1
    schema.check(sqlite_database, KEYS.fingerprint())
    assert done.replaced is not None
    sqlite_database.dispose()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_file_of_the_old_database_is_not_taken_for_one_of_the_new(
    sqlite_database: Database, tmp_path: Path
) -> None:
    """A -wal that is left of a lost database would be played into the one that comes after it."""
    backup = _back_up(sqlite_database, tmp_path / "backup")
    path = _path(sqlite_database)
    _pause(sqlite_database, "lost")
    with sqlite_database.read() as session:
        session.connection()
        wal = Path(f"{path}-wal").read_bytes()
    assert wal
    _lose_database(sqlite_database)
    Path(f"{path}-wal").write_bytes(wal)
    _restore(sqlite_database, backup)
    with sqlite_database.read() as session:
        assert session.scalar(select(Installation.paused_reason)) == fence.REASON


def _pause(database: Database, reason: str) -> None:
    with database.write() as session:
        session.execute(update(Installation).values(paused_reason=reason))


def test_a_disk_without_room_is_named(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = _back_up(sqlite_database, tmp_path / "backup")
    monkeypatch.setattr(restoring_sqlite, "_SPARE", 1 << 60)
    with pytest.raises(Refused, match="MB free, and a restore needs"):
        _restore(sqlite_database, backup)


def test_readers_of_another_installation_are_not_replaced(
    postgresql_database: Database, tmp_path: Path
) -> None:
    """On SQLite they are kept in a file; here nothing keeps them."""
    backup = _back_up(postgresql_database, tmp_path / "backup")
    with postgresql_database.write() as session:
        factories.subscriber(session, KEYS)
        session.execute(update(Installation).values(identity_fingerprint="of another"))
    with pytest.raises(Refused, match="has readers of another installation"):
        _restore(postgresql_database, backup)


def test_a_database_that_was_moved_is_not_replaced(database: Database, tmp_path: Path) -> None:
    backup = _back_up(database, tmp_path / "backup")
    with database.write() as session:
        session.execute(update(Installation).values(moved_at=NOW, moved_to="postgresql://db/news"))
    with pytest.raises(Refused, match="was moved to postgresql://db/news"):
        _restore(database, backup)


KILLED = """
import sys
from datetime import datetime, timedelta, UTC
from pathlib import Path
from mailer.database_copies.restore import restore
from mailer.db import Database
restore(Database(sys.argv[1]), Path(sys.argv[2]), fingerprint=sys.argv[3], lease=timedelta(seconds=60),
        now=datetime.fromisoformat(sys.argv[4]), is_stopping=lambda: False)
"""
PLACES = {
    "sqlite": (
        "replay.before-acts",
        "backup.before-name",
        "restore.before-swap",
        "restore.in-swap",
        "restore.in-swap:2",
        "restore.swapped",
    ),
    "postgresql": ("restore.before-load", "restore.loaded", "restore.before-commit"),
}


def _kill(database: Database, backup: Path, place: str) -> None:
    database.dispose()
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED,
            _url(database),
            backup,
            KEYS.fingerprint(),
            LATER.isoformat(),
        ],
        env=os.environ | {"MAILER_FAILPOINT": place},
        check=False,
    )
    assert ended.returncode == -9, place


@pytest.mark.thorough
@pytest.mark.parametrize("place", PLACES["sqlite"])
def test_killed_at_any_place_the_old_or_the_new_database_is_whole(
    sqlite_database: Database, tmp_path: Path, place: str
) -> None:
    with sqlite_database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.many_readers(session, KEYS, schedule, 9000)
    backup = _back_up(sqlite_database, tmp_path / "backup")
    with sqlite_database.write() as session:
        _complain(session, "reader7", NOW)
        factories.newsletter(session, "second")
    _kill(sqlite_database, backup, place)
    assert _is_whole(sqlite_database) == ("new" if place == "restore.swapped" else "old")
    done = _restore(sqlite_database, backup)
    assert done.counts.suppressed == (0 if place == "restore.swapped" else 1) or done.counts.entries
    assert _is_whole(sqlite_database) == "new"
    assert not list(_path(sqlite_database).parent.glob("*restoring*"))
    assert not list(_path(sqlite_database).parent.glob(".*part"))


def _is_whole(database: Database) -> str:
    schema.check(database, KEYS.fingerprint())
    with database.read() as session:
        assert session.scalar(text("PRAGMA integrity_check")) == "ok"
        assert session.scalars(select(Suppression.key_hash)).all() == [_hash("reader7")]
        is_fenced = fence.current(session) is not None
        newsletters = session.scalar(text("SELECT count(*) FROM newsletter"))
    database.dispose()
    assert (is_fenced, newsletters) in {(True, 1), (False, 2)}
    return "new" if is_fenced else "old"


@pytest.mark.thorough
@pytest.mark.parametrize("place", PLACES["postgresql"])
def test_killed_at_any_place_repeating_it_ends_it(
    postgresql_database: Database, tmp_path: Path, place: str
) -> None:
    with postgresql_database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.many_readers(session, KEYS, schedule, 9)
    backup = _back_up(postgresql_database, tmp_path / "backup")
    with postgresql_database.write() as session:
        _complain(session, "reader7", NOW)
    _kill(postgresql_database, backup, place)
    own, copied = copies.last_ids(postgresql_database)
    assert copied == 1
    assert own == (1 if place == "restore.before-load" else 0)
    postgresql_database.dispose()
    _restore(postgresql_database, backup)
    with postgresql_database.read() as session:
        assert session.scalars(select(Suppression.key_hash)).all() == [_hash("reader7")]
        assert fence.current(session) is not None
