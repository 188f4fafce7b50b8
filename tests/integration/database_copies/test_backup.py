"""What a backup holds, and what is left when one cannot be made."""

import os
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from mailer.database_copies.backup import Backup, back_up
from mailer.database_copies.files import new_file, postgresql_tools, sqlite_copy
from mailer.database_copies.files.contents import Stopped
from mailer.db import Database
from mailer.errors import AlreadyExists, Refused, SettingsError
from mailer.models import Installation
from tests.conftest import KEYS
from tests.support import factories
from tests.support.factories import NOW

pytestmark = pytest.mark.usefixtures("postgresql_programs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backups"
    made.mkdir()
    return made


def _back_up(database: Database, path: Path, **chosen: Any) -> Backup:
    values = {
        "fingerprint": KEYS.fingerprint(),
        "now": NOW,
        "on_progress": lambda *_: None,
        "is_stopping": lambda: False,
    }
    return back_up(database, path, **values | chosen)


def _readers(database: Database, count: int) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        factories.many_readers(session, KEYS, schedule, count)


def test_a_backup_is_one_private_file_that_says_when_it_was_made(
    database: Database, folder: Path
) -> None:
    _readers(database, 3)
    made = _back_up(database, folder / "copy")

    assert [item.name for item in folder.iterdir()] == ["copy"]
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    assert (made.subscribers, made.made_at, made.bytes) == (3, NOW, made.file.stat().st_size)
    if database.is_sqlite:
        with sqlite3.connect(made.file) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            rows = connection.execute("SELECT backup_started_at FROM installation").fetchall()
        connection.close()
        assert rows == [("2026-11-24 06:00:00.000000",)]
        assert sqlite_copy.check(made.file, lambda: False, thoroughly=True).subscribers == 3
    else:
        [row] = postgresql_tools.rows(made.file, "installation")
        assert row["backup_started_at"] == "2026-11-24 06:00:00+00"
        assert len(postgresql_tools.rows(made.file, "subscriber")) == 3
        assert set(postgresql_tools.tables(made.file).values()) == {"public"}


def test_no_file_is_overwritten(database: Database, folder: Path) -> None:
    (folder / "copy").write_text("of somebody")
    with pytest.raises(AlreadyExists, match="exists already"):
        _back_up(database, folder / "copy")
    (folder / "link").symlink_to("nowhere")
    with pytest.raises(AlreadyExists):
        _back_up(database, folder / "link")
    assert (folder / "copy").read_text() == "of somebody"
    assert {item.name for item in folder.iterdir()} == {"copy", "link"}


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_it(*_: object) -> None:
        (folder / "copy").write_text("of somebody")

    monkeypatch.setattr(new_file, "reach", make_it)
    with pytest.raises(AlreadyExists):
        _back_up(database, folder / "copy")
    assert (folder / "copy").read_text() == "of somebody"
    assert [item.name for item in folder.iterdir()] == ["copy"]


def test_a_file_system_without_links_gets_a_backup_too(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    made = _back_up(database, folder / "copy")
    assert made.bytes == made.file.stat().st_size > 0
    assert [item.name for item in folder.iterdir()] == ["copy"]


def test_what_is_stopped_leaves_nothing(database: Database, folder: Path) -> None:
    with pytest.raises(Stopped):
        _back_up(database, folder / "copy", is_stopping=lambda: True)
    assert list(folder.iterdir()) == []


def test_a_missing_folder_is_named(database: Database, folder: Path) -> None:
    with pytest.raises(Refused, match=r"the folder .* does not exist; create it"):
        _back_up(database, folder / "none" / "copy")


def test_a_full_disk_is_named_and_leaves_nothing(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Refused, match="the disk is full"):
        _back_up(database, folder / "copy")
    assert list(folder.iterdir()) == []


def test_the_key_of_another_installation_makes_no_backup(database: Database, folder: Path) -> None:
    with pytest.raises(SettingsError, match="identity_key does not belong"):
        _back_up(database, folder / "copy", fingerprint="of another")
    assert list(folder.iterdir()) == []


def test_a_backup_is_the_database_at_one_moment_while_others_write(
    sqlite_database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others write after every step: the copy neither fails, nor begins anew, nor has any of it."""
    _readers(sqlite_database, 3000)
    monkeypatch.setattr(sqlite_copy, "_PAGES", 16)
    pages: list[int] = []

    def write(done: int, _total: int | None) -> None:
        pages.append(done)
        thread = threading.Thread(target=_pause, args=(sqlite_database, str(done)))
        thread.start()
        thread.join()

    made = _back_up(sqlite_database, folder / "copy", on_progress=write)
    assert len(pages) > 10
    assert pages == sorted(set(pages))
    assert pages[-1] == made.bytes
    with sqlite3.connect(made.file) as connection:
        assert connection.execute("SELECT paused_reason FROM installation").fetchone() == (None,)
    connection.close()
    with sqlite_database.read() as session:
        assert session.scalar(select(Installation.paused_reason)) == str(pages[-1])


def _pause(database: Database, reason: str) -> None:
    with database.write() as session:
        session.execute(update(Installation).values(paused_reason=reason))


def test_a_damaged_database_makes_no_backup(sqlite_database: Database, folder: Path) -> None:
    _readers(sqlite_database, 3000)
    sqlite_database.dispose()
    path = Path(sqlite_database.url.database or "")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40_000] = os.urandom(40_000)
    path.write_bytes(content)
    with pytest.raises(Refused, match="the copy is not sound"):
        _back_up(sqlite_database, folder / "copy")
    assert list(folder.iterdir()) == []


def _program(folder: Path, name: str, lines: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def test_missing_programs_of_postgresql_are_named(
    postgresql_database: Database, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="pg_dump is not installed; install PostgreSQL's client"):
        _back_up(postgresql_database, folder / "copy")
    _program(tmp_path, "pg_dump", "echo 'pg_dump (PostgreSQL) 9.6.24'")
    with pytest.raises(Refused, match=r"pg_dump is of PostgreSQL 9, and the server is [0-9]+;"):
        _back_up(postgresql_database, folder / "copy")
    assert list(folder.iterdir()) == []


def test_what_pg_dump_says_is_told_and_a_password_is_in_no_argument(
    postgresql_database: Database, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = "echo 'pg_dump (PostgreSQL) 99.1'"
    _program(
        tmp_path,
        "pg_dump",
        f'if [ "$1" = --version ]; then {version}; exit; fi\n'
        'echo "$*" >&2; echo "pg_dump: error: $PGPASSWORD is no good" >&2; exit 1',
    )
    _program(tmp_path, "pg_restore", version)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    url = postgresql_database.url.set(password="tell nobody")
    database = Database(url.render_as_string(hide_password=False))
    try:
        with pytest.raises(Refused) as refused:
            _back_up(database, folder / "copy")
    finally:
        database.dispose()
    assert str(refused.value) == "pg_dump failed: tell nobody is no good"
    assert list(folder.iterdir()) == []


def test_a_dump_that_waits_for_a_lock_can_be_stopped(
    postgresql_database: Database, folder: Path
) -> None:
    looks = iter([False] * 3)
    with postgresql_database.write() as session:
        session.connection().exec_driver_sql("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Stopped):
            postgresql_tools.dump(
                postgresql_tools.Tools.of(postgresql_database.engine),
                "public",
                folder / "copy",
                lambda *_: None,
                lambda: next(looks, True),
            )
