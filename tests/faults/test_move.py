"""A half sent digest is moved to PostgreSQL in the middle, and sent on: nobody twice, nobody forgotten."""

import signal
from collections.abc import Callable

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.demo import browser
from mailer.models import DeliveryStatus, Subscriber, Subscription
from mailer.tokens import Keys, Purpose
from tests.faults.run import Run
from tests.support import factories
from tests.support.moves import url_of
from tests.support.processes import is_up
from tests.support.waiting import wait_until

READERS = 12


@pytest.mark.parametrize(
    ("place", "doubles"),
    [("worker.after-start-commit:5", 0), ("worker.after-dot:5", 1)],
)
def test_a_half_sent_digest_goes_on_at_the_new_place(
    run_on: Callable[[Database], Run],
    sqlite_database: Database,
    postgresql_url: str,
    keys: Keys,
    free_port: int,
    place: str,
    doubles: int,
) -> None:
    run = run_on(sqlite_database)
    run.queue(READERS)
    with sqlite_database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session, "weekly"))
        token = keys.make(Purpose.CONFIRM, factories.signup(session, keys, schedule).public_id)
        leaver = session.scalars(select(Subscription.public_id).order_by(Subscription.id)).first()
    assert leaver is not None
    with run.receiving() as port:
        with run.working(port, smtp_connections="1", failpoint=place) as first:
            assert first.wait() == -signal.SIGKILL, run.log.read_text()
        before = run.counts()
        assert 0 < before.sent < READERS
        assert before.pending > 1
        sqlite_database.dispose()
        run.command("db", "move", "--to", postgresql_url, "--yes")
        refused = run.command("status", status=1)
        assert "moved to postgresql://" in refused
        assert "moved to postgresql://" in run.command("run", "worker", status=1)
        sqlite_database.dispose()

        run.database = Database(postgresql_url)
        try:
            assert run.counts() == before
            base = f"http://127.0.0.1:{free_port}"
            web = {"port": str(free_port), "base_url": base}
            with (
                run.running(port, "web", **web),
                run.working(port, smtp_connections="1"),
            ):
                wait_until(run.is_sent)
                wait_until(lambda: is_up(free_port))
                # Links of mails that were sent from the old database.
                left = browser.post(
                    f"{base}/unsubscribe/{keys.make(Purpose.UNSUBSCRIBE, leaver)}",
                    {"List-Unsubscribe": "One-Click"},
                )
                confirmed = browser.post(f"{base}/confirm/{token}", {})
            assert (left.status, confirmed.status) == (200, 200)
            with run.database.read() as session:
                assert session.scalar(
                    select(Subscription.left_at).where(Subscription.public_id == leaver)
                )
                assert session.scalar(
                    select(Subscriber.id).where(Subscriber.address == "newcomer@example.com")
                )
            found = run.judge()
            found.nobody_is_lost(doubles=doubles)
            assert found.counts.in_doubt == 1
            assert len(run.rows(DeliveryStatus.SENT)) == READERS
            assert found.ids_per_delivery == 1
            assert run.ask("db", "check")["ok"] is True
            # A worker that was killed seems to run until its lease is over.
            wait_until(lambda: "begun to send" in _taken_back(run, sqlite_database, postgresql_url))
        finally:
            run.database.dispose()


def _taken_back(run: Run, old: Database, url: str) -> str:
    """What the command says that should make the old one usable again."""
    run.database.dispose()
    return run.command("db", "move", "--to", url, "--cancel", status=1, database_url=url_of(old))
