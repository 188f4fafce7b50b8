"""Kill -9 where the journal is copied, replayed and counted: nothing is forgotten, or done by half."""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from mailer.clock import utc_now
from mailer.journal import copies
from mailer.ledger import fence
from mailer.models import Delivery, Suppression
from tests.faults.conftest import SQLITE
from tests.faults.run import Run
from tests.support import factories

KILLED = -9


def hashes(run: Run) -> list[str | None]:
    return [entry.key_hash for entry in copies.read(run.database)]


def suppressed(run: Run) -> set[str]:
    with run.database.read() as session:
        return set(session.scalars(select(Suppression.key_hash)))


@SQLITE
def test_what_was_committed_and_not_copied_comes_with_the_next_entry(run: Run) -> None:
    first, second = (run.keys.key_hash(f"{name}@example.com") for name in ("ann", "bob"))
    add = ("suppression", "add")
    killed = {"status": KILLED, "failpoint": "journal.before-append"}
    run.command(*add, "ann@example.com", "--reason", "staff", **killed)
    assert suppressed(run) == {first}
    assert hashes(run) == []
    run.command(*add, "bob@example.com", "--reason", "staff", **killed)
    # The second command found the first one's entry when it opened the database.
    assert hashes(run) == [first]
    run.command("status")
    assert hashes(run) == [first, second]
    run.note("J1", readers=0, kills=2, lost=0)


def copied(run: Run) -> Path:
    """Copy the database as a backup does."""
    place = run.folder / "backup.db"
    with sqlite3.connect(str(run.database.url.database)) as own, sqlite3.connect(place) as backup:
        own.backup(backup)
    own.close()
    backup.close()
    return place


def put_in_place(run: Run, backup: Path) -> None:
    run.database.dispose()
    path = Path(str(run.database.url.database))
    for name in (f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    path.write_bytes(backup.read_bytes())


def standing(run: Run) -> tuple[bool, int]:
    """Whether the fence is up, and how many deliveries there are."""
    with run.database.read() as session:
        count = session.scalar(select(func.count()).select_from(Delivery))
        return fence.current(session) is not None, count or 0


@SQLITE
def test_a_replay_and_a_resume_that_are_killed_are_done_anew(run: Run) -> None:
    with run.database.write() as session:
        newsletter = factories.newsletter(session)
        daily = factories.schedule(session, newsletter)
        factories.readers(session, run.keys, daily, 3)
        factories.article(session, newsletter, published_at=utc_now())
    backup = copied(run)
    run.command("suppression", "add", "reader1@example.com", "--reason", "staff")
    sent: Any = run.ask("digest", "send", "daily/morning")
    assert sent["deliveries"]["total"] == 2
    put_in_place(run, backup)

    run.command("status", status=KILLED, failpoint="replay.before-acts")
    assert (standing(run), suppressed(run)) == ((False, 0), set())
    assert "restored from a backup" in run.command("status")
    assert (standing(run), suppressed(run)) == (
        (True, 0),
        {run.keys.key_hash("reader1@example.com")},
    )

    assert "mailer resume" in run.command("digest", "send", "daily/morning", status=1)
    run.command("resume", status=KILLED, failpoint="resume.before-fence")
    assert standing(run) == (True, 0)
    resumed = run.ask("resume")
    assert (resumed["digests"], resumed["restored"]["sent"][0]["slot"]) == (1, sent["slot"])
    # All three were its readers: who is suppressed gets nothing anyway.
    assert standing(run) == (False, 3)
    again: Any = run.ask("digest", "send", "daily/morning", "--slot", sent["slot"])
    assert (again["status"], again["deliveries"]["unknown"]) == ("sent", 3)
    run.note("J2", readers=3, kills=2, lost=0)
