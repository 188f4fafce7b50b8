"""Backups and what comes back from them, as the page docs/backup.md has its reader type."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import NEWSLETTER

SCHEDULE = ("schedule", "add", "daily", "morning", "--at", "07:00", "--zone", "Europe/Paris")

pytestmark = pytest.mark.usefixtures("postgresql_programs")


def _add_readers(installation: Any, *names: str) -> None:
    for name in names:
        installation.type("subscriber", "add", f"{name}@reader.example", "--newsletter", "daily",
                          "--consent-source", "on paper")  # fmt: skip


def _statuses(installation: Any) -> dict[str, Any]:
    rows = installation.ask("subscriber", "list")
    return {row["address"]: row for row in rows}


def test_a_backup_comes_back_and_who_was_erased_does_not(installation: Any) -> None:
    installation.type(*NEWSLETTER)
    installation.type(*SCHEDULE)
    _add_readers(installation, "ann", "bob")
    made = installation.ask("db", "backup", "copy")
    assert made["subscribers"] == 2
    assert "exists already" in installation.run("db backup copy").stderr
    installation.type("subscriber", "erase", "bob@reader.example", "--yes")
    _add_readers(installation, "carl")

    done = installation.ask("db", "restore", "copy", "--yes")
    assert done["counts"]["erased"] == 1
    assert done["journal_is_lost"] is False
    addresses = {row["address"] for row in installation.ask("subscriber", "list")}
    assert "ann@reader.example" in addresses
    assert not {"bob@reader.example", "carl@reader.example"} & addresses
    warnings = " ".join(installation.ask("status")["warnings"])
    assert "restored from a backup" in warnings
    assert installation.ask("db", "check")["ok"] is True


def test_a_backup_is_practised_in_another_folder(installation: Any, tmp_path: Path) -> None:
    """The real installation is not touched, and the scratch one says that the journal is not there."""
    installation.type(*NEWSLETTER)
    installation.type("db", "backup", "copy")
    is_postgresql = "database_url" in installation.settings
    installation.settings["database_url"] = f"sqlite:///{tmp_path}/practice.db"
    ended = installation.run("db restore copy --yes")
    if is_postgresql:
        assert "is a backup of PostgreSQL, and `database_url` names SQLite" in ended.stderr
        assert not (tmp_path / "practice.db").exists()
        return
    before = (installation.folder / "mailer.db").read_bytes()
    assert ended.returncode == 0
    assert "the journal of what happened since then is lost" in ended.stderr
    assert "next: mailer resume" in ended.stderr
    assert len(installation.ask("newsletter", "list")) == 1
    assert (installation.folder / "mailer.db").read_bytes() == before
    # Only a real installation is resumed; this says what it does without a journal.
    ended = installation.run("resume --yes")
    assert "all articles until now are counted as received; sending has resumed" in ended.stderr


def test_a_database_that_is_gone_is_said_to_be_restorable(
    installation: Any, tmp_path: Path
) -> None:
    installation.settings["database_url"] = f"sqlite:///{tmp_path}/gone.db"
    ended = installation.run("status")
    assert ended.returncode == 1
    assert "gone.db does not exist" in ended.stderr
    assert "put a backup back with `mailer db restore FILE` if it is lost" in ended.stderr


def test_an_upgrade_makes_a_backup_where_there_is_a_folder(installation: Any) -> None:
    folder = installation.folder / "backups"
    folder.mkdir()
    installation.settings["backup_folder"] = "backups"
    installation.type("db", "upgrade")
    assert list(folder.iterdir()) == []
    if "database_url" in installation.settings:
        return
    with sqlite3.connect(installation.folder / "mailer.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0013'")
    connection.close()
    # The tables are there already, so the upgrade fails and the backup stays.
    assert installation.run("db upgrade").returncode != 0
    [made] = folder.iterdir()
    assert made.name.endswith("-schema-0013.db")
