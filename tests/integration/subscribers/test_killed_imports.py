"""An import that is killed and run again leaves what one run leaves, at full size and as a process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from mailer.db import Database
from mailer.models import (
    ConsentEvent,
    JournalEntry,
    Subscriber,
    Subscription,
    Suppression,
)
from mailer.tokens import Keys
from tests.support import factories
from tests.support.processes import ROOT, environment
from tests.support.waiting import wait_until

ROWS = 100_000


def write(path: Path) -> None:
    """Every tenth left, every eleventh bounced, and every thirteenth stands in the file twice."""
    with path.open("w") as file:
        file.write("email,name,status,opted in at,ip,unsubscribed at\n")
        for number in range(ROWS):
            status = "unsubscribed" if number % 10 == 0 else "active"
            status = "bounced" if number % 11 == 0 else status
            again = number % 13 == 0 and number > ROWS // 2
            person = number - ROWS // 2 if again else number
            left = "2024-05-06 07:08:09" if status != "active" else ""
            at = f"2020-02-03 04:05:{number % 60:02}"
            file.write(f"r{person}@example.com,Anna,{status},{at},192.0.2.{person % 250},{left}\n")


def content(database: Database, last_entry: int = 0) -> list[list[Any]]:
    """All that an import writes, without ids and the times at which it wrote."""
    source = func.substr(ConsentEvent.source, 1, func.length(ConsentEvent.source) - 32)
    statements = (
        select(Subscriber.address, Subscriber.address_key, Subscriber.key_hash, Subscriber.name),
        select(
            Subscriber.address,
            Subscription.newsletter_id,
            Subscription.schedule_id,
            Subscription.left_at,
            Subscription.left_reason,
        ).join(Subscription),
        select(
            ConsentEvent.kind,
            ConsentEvent.at,
            ConsentEvent.address,
            ConsentEvent.key_hash,
            ConsentEvent.ip,
            source,
        ),
        select(
            Suppression.address,
            Suppression.key_hash,
            Suppression.reason,
            Suppression.created_at,
            Suppression.detail,
        ),
        select(JournalEntry.kind, JournalEntry.key_hash, JournalEntry.newsletter).where(
            JournalEntry.id > last_entry
        ),
    )
    with database.read() as session:
        return [sorted(map(tuple, session.execute(one)), key=str) for one in statements]


def start(database: Database, keys: Keys, path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "mailer", "subscriber", "import", str(path), "--json"]
    return subprocess.Popen(
        [*command, "--newsletter", "daily", "--consent-source", "opt-in there"],
        cwd=path.parent,
        env=environment(database, keys, 25, {}) | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def run(database: Database, keys: Keys, path: Path) -> None:
    with start(database, keys, path) as process:
        process.communicate()
    assert process.returncode == os.EX_OK


@pytest.mark.thorough
@pytest.mark.timeout(3600)
def test_a_kill_in_the_middle_of_a_long_import_changes_nothing_in_the_end(
    database: Database, keys: Keys, tmp_path: Path
) -> None:
    path = tmp_path / "readers.csv"
    write(path)
    with database.write() as session:
        factories.schedule(session, factories.newsletter(session))

    def imported() -> int:
        with database.read() as session:
            return session.scalar(select(func.count()).select_from(Subscription)) or 0

    with start(database, keys, path) as process:
        wait_until(lambda: imported() > ROWS // 2)
        process.kill()
        process.communicate()
    assert ROWS // 2 < imported() < ROWS * 9 // 10
    run(database, keys, path)
    killed = content(database)

    with database.write() as session:
        last_entry = session.scalar(select(func.max(JournalEntry.id))) or 0
        # Not the journal: the copy of it beside the database would tell the database of it again.
        for table in (Subscription, Suppression, ConsentEvent, Subscriber):
            session.execute(table.__table__.delete())
    run(database, keys, path)
    assert content(database, last_entry) == killed
