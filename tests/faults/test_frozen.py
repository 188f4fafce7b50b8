"""A worker that is frozen for longer than its lease, as by a suspended machine, and goes on where it was.

The others consider it dead meanwhile and send what it had in hand. What it still does then must give no one
a second copy, unless that mail was counted as in doubt.
"""

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailer.db import Database, dialect, sessions
from mailer.models import Installation, Worker
from tests.faults.conftest import POSTGRESQL
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support.waiting import wait_until

READERS = size(400, 5000)
FREEZES = size(2, 10)
CONNECTIONS = 4


def considered_dead(database: Database) -> int:
    with database.read() as session:
        return len(session.scalars(select(Worker.id).where(Worker.stopped_at.is_not(None))).all())


@pytest.mark.timeout(size(300, 900))
@pytest.mark.parametrize("on_unknown", ["resend", "hold"])
@POSTGRESQL
def test_a_frozen_worker_that_goes_on_makes_no_double_that_is_not_counted(
    run: Run, on_unknown: str
) -> None:
    run.queue(READERS)
    settings = {"on_unknown": on_unknown, "smtp_retry": "1s"}
    with run.receiving(delay=0.05) as port, ExitStack() as stack:
        workers = [
            stack.enter_context(run.working(port, log=run.folder / f"log{number}", **settings))
            for number in range(2)
        ]
        for number in range(FREEZES):
            frozen = workers[number % 2]
            wait_until(partial(run.has_more, (number + 1) * READERS // (FREEZES + 6)))
            frozen.send_signal(signal.SIGSTOP)
            try:
                # It is considered dead, and its lease is over once more, before it goes on.
                wait_until(lambda dead=number: considered_dead(run.database) > dead)
                # By then they may have sent everything but what stays in doubt.
                most = READERS - (FREEZES + 3) * CONNECTIONS
                more = min(len(run.accepted()), most) + 2 * CONNECTIONS
                wait_until(partial(run.has_more, more))
            finally:
                frozen.send_signal(signal.SIGCONT)
            log = run.folder / f"log{number % 2}"
            wait_until(lambda log=log: "other workers considered worker" in log.read_text())
        wait_until(run.is_sent)
    found = run.judge("frozen", kills=FREEZES)
    found.nobody_is_lost(doubles=CONNECTIONS * FREEZES if on_unknown == "resend" else 0)
    # A late 250 has turned most of what was in doubt into what it is.
    assert found.counts.sent + found.counts.unknown == READERS


def test_a_transaction_in_which_its_process_is_frozen_holds_up_nobody_for_long(
    postgresql_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (sessions, dialect):
        monkeypatch.setattr(module, "ABORT_IF_FROZEN", "idle_in_transaction_session_timeout = '1s'")
    writer = postgresql_database.writer()

    def write(session: Session, reason: str) -> None:
        session.execute(update(Installation).values(paused_reason=reason))

    def freeze_in(
        writing: AbstractContextManager[Session], prepare: Callable[[Session], None]
    ) -> None:
        with pytest.raises(SQLAlchemyError), writing as frozen:
            prepare(frozen)
            write(frozen, "frozen")
            with postgresql_database.write() as other:
                write(other, "other")

    freeze_in(writer.write(), lambda session: None)
    freeze_in(postgresql_database.write(), dialect.abort_if_frozen)
    with postgresql_database.read() as session:
        assert session.scalars(select(Installation.paused_reason)).one() == "other"
