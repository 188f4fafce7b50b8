"""Nightly backups: when one is due, what is kept, and what is told when they fail."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, update

from mailer.address import parse
from mailer.database_copies import nightly
from mailer.db import Database
from mailer.errors import Refused
from mailer.models import Installation, Notice
from mailer.monitoring.warnings import backup_warnings
from mailer.notices.alert import Alerts
from mailer.notices.backup_alerts import BackupRecord, alert_if_overdue, read_record
from mailer.templating.templates import Templates
from tests.conftest import KEYS
from tests.support import factories
from tests.support.factories import NOW

pytestmark = pytest.mark.usefixtures("postgresql_programs")

OWN = KEYS.fingerprint()[:8]
DAY = timedelta(days=1)
NEW_YORK = ZoneInfo("America/New_York")


def _make(database: Database, folder: Path, now: datetime = NOW, **chosen: Any) -> None:
    values = {"fingerprint": KEYS.fingerprint(), "wall": lambda: now, "is_stopping": lambda: False}
    nightly.make_due(database, folder, **values | chosen)


def _record(database: Database) -> BackupRecord:
    with database.read() as session:
        return read_record(session)


def _warnings(database: Database, now: datetime) -> list[str]:
    with database.read() as session:
        return backup_warnings(session, has_folder=True, now=now)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backups"
    made.mkdir()
    return made


def test_a_night_has_one_backup(database: Database, folder: Path) -> None:
    _make(database, folder)
    _make(database, folder, NOW + timedelta(hours=12))
    ending = "db" if database.is_sqlite else "dump"
    assert [item.name for item in folder.iterdir()] == [f"mailer-{OWN}-20261124T060000Z.{ending}"]
    assert _record(database) == BackupRecord(NOW, NOW, None, None)
    # The night of the next day begins at 03:00.
    _make(database, folder, NOW + timedelta(hours=20, minutes=59))
    assert len(list(folder.iterdir())) == 1
    _make(database, folder, NOW + timedelta(hours=21))
    assert len(list(folder.iterdir())) == 2


def test_the_last_fourteen_are_kept_and_other_files_stay(
    sqlite_database: Database, folder: Path
) -> None:
    others = {
        "mailer-00000000-20200101T030000Z.db",
        f"mailer-{OWN}-20200101T030000Z.db.gpg",
        f"mailer-{OWN}-before-upgrade.db",
        "mailer.toml",
    }
    for name in others:
        (folder / name).touch()
    left_behind = folder / f".mailer-{OWN}-20200101T030000Z.db.4711.part"
    left_behind.touch()
    for day in range(16):
        _make(sqlite_database, folder, NOW + day * DAY)
    names = {item.name for item in folder.iterdir()}
    assert names >= others
    assert names - others == {
        nightly.file_name(KEYS.fingerprint(), NOW + day * DAY, is_sqlite=True)
        for day in range(2, 16)
    }


@pytest.mark.parametrize(
    ("now", "night"),
    [
        (datetime(2026, 11, 24, 7, 59, tzinfo=UTC), datetime(2026, 11, 23, 8, tzinfo=UTC)),
        (datetime(2026, 11, 24, 8, 0, tzinfo=UTC), datetime(2026, 11, 24, 8, tzinfo=UTC)),
        # In the night of 8 March 2026 the clock goes from 02:00 to 03:00, on 1 November back from 02:00.
        (datetime(2026, 3, 8, 7, 0, tzinfo=UTC), datetime(2026, 3, 8, 7, tzinfo=UTC)),
        (datetime(2026, 11, 1, 7, 59, tzinfo=UTC), datetime(2026, 10, 31, 7, tzinfo=UTC)),
        (datetime(2026, 11, 1, 8, 0, tzinfo=UTC), datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_night_is_at_three_by_the_local_clock(now: datetime, night: datetime) -> None:
    assert nightly.last_night(now, NEW_YORK) == night


def test_it_goes_by_the_zone_of_the_oldest_schedule(
    sqlite_database: Database, folder: Path
) -> None:
    with sqlite_database.write() as session:
        newsletter = factories.newsletter(session)
        factories.schedule(session, newsletter, zone="America/New_York")
    _make(sqlite_database, folder, datetime(2026, 11, 24, 7, 59, tzinfo=UTC))
    _make(sqlite_database, folder, datetime(2026, 11, 24, 8, 1, tzinfo=UTC))
    assert len(list(folder.iterdir())) == 1
    _make(sqlite_database, folder, datetime(2026, 11, 24, 11, 0, tzinfo=UTC))
    assert len(list(folder.iterdir())) == 2


def test_it_is_made_after_a_time_in_which_nothing_ran(
    sqlite_database: Database, folder: Path
) -> None:
    _make(sqlite_database, folder, NOW)
    _make(sqlite_database, folder, NOW + 5 * DAY + timedelta(hours=7))
    assert len(list(folder.iterdir())) == 2


def test_two_schedulers_make_one(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one reads the record before the first one begins."""
    claim = nightly._claim

    def claim_after_another(*arguments: Any) -> bool:
        monkeypatch.setattr(nightly, "_claim", claim)
        _make(database, folder, NOW)
        return claim(*arguments)

    monkeypatch.setattr(nightly, "_claim", claim_after_another)
    _make(database, folder, NOW + timedelta(seconds=1))
    assert len(list(folder.iterdir())) == 1
    assert _record(database) == BackupRecord(NOW, NOW, None, None)


def test_a_failure_is_recorded_and_tried_again_later(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    with pytest.raises(Refused, match="does not exist; create it"):
        _make(database, folder)
    record = _record(database)
    assert (record.started_at, record.good_at) == (NOW, None)
    assert record.error is not None
    assert "does not exist; create it" in record.error
    folder.mkdir()
    _make(database, folder, NOW + timedelta(hours=2))
    assert not list(folder.iterdir())
    assert "none was ever good" in _warnings(database, NOW)[0]
    _make(database, folder, NOW + timedelta(hours=3))
    assert len(list(folder.iterdir())) == 1
    assert _warnings(database, NOW + timedelta(hours=3)) == []


def test_a_stop_leaves_nothing_and_the_next_process_makes_it(
    database: Database, folder: Path
) -> None:
    _make(database, folder, is_stopping=lambda: True)
    assert not list(folder.iterdir())
    assert _record(database) == BackupRecord(None, None, None, None)
    _make(database, folder, NOW + timedelta(seconds=9))
    assert len(list(folder.iterdir())) == 1


def test_a_clock_that_was_ahead_keeps_none_from_being_made(
    sqlite_database: Database, folder: Path
) -> None:
    _make(sqlite_database, folder, NOW + 365 * DAY)
    _make(sqlite_database, folder, NOW)
    assert len(list(folder.iterdir())) == 2


@pytest.fixture
def alerts() -> Alerts:
    return Alerts(
        templates=Templates(),
        keys=KEYS,
        staff_address=(parse("staff@news.example"),),
        publisher=None,
        random=os.urandom,
    )


def _alert(database: Database, alerts: Alerts, now: datetime) -> int:
    """Look whether staff must be told, and return how many times they were."""
    with database.write() as session:
        alert_if_overdue(session, alerts, now)
        return session.scalar(select(func.count()).select_from(Notice)) or 0


def test_staff_are_told_after_two_days_and_every_week(
    database: Database, folder: Path, alerts: Alerts
) -> None:
    with database.write() as session:
        factories.newsletter(session)
    assert _alert(database, alerts, NOW) == 0
    _make(database, folder)
    for item in folder.iterdir():
        item.unlink()
    folder.rmdir()
    assert _alert(database, alerts, NOW + 2 * DAY) == 0
    for day in (1, 2):
        with pytest.raises(Refused):
            _make(database, folder, NOW + day * DAY)
    assert "the last backup failed" in _warnings(database, NOW + 2 * DAY)[0]
    late = NOW + 2 * DAY + timedelta(hours=4)
    assert "the last good one is of 2026-11-24" in _warnings(database, late)[0]
    assert _alert(database, alerts, late) == 1
    assert _alert(database, alerts, late + 6 * DAY) == 1
    assert _alert(database, alerts, late + 7 * DAY) == 2
    with database.read() as session:
        notice = session.scalars(select(Notice).order_by(Notice.id)).first()
        assert notice is not None
        assert notice.subject == "There is no recent backup"
        assert "does not exist; create it" in notice.text.replace("\n", " ")
    folder.mkdir()
    _make(database, folder, late + 8 * DAY)
    assert _record(database).alerted_at is None
    assert _alert(database, alerts, late + 8 * DAY) == 2


def test_nobody_is_told_while_one_is_under_way(sqlite_database: Database, alerts: Alerts) -> None:
    with sqlite_database.write() as session:
        factories.newsletter(session)
        session.execute(update(Installation).values(backup_started_at=NOW, backup_at=NOW - 5 * DAY))
    assert _alert(sqlite_database, alerts, NOW + timedelta(hours=1)) == 0
    assert _alert(sqlite_database, alerts, NOW + timedelta(hours=4)) == 1
