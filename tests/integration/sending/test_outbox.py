"""Turns of a sender's stock in which something goes wrong: what is paused, and what cannot be written."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from mailer.clock import Times
from mailer.ledger import ledger
from mailer.models import Delivery, DeliveryStatus, DigestStatus
from mailer.sending import outbox
from mailer.sending.flow_control import token_bucket
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.flow_control.pace import SendRate
from mailer.sending.outbox import Outbox
from mailer.sending.outgoing import Composer
from mailer.sending.smtp.verdict import OnDelivery, Verdict
from tests.support.sending import Post, alerts, beating

CONNECTIONS = 2
IN_DOUBT = Verdict(OnDelivery.DOUBT)


@contextmanager
def stocked(
    post: Post, composer: Composer, restraint: FlowControl, rate: SendRate | None = None
) -> Iterator[Outbox]:
    """A stock from which nobody sends."""
    given: dict[str, Any] = {"restraint": restraint, "begun": list, "rate": rate}
    given["alerts"] = alerts(post.keys)
    with (
        beating(post.database) as pulse,
        closing(Outbox(post.database, composer, pulse, Times(), **given)) as found,
    ):
        yield found


def test_nothing_starts_in_the_turn_that_pauses_its_digest(post: Post, composer: Composer) -> None:
    digest_id = post.build(3)
    restraint = FlowControl(CONNECTIONS, lambda: 0.5)
    with stocked(post, composer, restraint) as stock:
        assert stock.settle((), claiming=True) == frozenset()
        first, second = stock.take().claim.row, stock.take().claim.row
        assert stock.settle([first], claiming=False) == frozenset({first})
        for _ in range(2 * CONNECTIONS):
            restraint.count(IN_DOUBT, digest_id, "the connection was lost", 0.0)
        assert stock.settle([second], claiming=False) == frozenset()
        assert post.digest().status is DigestStatus.PAUSED
        with post.database.read() as session:
            assert session.get_one(Delivery, first.id).status is DeliveryStatus.SENDING
            assert session.get_one(Delivery, second.id).status is DeliveryStatus.CLAIMED
        # A turn later it is the digest's own state that holds it.
        assert stock.settle([second], claiming=False) == frozenset()


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
    restraint = FlowControl(CONNECTIONS, lambda: 0.5)
    with stocked(post, composer, restraint, rate=SendRate(1000, 1)) as found:
        settle_until(found, lambda: len(found) > 0)
        post.change(update(Delivery).values(crashes=1))
        found.give_back()
        _fail_once(monkeypatch, fails_at)
        settle_until(found, lambda: found.is_stuck)
        assert len(found) == 0
        settle_until(found, lambda: not found.is_stuck and len(found) > 0)
        assert account.paid == len(found)
        assert post.statuses().count(DeliveryStatus.CLAIMED) == len(found)


def settle_until(found: Outbox, true: Callable[[], bool]) -> None:
    """Settle again and again: tokens come in by the clock."""
    while not true():
        found.settle((), claiming=True)


def _fail_once(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The database is gone when it is to be written down for the `number`th time what is tried out."""
    suspect, calls = ledger.suspect, 0

    def failing(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise OperationalError("UPDATE", {}, Exception("the disk is full"))
        suspect(*given)

    monkeypatch.setattr(ledger, "suspect", failing)
