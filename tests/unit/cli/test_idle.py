"""What commands add that queued something where nobody is there to do it."""

import json
from pathlib import Path

import pytest

from mailer.clock import utc_now
from mailer.db import Database
from mailer.ledger import heartbeat
from mailer.models import WorkerRole
from tests.support.commands import Ask

NO_WORKER = "no worker is running: start one with `mailer run`"
NO_SCHEDULER = "no scheduler is running: start one with `mailer run`"

QUEUES = {
    "test": (NO_WORKER, "digest test daily/morning --to e@example.com"),
    "send": (NO_WORKER, "digest send daily/morning --json"),
    "resume a digest": (NO_WORKER, "digest resume 1 --json"),
    "resend": (NO_WORKER, "delivery resolve --digest 1 --resend --json"),
    "resume": (NO_WORKER, "resume"),
    "ask a reader": (NO_WORKER, "subscriber add boris@example.com --newsletter daily --json"),
    "add a schedule": (NO_SCHEDULER, "schedule add daily late --at 22:00 --zone UTC --json"),
    "edit a schedule": (NO_SCHEDULER, "schedule edit morning --at 6:30 --json"),
    "resume a schedule": (NO_SCHEDULER, "schedule resume daily/morning --json"),
    "once": (NO_SCHEDULER, "digest once daily --at '2099-01-01 08:00' --zone UTC --json"),
}


def prepare(ask: Ask, folder: Path, name: str) -> None:
    """Make a digest that is paused, or one that has a mail in doubt, where the command is about it."""
    if name in {"resume a digest", "resend"}:
        assert ask("digest", "send", "daily/morning")[0] == 0
    if name == "resume a digest":
        assert ask("digest", "pause", "1")[0] == 0
    if name == "resend":
        database = Database(f"sqlite:///{folder}/mailer.db")
        with database.write() as session:
            session.connection().exec_driver_sql("UPDATE delivery SET status = 'unknown'")
        database.dispose()


@pytest.mark.parametrize("name", QUEUES)
def test_what_nobody_would_do_is_said_once_with_the_next_step(
    name: str, ask: Ask, tmp_path: Path
) -> None:
    told, line = QUEUES[name]
    prepare(ask, tmp_path, name)
    code, out, err = ask(line)
    assert code == 0, err
    assert err.splitlines().count(told) == 1
    if "--json" in line:
        json.loads(out)


@pytest.mark.parametrize("role", WorkerRole)
def test_nothing_is_said_while_somebody_works(role: WorkerRole, ask: Ask, tmp_path: Path) -> None:
    name = {WorkerRole.SENDER: "test", WorkerRole.BUILDER: "edit a schedule"}[role]
    told, line = QUEUES[name]
    database = Database(f"sqlite:///{tmp_path}/mailer.db")
    with database.write() as session:
        worker = heartbeat.register(session, role, "host", 1, utc_now())
    assert "is running" not in ask(line)[2]

    # All sending is paused: that a worker is there helps nobody, and for schedules it says nothing.
    assert ask("pause")[0] == 0
    paused = "all sending is paused; `mailer resume` starts it again" in ask(line)[2]
    assert paused == (role is WorkerRole.SENDER)
    assert ask("resume")[0] == 0

    # One that ended, and one that has not been heard of for the lease, work no more.
    with database.write() as session:
        heartbeat.stop(session, worker, utc_now())
        heartbeat.register(session, role, "host", 2, utc_now().replace(year=2020))
    database.dispose()
    assert told in ask(line)[2].splitlines()


def test_a_cancelled_digest_and_a_paused_schedule_wait_for_nobody(ask: Ask) -> None:
    assert ask("digest", "send", "daily/morning")[0] == 0
    assert "is running" not in ask("digest", "cancel", "1")[2]
    assert "is running" not in ask("schedule", "pause", "daily/morning")[2]
