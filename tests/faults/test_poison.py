"""Row K8: a mail of which every worker dies is given up after the third, and all others arrive."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import Delivery, DeliveryStatus, Subscriber
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.judge import judge
from tests.faults.relays import size
from tests.support.processes import accepted, receiving, working
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

READERS = size(30, 1000)

pytestmark = pytest.mark.timeout(size(300, 600))


def test_a_mail_that_kills_workers_is_given_up_after_three(
    database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    digest_id = queue_digest(database, keys, READERS)
    file, log = fast_folder / "received", fast_folder / "log"
    with database.read() as session:
        poison = session.scalars(select(Delivery.id).order_by(Delivery.id).offset(5)).first()
    deaths = 0
    with receiving(file, kind="pipelining") as port:
        while not is_sent(database, digest_id):
            place = f"worker.compose={poison}"
            with working(database, keys, port, log, failpoint=place) as worker:
                wait_until(
                    lambda worker=worker: worker.poll() is not None or is_sent(database, digest_id),
                )
                deaths += worker.poll() == -signal.SIGKILL
    found = judge(database, digest_id, file)
    with database.read() as session:
        row = session.get_one(Delivery, poison)
        address = session.get_one(Subscriber, row.subscriber_id).address
    # That one is shown as failed.
    note("K8", database, replace(found, lost=found.lost - {address}), kills=deaths)
    assert deaths == 3
    assert found.lost == {address}
    assert (row.status, row.step) == (DeliveryStatus.FAILED, "compose")
    # What was on its way when a worker died may come twice, as ever.
    assert len({line["to"] for line in accepted(file)}) == READERS - 1
    assert found.doubled_without_doubt == set()
    assert found.counts.failed == 1
    assert found.adds_up
