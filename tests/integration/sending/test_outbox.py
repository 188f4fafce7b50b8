"""Turns of a sender's stock in which something goes wrong: what is paused, and what cannot be written."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from mailer.clock import Times
from mailer.ledger import recovery
from mailer.models import Delivery, DeliveryStatus, DigestStatus
from mailer.sending import outbox
from mailer.sending.composer import Composer
from mailer.sending.flow_control import token_bucket
from mailer.sending.flow_control.attempt import NOBODY, Attempt
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.flow_control.send_rate import SendRate
from mailer.sending.outbox import Outbox
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.verdict import Lost, OnDelivery, Verdict
from tests.support.sending import Post, alerts, beating

CONNECTIONS = 2
IN_DOUBT = Verdict(OnDelivery.DOUBT)


@contextmanager
def filled_outbox(
    post: Post, composer: Composer, flow: FlowControl, rate: SendRate | None = None
) -> Iterator[Outbox]:
    """An outbox from which nothing is sent."""
    with (
        beating(post.database) as heartbeat,
        closing(
            Outbox(
                post.database,
                composer,
                heartbeat,
                Times(),
                flow=flow,
                in_hand=list,
                rate=rate,
                alerts=alerts(post.keys),
            )
        ) as outbox,
    ):
        yield outbox


def test_nothing_starts_in_the_turn_that_pauses_its_digest(post: Post, composer: Composer) -> None:
    digest_id = post.build(3)
    flow = FlowControl(CONNECTIONS, lambda: 0.5)
    with filled_outbox(post, composer, flow) as box:
        assert box.settle((), claiming=True) == frozenset()
        first, second = box.take().claim.row, box.take().claim.row
        assert box.settle([first], claiming=False) == frozenset({first})
        for _ in range(2 * CONNECTIONS):
            box.pauses += flow.on_answer(
                Attempt(first, digest_id, NOBODY), Step.DOT, IN_DOUBT, Lost.DROP, 0.0
            ).pauses
        assert box.settle([second], claiming=False) == frozenset()
        assert post.digest().status is DigestStatus.PAUSED
        with post.database.read() as session:
            assert session.get_one(Delivery, first.id).status is DeliveryStatus.SENDING
            assert session.get_one(Delivery, second.id).status is DeliveryStatus.CLAIMED
        # A turn later it is the digest's own state that holds it.
        assert box.settle([second], claiming=False) == frozenset()


class Account:
    """What was paid for mails, less what was paid back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paid = 0
        spend, refund = token_bucket.spend, token_bucket.refund

        def spending(*given: Any) -> token_bucket.Spent:
            spent = spend(*given)
            self.paid += spent.number
            return spent

        def refunding(session: Session, rate: SendRate, number: int) -> None:
            self.paid -= number
            refund(session, rate, number)

        monkeypatch.setattr(token_bucket, "spend", spending)
        monkeypatch.setattr(token_bucket, "refund", refunding)


@pytest.mark.parametrize("fails_at", [1, 2], ids=["before-it-is-made", "after-it-was-made"])
def test_what_cannot_be_tried_out_is_given_back_and_paid_back_once(
    post: Post, composer: Composer, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    post.build(6)
    monkeypatch.setattr(outbox, "DATABASE_PAUSE_SECONDS", 0.0)
    account = Account(monkeypatch)
    flow = FlowControl(CONNECTIONS, lambda: 0.5)
    with filled_outbox(post, composer, flow, rate=SendRate(1000, 1)) as box:
        settle_until(box, lambda: len(box) > 0)
        post.change(update(Delivery).values(crashes=1))
        box.give_back()
        _fail_once(monkeypatch, fails_at)
        settle_until(box, lambda: box.is_stuck)
        assert len(box) == 0
        settle_until(box, lambda: not box.is_stuck and len(box) > 0)
        assert account.paid == len(box)
        assert post.statuses().count(DeliveryStatus.CLAIMED) == len(box)


def settle_until(box: Outbox, true: Callable[[], bool]) -> None:
    """Settle again and again: tokens come in by the clock."""
    while not true():
        box.settle((), claiming=True)


def _fail_once(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the database fail at the `number`th note about a mail that is tried out."""
    note_crashes, calls = recovery.note_crashes, 0

    def failing(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise OperationalError("UPDATE", {}, Exception("the disk is full"))
        note_crashes(*given)

    monkeypatch.setattr(recovery, "note_crashes", failing)
