"""A verdict becomes an entry of the ledger."""

from datetime import UTC, datetime, timedelta

import pytest

from mailer.ledger.transitions import OUTCOMES, Claim, RowId
from mailer.models import Delivery, DeliveryStatus
from mailer.sending.attempts import concluded
from mailer.sending.smtp.verdict import OnDelivery, Verdict

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
CLAIM = Claim(RowId(Delivery, 3), 7, 1, NOW)
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
def test_an_attempt_comes_to(
    delivery: OnDelivery,
    later: datetime | None,
    resend: bool,
    status: DeliveryStatus,
    again: datetime | None,
) -> None:
    found = concluded(
        CLAIM, Verdict(delivery), "dot", 250, "ok", soon=NOW, later=later, resend=resend
    )
    assert found == (CLAIM.row, 7, CLAIM.attempts + 1, status, "dot", 250, "ok", again)
    assert found.status in OUTCOMES


def test_no_address_gets_into_the_ledger() -> None:
    text = "<ani@example.org>: no such user"
    found = concluded(CLAIM, Verdict(D.FAIL), "rcpt", 550, text, soon=NOW, later=None, resend=True)
    assert found.reply == "<***>: no such user"
