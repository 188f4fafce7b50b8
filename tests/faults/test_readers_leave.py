"""Row R3, and the pause: readers who leave get no more mail, and what staff pause stands still.

The relay keeps everybody waiting until they have acted, so that nothing depends on how fast they are.
"""

import threading
import time
from itertools import count

import pytest
from sqlalchemy import select

from mailer.models import Delivery, DeliveryStatus, Subscriber, Subscription
from mailer.tokens import Purpose
from tests.faults.relays import size
from tests.faults.run import Run
from tests.support.receiver import Answer, fine
from tests.support.waiting import wait_until
from tests.support.website import serving

CONNECTIONS = 4


def until(acted: threading.Event) -> Answer:
    """Takes four mails, and holds back its answer to each final dot until somebody has acted."""
    dots = count(1)

    def answer(verb: str, argument: str) -> str | None:
        if verb == "DOT" and next(dots) > CONNECTIONS:
            acted.wait(120)
        return fine(verb, argument)

    return answer


def last_in_queue(run: Run, number: int) -> list[str]:
    """The addresses of those who are served last."""
    with run.database.read() as session:
        rows = session.scalars(
            select(Subscriber.address).join(Delivery).order_by(Delivery.id.desc()).limit(number)
        )
        return [address for address in rows if address is not None]


def one_click_link(run: Run, address: str) -> str:
    """The path of the link in the List-Unsubscribe header of this reader's mail."""
    with run.database.read() as session:
        public_id = session.scalars(
            select(Subscription.public_id).join(Subscriber).where(Subscriber.address == address)
        ).one()
    return f"/unsubscribe/{run.keys.make(Purpose.UNSUBSCRIBE, public_id)}"


def test_who_leaves_or_is_suppressed_during_the_run_gets_nothing_more(run: Run) -> None:
    readers = size(80, 1000)
    run.queue(readers)
    # Nobody of them is served yet when they act.
    suppressed, removed, *leavers = last_in_queue(run, 12)
    links = [one_click_link(run, address) for address in leavers]
    acted = threading.Event()
    with (
        serving(run.database, run.keys) as website,
        run.relay(until(acted)) as there,
        run.working(there.port),
    ):
        wait_until(lambda: len(run.accepted()) >= 4)
        for link in links:
            # What a mail program posts when its button is pressed (RFC 8058).
            assert website.post(link, {"List-Unsubscribe": "One-Click"}).status == 200
        run.command("suppression", "add", suppressed, "--reason", "asked")
        run.command("subscriber", "unsubscribe", removed)
        acted.set()
        wait_until(run.is_sent)
    got = {line["to"] for line in run.accepted()}
    gone = {suppressed, removed, *leavers}
    found = run.counts()
    run.note(
        "R3",
        readers=readers,
        doubled=len(run.accepted()) - len(got),
        lost=readers - len(got | gone),
        unexpected=len(got & gone),
    )
    assert got & gone == set()
    assert (found.sent, found.skipped) == (readers - len(gone), len(gone))
    assert len(run.accepted()) == len(got) == readers - len(gone)
    assert run.rows(DeliveryStatus.SKIPPED).keys() == gone


@pytest.mark.parametrize("noun", [[], ["digest"]], ids=["all sending", "one digest"])
def test_a_pause_holds_at_once_and_nobody_is_forgotten(run: Run, noun: list[str]) -> None:
    readers = size(80, 1000)
    run.queue(readers)
    which = [str(run.digest_id)] if noun else []
    pause, resume = [*noun, "pause", *which], [*noun, "resume", *which]
    acted = threading.Event()
    with (
        run.relay(until(acted)) as there,
        run.working(there.port),
    ):
        wait_until(lambda: len(run.accepted()) >= 4)
        run.command(*pause)
        taken = len(run.accepted())
        acted.set()
        # Time enough for all of them, if it did not hold.
        paused_at = time.monotonic()
        wait_until(lambda: time.monotonic() > paused_at + 2)
        stopped_with = len(run.accepted())
        run.command(*resume)
        wait_until(run.is_sent)
    found = run.judge("pause")
    # What was on its way on each connection, and what had begun behind it.
    assert stopped_with <= taken + 2 * CONNECTIONS < readers
    found.everybody_got_one(readers)
