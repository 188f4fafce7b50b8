"""Imports: what they count and write, that they can be interrupted, and that they bring nobody back."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from secrets import token_bytes

import pytest
from sqlalchemy import Connection, event, func, select

from mailer.db import Database
from mailer.digests.schedules import remove as remove_schedule
from mailer.errors import Refused
from mailer.models import ConsentEvent, ConsentKind, Schedule, Subscriber, Subscription
from mailer.subscriptions import transfer
from mailer.subscriptions.offer import Publisher, need_schedule, offer
from mailer.subscriptions.signup import Choice, Desk
from mailer.subscriptions.transfer import Tally, import_readers
from mailer.templating import Templates
from mailer.tokens import Keys
from tests import factories
from tests.factories import NOW
from tests.processes import ROOT, environment
from tests.sending import alerts


@pytest.fixture
def desk(keys: Keys) -> Desk:
    return Desk("https://news.example", keys, Templates(), token_bytes, alerts(keys))


@pytest.fixture
def schedules(database: Database) -> dict[str, Schedule]:
    """`daily` with its schedules morning and weekly, and an article."""
    with database.write() as session:
        daily = factories.newsletter(session)
        factories.article(session, daily)
        return {name: factories.schedule(session, daily, name) for name in ("morning", "weekly")}


def run(
    database: Database,
    desk: Desk,
    path: Path,
    schedule: str | None = None,
    *,
    dry_run: bool = False,
) -> Tally:
    with database.read() as session:
        daily = offer(session, Publisher(), "daily")
    choice = Choice(daily, need_schedule(daily, schedule))
    return import_readers(
        database, path, {}, choice, "the fair", desk, clock=lambda: NOW, dry_run=dry_run
    )


def written(tmp_path: Path, *addresses: str) -> Path:
    path = tmp_path / "readers.csv"
    path.write_text("\n".join(["email", *addresses, ""]), encoding="utf-8")
    return path


def test_nobody_is_put_on_a_schedule_that_was_removed_meanwhile(
    database: Database,
    desk: Desk,
    schedules: dict[str, Schedule],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfer, "CHUNK", 1)
    path = written(tmp_path, "one@example.com", "two@example.com")
    with database.read() as session:
        daily = offer(session, Publisher(), "daily")
    weekly = Choice(daily, need_schedule(daily, "weekly"))

    def remove(_: int) -> None:
        with database.write() as session:
            gone = session.get_one(Schedule, schedules["weekly"].id)
            remove_schedule(session, gone, schedules["morning"], now=NOW)

    with pytest.raises(Refused, match="daily/weekly was removed"):
        import_readers(
            database, path, {}, weekly, "the fair", desk, clock=lambda: NOW, progress=remove
        )
    with database.read() as session:
        places = session.scalars(select(Subscription.schedule_id)).all()
    assert places == [schedules["morning"].id]


def test_everybody_is_counted_once_and_nobody_is_brought_back(
    database: Database, desk: Desk, keys: Keys, schedules: dict[str, Schedule], tmp_path: Path
) -> None:
    with database.write() as session:
        morning = schedules["morning"]
        factories.reader(session, keys, morning, "same@example.com")
        factories.reader(session, keys, schedules["weekly"], "weekly@example.com")
        factories.reader(session, keys, morning, "left@example.com", left_at=NOW)
        factories.reader(session, keys, morning, "paused@example.com", paused_at=NOW)
        factories.suppression(session, keys, "stopped@example.com")
        factories.suppression(
            session, keys, "muted@example.com", newsletter_id=morning.newsletter_id
        )
        factories.subscriber(session, keys, "elsewhere@example.com")
    path = written(
        tmp_path,
        "new@example.com",
        "NEW@example.com",
        "same@example.com",
        "weekly@example.com",
        "left@example.com",
        "paused@example.com",
        "stopped@example.com",
        "muted@example.com",
        "elsewhere@example.com",
        "nobody",
        "",
    )
    dry = run(database, desk, path, dry_run=True).as_data()
    plain = run(database, desk, path).as_data()
    again = run(database, desk, path).as_data()
    moved = run(database, desk, path, "daily/weekly").as_data()

    skipped = {"unsubscribed": 1, "suppressed": 2}
    counts = ("rows", "added", "updated", "unchanged", "skipped")
    assert dry == plain
    assert [plain[name] for name in counts] == [10, 2, 0, 4, skipped]
    assert [again[name] for name in counts] == [10, 0, 0, 6, skipped]
    assert [moved[name] for name in counts] == [10, 0, 4, 2, skipped]
    assert plain["rejected"] == [{"line": 11, "reason": "An email address must have an @-sign."}]

    with database.read() as session:
        states = Counter(
            tuple(row)
            for row in session.execute(
                select(Subscription.schedule_id, Subscription.left_at.is_(None))
            )
        )
        consent = session.execute(
            select(ConsentEvent.kind, ConsentEvent.source, ConsentEvent.publisher)
            .where(ConsentEvent.address == "new@example.com")
            .order_by(ConsentEvent.id)
        ).all()
        starts = set(
            session.scalars(
                select(Subscription.start_article)
                .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
                .where(Subscriber.address == "new@example.com")
            )
        )
        newest = session.scalar(select(func.max(factories.Article.id)))
    assert states == {(schedules["weekly"].id, True): 5, (schedules["morning"].id, False): 1}
    assert starts == {newest}
    assert [tuple(row) for row in consent] == [
        (ConsentKind.IMPORTED, "import readers.csv: the fair, line 2", "The Daily"),
        (ConsentKind.CHANGED, "import readers.csv: the fair, line 2", "The Daily"),
    ]


def test_a_dry_run_writes_nothing(
    database: Database, desk: Desk, schedules: dict[str, Schedule], tmp_path: Path
) -> None:
    statements: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def remember(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    run(database, desk, written(tmp_path, "new@example.com"), dry_run=True)

    assert statements
    assert not [one for one in statements if not one.startswith(("BEGIN", "SELECT", "SET"))]


def test_as_many_statements_for_one_reader_as_for_a_whole_chunk(
    database: Database, desk: Desk, schedules: dict[str, Schedule], tmp_path: Path
) -> None:
    counts = []
    for number in (1, transfer.CHUNK):
        path = written(tmp_path, *(f"r{one}.{number}@example.com" for one in range(number)))
        run(database, desk, path)  # The first import of all writes to empty tables.
        path = written(tmp_path, *(f"s{one}.{number}@example.com" for one in range(number)))
        statements: list[str] = []

        def remember(
            _c: object, _d: object, statement: str, *_: object, seen: list[str] = statements
        ) -> None:
            seen.append(statement.partition("VALUES")[0])

        event.listen(database.engine, "before_cursor_execute", remember)
        run(database, desk, path)
        event.remove(database.engine, "before_cursor_execute", remember)
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_a_file_that_breaks_off_says_what_is_done_and_repeating_continues(
    database: Database,
    desk: Desk,
    schedules: dict[str, Schedule],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfer, "CHUNK", 2)
    path = tmp_path / "readers.csv"
    good = b"email\na@example.com\nb@example.com\nc@example.com\n"
    path.write_bytes(good + b"d\xff@example.com\n")

    with pytest.raises(Refused, match=r"line 5: .*first 2 rows are done.*repeating .* continues"):
        run(database, desk, path)
    path.write_bytes(good + b"d@example.com\n")
    data = run(database, desk, path).as_data()

    assert (data["rows"], data["added"], data["unchanged"]) == (4, 2, 2)


def test_a_disk_that_fills_up_says_what_is_done_and_repeating_continues(
    sqlite_database: Database, keys: Keys, desk: Desk, tmp_path: Path
) -> None:
    with sqlite_database.write() as session:
        factories.schedule(session, factories.newsletter(session), "morning")
    path = written(tmp_path, *(f"reader{number}@example.com" for number in range(4000)))

    def limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

    with sqlite_database.read() as session:
        most = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one() + 150
    event.listen(sqlite_database.engine, "begin", limit)
    with pytest.raises(Refused, match=r"full.*first [0-9]+ rows are done.*repeating .* continues"):
        run(sqlite_database, desk, path)

    most = 1_000_000
    data = run(sqlite_database, desk, path).as_data()
    assert data["rows"] == 4000
    assert 0 < data["unchanged"] < 4000


def test_an_import_that_is_killed_goes_on_where_it_was(
    database: Database, keys: Keys, schedules: dict[str, Schedule], tmp_path: Path
) -> None:
    path = written(tmp_path, *(f"reader{number}@example.com" for number in range(1300)))
    command = [sys.executable, "-m", "mailer", "subscriber", "import", str(path)]
    command += ["--newsletter", "daily", "--consent-source", "fair", "--json"]

    def import_all(**settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment(database, keys, 25, settings) | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    killed = import_all(failpoint="import.after-chunk:2")
    again = import_all()

    assert killed.returncode == -signal.SIGKILL
    assert again.returncode == os.EX_OK, again.stderr
    assert '"added": 300' in again.stdout
    assert '"unchanged": 1000' in again.stdout
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Subscription)) == 1300
        assert session.scalar(select(func.count()).select_from(ConsentEvent)) == 1300
