"""Row K8: a mail of which every worker dies is given up after the third, and all others arrive."""

import signal

import pytest
from sqlalchemy import select

from mailer.models import Delivery, DeliveryStatus, Subscriber
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support.waiting import wait_until

READERS = size(30, 1000)

pytestmark = pytest.mark.timeout(size(300, 600))


def test_a_mail_that_kills_workers_is_given_up_after_three(run: Run) -> None:
    run.queue(READERS)
    with run.database.read() as session:
        poison = session.scalars(select(Delivery.id).order_by(Delivery.id).offset(5)).first()
    deaths = 0
    with run.receiving() as port:
        while not run.is_sent():
            place = f"worker.compose={poison}"
            with run.working(port, failpoint=place) as worker:
                wait_until(lambda worker=worker: worker.poll() is not None or run.is_sent())
                deaths += worker.poll() == -signal.SIGKILL
    # That one is shown as failed.
    found = run.judge("K8", kills=deaths)
    with run.database.read() as session:
        row = session.get_one(Delivery, poison)
        address = session.get_one(Subscriber, row.subscriber_id).address
    assert deaths == 3
    assert found.lost == {address}
    assert (row.status, row.step) == (DeliveryStatus.FAILED, "compose")
    # What was on its way when a worker died may come twice, as ever.
    assert len({line["to"] for line in run.accepted()}) == READERS - 1
    assert found.doubled_without_doubt == set()
    assert found.counts.failed == 1
    assert found.adds_up
