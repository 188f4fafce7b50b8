"""Imports: what they count and write, that they can be interrupted, and that they bring nobody back."""

import itertools
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select

from mailer.db import Database
from mailer.digests.schedules.schedule_changes import remove as remove_schedule
from mailer.errors import Refused
from mailer.models import ConsentEvent, ConsentKind, Schedule, Subscriber, Subscription
from mailer.subscribers.entering import csv_import
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW
from tests.support.paper import Paper
from tests.support.processes import ROOT, environment
from tests.support.statements import statements


@pytest.fixture
def paper(database: Database, keys: Keys, tmp_path: Path) -> Paper:
    return Paper(database, keys, tmp_path / "readers.csv")


def test_nobody_is_put_on_a_schedule_that_was_removed_meanwhile(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_import, "CHUNK", 1)
    paper.write("one@example.com", "two@example.com")

    def remove(_: int) -> None:
        with paper.database.write() as session:
            gone = session.get_one(Schedule, paper.weekly.id)
            remove_schedule(session, gone, paper.morning, now=NOW)

    with pytest.raises(Refused, match="daily/weekly has just been removed"):
        paper.run("weekly", progress=remove)
    with paper.database.read() as session:
        places = session.scalars(select(Subscription.schedule_id)).all()
    assert places == [paper.morning.id]


def test_everybody_is_counted_once_and_nobody_is_brought_back(paper: Paper) -> None:
    database, keys, morning = paper.database, paper.keys, paper.morning
    with database.write() as session:
        factories.reader(session, keys, morning, "same@example.com")
        factories.reader(session, keys, paper.weekly, "weekly@example.com")
        factories.reader(session, keys, morning, "left@example.com", left_at=NOW)
        factories.reader(session, keys, morning, "paused@example.com", paused_at=NOW)
        factories.suppression(session, keys, "stopped@example.com")
        factories.suppression(
            session, keys, "muted@example.com", newsletter_id=morning.newsletter_id
        )
        factories.subscriber(session, keys, "elsewhere@example.com")
    names = "new NEW same weekly left paused stopped muted elsewhere"
    paper.write(*(f"{name}@example.com" for name in names.split()), "nobody", "")
    dry = paper.run(dry_run=True)
    plain, again = (paper.run() for _ in range(2))
    moved = paper.run("weekly")

    skipped = {"unsubscribed": 1, "suppressed": 2}
    counts = ("rows", "added", "updated", "unchanged", "skipped")
    assert dry == plain
    assert [plain[name] for name in counts] == [10, 2, 0, 4, skipped]
    assert [again[name] for name in counts] == [10, 0, 0, 6, skipped]
    assert [moved[name] for name in counts] == [10, 0, 4, 2, skipped]
    assert plain["rejected"] == [{"line": 11, "reason": "An email address must have an @-sign."}]

    with database.read() as session:
        places = select(Subscription.schedule_id, Subscription.left_at.is_(None))
        states = Counter(tuple(row) for row in session.execute(places))
        consent = session.execute(
            select(ConsentEvent.kind, ConsentEvent.source, ConsentEvent.publisher)
            .where(ConsentEvent.address == "new@example.com")
            .order_by(ConsentEvent.id)
        ).all()
        new = select(Subscription.start_article).join(Subscriber)
        starts = set(session.scalars(new.where(Subscriber.address == "new@example.com")))
        newest = session.scalar(select(func.max(factories.Article.id)))
    assert states == {(paper.weekly.id, True): 5, (morning.id, False): 1}
    assert starts == {newest}
    assert [tuple(row) for row in consent] == [
        (ConsentKind.IMPORTED, "import readers.csv: the fair, line 2", "The Daily"),
        (ConsentKind.CHANGED, "import readers.csv: the fair, line 2", "The Daily"),
    ]


def test_a_dry_run_writes_nothing(paper: Paper) -> None:
    paper.write("new@example.com")
    with statements(paper.database) as seen:
        paper.run(dry_run=True)
    assert seen
    assert not [one for one in seen if not one.startswith(("BEGIN", "SELECT", "SET"))]


def test_as_many_statements_for_one_reader_as_for_a_whole_chunk(paper: Paper) -> None:
    counts = []
    for number in (1, csv_import.CHUNK):
        # The first import of all writes to empty tables.
        for name in ("r", "s"):
            paper.write(*(f"{name}{one}.{number}@example.com" for one in range(number)))
            with statements(paper.database) as seen:
                paper.run()
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_a_file_that_breaks_off_says_what_is_done_and_repeating_continues(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_import, "CHUNK", 2)
    paper.write("a@example.com", "b@example.com", "c@example.com", "d@example.com")

    def broken(rows: Iterator[Any]) -> Iterator[Any]:
        yield from itertools.islice(rows, 3)
        raise Refused("line 5 cannot be read")

    with pytest.raises(Refused, match=r"line 5 .*first 2 rows are done.*repeating .* continues"):
        paper.run(through=broken)
    data = paper.run()

    assert (data["rows"], data["added"], data["unchanged"]) == (4, 2, 2)


def test_a_disk_that_fills_up_says_what_is_done_and_repeating_continues(
    sqlite_database: Database, keys: Keys, tmp_path: Path
) -> None:
    paper = Paper(sqlite_database, keys, tmp_path / "readers.csv")
    paper.write(*(f"reader{number}@example.com" for number in range(4000)))

    def limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

    with sqlite_database.read() as session:
        most = session.connection().exec_driver_sql("PRAGMA page_count").scalar_one() + 400
    event.listen(sqlite_database.engine, "begin", limit)
    with pytest.raises(Refused, match=r"full.*first [0-9]+ rows are done.*repeating .* continues"):
        paper.run()

    most = 1_000_000
    data = paper.run()
    assert data["rows"] == 4000
    assert 0 < data["unchanged"] < 4000


def test_an_import_that_is_killed_goes_on_where_it_was(paper: Paper) -> None:
    paper.write(*(f"reader{number}@example.com" for number in range(2600)))
    command = [sys.executable, "-m", "mailer", "subscriber", "import", str(paper.path)]
    command += ["--newsletter", "daily", "--consent-source", "fair", "--json"]

    def import_all(**settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=paper.path.parent,
            env=environment(paper.database, paper.keys, 25, settings) | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    killed = import_all(failpoint="import.after-chunk:2")
    again = import_all()

    assert killed.returncode == -signal.SIGKILL
    assert again.returncode == os.EX_OK, again.stderr
    assert '"added": 600' in again.stdout
    assert '"unchanged": 2000' in again.stdout
    with paper.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Subscription)) == 2600
        assert session.scalar(select(func.count()).select_from(ConsentEvent)) == 2600
