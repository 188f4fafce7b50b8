"""Rows K1, K2 and K7: kill -9 while a digest is being built, and while it is being closed.

The processes are the scheduler and the worker as an operator runs them, by the real clock; nobody does
anything but start them again. The receiver's file says who got the digest.
"""

import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mailer.clock import utc_now
from mailer.db import Database
from mailer.models import Delivery, Digest, DigestStatus
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.judge import Judgement, judge
from tests.faults.relays import size
from tests.faults.traps import AT_THE_END, after_delivery, die_in
from tests.support import factories
from tests.support.processes import accepted, killed_in_the_end, receiving, start_mailer, working
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

READERS = size(60, 10_000)
LEASE_SECONDS = 2

pytestmark = pytest.mark.timeout(size(300, 600))


def due_now(database: Database, keys: Keys, readers: int) -> None:
    """A slot that passed two minutes ago, articles for it, and readers who wait for them."""
    due_at = (utc_now() - timedelta(minutes=2)).replace(second=0, microsecond=0)
    before = due_at - timedelta(hours=1)
    with database.write() as session:
        newsletter = factories.newsletter(session)
        schedule = factories.schedule(
            session, newsletter, at=due_at.strftime("%H:%M"), active_from=before
        )
        factories.articles(session, 3, newsletter, published_at=before)
        factories.many_readers(session, keys, schedule, readers)


def deliveries(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Delivery)) or 0


def only_digest(database: Database) -> tuple[int, DigestStatus]:
    with database.read() as session:
        digest = session.scalars(select(Digest)).one()
        return digest.id, digest.status


def built_again_and_sent(
    database: Database, keys: Keys, port: int, file: Path, log: Path
) -> Judgement:
    """What came of a digest whose builder is dead, after scheduler and worker were started again."""
    digest_id, status = only_digest(database)
    assert (status, deliveries(database)) == (DigestStatus.BUILDING, 0)
    process = start_mailer(database, keys, port, log, "scheduler", "worker")
    with killed_in_the_end(process):
        began = time.monotonic()
        wait_until(lambda: deliveries(database) > 0)
        # Nobody ever sees a part of them: they come in one transaction.
        assert deliveries(database) == READERS
        waited = time.monotonic() - began
        wait_until(lambda: is_sent(database, digest_id))
    found = judge(database, digest_id, file)
    # A taken-over digest is built when the lease is over, and never before.
    assert waited >= LEASE_SECONDS
    return found


def is_whole(found: Judgement) -> None:
    assert found.lost == set()
    assert found.strangers == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.adds_up
    assert (found.counts.total, found.counts.sent) == (READERS, READERS)
    assert found.status is DigestStatus.SENT


@pytest.mark.quick
@pytest.mark.parametrize(
    ("row", "place"), [("K1", "build.after-claim"), ("K2", "build.before-commit")]
)
def test_a_digest_whose_builder_was_killed_is_built_by_the_next_one(
    database: Database, keys: Keys, fast_folder: Path, note: Note, row: str, place: str
) -> None:
    due_now(database, keys, READERS)
    file, log = fast_folder / "received", fast_folder / "log"
    with receiving(file, kind="pipelining") as port:
        first = start_mailer(database, keys, port, log, "scheduler", failpoint=place)
        with killed_in_the_end(first):
            assert first.wait() == -signal.SIGKILL, log.read_text()
        found = built_again_and_sent(database, keys, port, file, log)
    note(row, database, found, kills=1)
    is_whole(found)
    assert len(accepted(file)) == READERS


@pytest.mark.parametrize("rows", [1, READERS // 2, READERS - 1])
def test_deliveries_that_were_half_written_are_not_there(
    database: Database, keys: Keys, fast_folder: Path, note: Note, rows: int
) -> None:
    due_now(database, keys, READERS)
    file, log = fast_folder / "received", fast_folder / "log"
    with receiving(file, kind="pipelining") as port:
        die_in(after_delivery(rows), database, keys, port, log, "scheduler")
        found = built_again_and_sent(database, keys, port, file, log)
    note("K2", database, found, kills=1)
    is_whole(found)
    assert len(accepted(file)) == READERS


def test_a_digest_whose_last_mail_is_out_is_closed_once(
    database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    digest_id = queue_digest(database, keys, READERS)
    file, log = fast_folder / "received", fast_folder / "log"
    with receiving(file, kind="pipelining") as port:
        die_in(AT_THE_END, database, keys, port, log, "worker")
        assert len(accepted(file)) == READERS
        assert only_digest(database) == (digest_id, DigestStatus.SENDING)
        with working(database, keys, port, log):
            wait_until(lambda: is_sent(database, digest_id))
    found = judge(database, digest_id, file)
    note("K7", database, found, kills=1)
    is_whole(found)
    with database.read() as session:
        assert session.get_one(Digest, digest_id).finished_at is not None
