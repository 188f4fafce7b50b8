"""The verdict on an attempt becomes the row's next status."""

from datetime import UTC, datetime, timedelta

import pytest

from mailer.ledger.transitions import OUTCOMES, Claim, RowId
from mailer.models import Delivery, DeliveryStatus
from mailer.sending.counters import Counters
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.sending.in_flight.attempt_results import Attempts, next_status
from mailer.sending.in_flight.events import Moment
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import OnDelivery, Verdict

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
D, S = OnDelivery, DeliveryStatus


@pytest.mark.parametrize(
    ("delivery", "later", "resend", "status", "again"),
    [
        (D.SENT, LATER, True, S.SENT, None),
        (D.FAIL, LATER, True, S.FAILED, None),
        (D.DEFER, LATER, True, S.DEFERRED, LATER),
        (D.DEFER, None, True, S.FAILED, None),
        (D.RELEASE, LATER, True, S.DEFERRED, NOW),
        (D.RELEASE, None, True, S.DEFERRED, NOW),
        (D.DOUBT, LATER, True, S.UNKNOWN, LATER),
        (D.DOUBT, LATER, False, S.UNKNOWN, None),
        (D.DOUBT, None, True, S.UNKNOWN, None),
    ],
)
def test_an_attempt_ends_as(
    delivery: OnDelivery,
    later: datetime | None,
    resend: bool,
    status: DeliveryStatus,
    again: datetime | None,
) -> None:
    assert next_status(delivery, soon=NOW, later=later, resend=resend) == (status, again)
    assert status in OUTCOMES


def test_no_address_gets_into_the_ledger() -> None:
    plan, moment = RetryPlan((timedelta(hours=1),), timedelta(days=2)), Moment(NOW, 0.0, True, 1)
    attempts = Attempts(plan, resend=True, began=moment, random=lambda: 0.5, counts=Counters())
    claim = Claim(RowId(Delivery, 3), 7, 1, NOW)
    reply = Reply(550, ("<ani@example.org>: no such user",))
    result = attempts.result(claim, "rcpt", Verdict(D.FAIL), reply, "", moment)
    assert result == (claim.row, 7, 2, S.FAILED, "rcpt", 550, "<***>: no such user", None)
