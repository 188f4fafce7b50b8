"""Every change of status that the ledger makes is one of those that the models allow."""

import pytest

from mailer.ledger import transitions
from mailer.ledger.transitions import CHANGES, HELD, WAITING, Change
from mailer.models import ALLOWED, PENDING, DeliveryStatus


# A set has no order of its own, and the names of tests must be the same in every process.
@pytest.mark.parametrize("one", CHANGES, ids=lambda one: f"{sorted(one.before)} to {one.after}")
def test_a_change_is_allowed(one: Change) -> None:
    assert one.before
    for status in one.before:
        assert one.after in ALLOWED[status]


def test_every_change_is_listed() -> None:
    named = {one for one in vars(transitions).values() if isinstance(one, Change)}
    assert named <= set(CHANGES)


def test_a_row_that_waits_or_is_held_is_pending() -> None:
    assert set(HELD) <= PENDING
    assert set(WAITING) <= PENDING


def test_no_change_leaves_a_final_status() -> None:
    final = {status for status in DeliveryStatus if not ALLOWED[status]}
    assert not any(one.before & final for one in CHANGES)
