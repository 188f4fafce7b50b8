"""Rows K1, K2 and K7: kill -9 while a digest is being built, and while it is being closed.

The processes are the scheduler and the worker as an operator runs them, by the real clock; nobody does
anything but start them again. The receiver's file says who got the digest.
"""

import signal
import time
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from mailer.clock import utc_now
from mailer.db import Database
from mailer.models import Delivery, Digest, DigestStatus
from tests.faults.relays import size
from tests.faults.run import Run
from tests.faults.traps import AT_THE_END, after_delivery, die_in
from tests.support import factories
from tests.support.waiting import wait_until

READERS = size(60, 10_000)
LEASE_SECONDS = 2

pytestmark = pytest.mark.timeout(size(300, 600))


def due_now(run: Run, readers: int) -> None:
    """A slot that passed two minutes ago, articles for it, and readers who wait for them."""
    due_at = (utc_now() - timedelta(minutes=2)).replace(second=0, microsecond=0)
    before = due_at - timedelta(hours=1)
    with run.database.write() as session:
        newsletter = factories.newsletter(session)
        schedule = factories.schedule(
            session, newsletter, at=due_at.strftime("%H:%M"), active_from=before
        )
        factories.articles(session, 3, newsletter, published_at=before)
        factories.many_readers(session, run.keys, schedule, readers)


def deliveries(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Delivery)) or 0


def built_again_and_sent(run: Run, row: str, port: int) -> None:
    """Start scheduler and worker again after the builder of a digest died, and judge what comes of it."""
    with run.database.read() as session:
        run.digest_id = session.scalars(select(Digest.id)).one()
    assert (run.status(), deliveries(run.database)) == (DigestStatus.BUILDING, 0)
    with run.running(port, "scheduler", "worker"):
        began = time.monotonic()
        wait_until(lambda: deliveries(run.database) > 0)
        # Nobody ever sees a part of them: they come in one transaction.
        assert deliveries(run.database) == READERS
        waited = time.monotonic() - began
        wait_until(run.is_sent)
    run.judge(row, kills=1).everybody_got_one(READERS)
    assert len(run.accepted()) == READERS
    # A taken-over digest is built when the lease is over, and never before.
    assert waited >= LEASE_SECONDS


@pytest.mark.quick
@pytest.mark.parametrize(
    ("row", "place"), [("K1", "build.after-claim"), ("K2", "build.before-commit")]
)
def test_a_digest_whose_builder_was_killed_is_built_by_the_next_one(
    run: Run, row: str, place: str
) -> None:
    due_now(run, READERS)
    with run.receiving() as port:
        with run.running(port, "scheduler", failpoint=place) as first:
            assert first.wait() == -signal.SIGKILL, run.log.read_text()
        built_again_and_sent(run, row, port)


@pytest.mark.parametrize("rows", [1, READERS // 2, READERS - 1])
def test_deliveries_that_were_half_written_are_not_there(run: Run, rows: int) -> None:
    due_now(run, READERS)
    with run.receiving() as port:
        die_in(run, after_delivery(rows), port, "scheduler")
        built_again_and_sent(run, "K2", port)


def test_a_digest_whose_last_mail_is_out_is_closed_once(run: Run) -> None:
    run.queue(READERS)
    with run.receiving() as port:
        die_in(run, AT_THE_END, port, "worker")
        assert len(run.accepted()) == READERS
        assert run.status() is DigestStatus.SENDING
        with run.working(port):
            wait_until(run.is_sent)
    run.judge("K7", kills=1).everybody_got_one(READERS)
    with run.database.read() as session:
        assert session.get_one(Digest, run.digest_id).finished_at is not None
