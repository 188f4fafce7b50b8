"""The table of when bounces suppress a reader."""

from datetime import timedelta

import pytest

from mailer.bounces import policy
from mailer.bounces.reasons import KINDS, BounceKind, Reason
from tests.support.factories import NOW

DAY = timedelta(days=1)
LATER = 60


@pytest.mark.parametrize(
    ("hard", "attempts", "at_fault"),
    [
        (0, 0, False),
        (1, 1, False),
        (2, 10_000, False),
        # Few mails say nothing, even if all bounce.
        (199, 199, False),
        (200, 200, True),
        (10, 200, False),
        (11, 200, True),
        (11, 219, True),
        (11, 220, False),
        (250, 5000, False),
        (251, 5000, True),
    ],
)
def test_more_than_five_in_a_hundred_hard_bounces_are_our_fault(
    hard: int, attempts: int, at_fault: bool
) -> None:
    enough = policy.attempts_that_acquit(hard)
    assert policy.is_at_fault(hard, attempts) is at_fault
    # No more mails need be counted than that.
    assert policy.is_at_fault(hard, min(attempts, enough)) is at_fault


@pytest.mark.parametrize(
    ("refused", "sent", "at_fault"),
    [(0, 0, False), (2, 0, False), (3, 0, True), (3, 1, False), (5000, 0, True)],
)
def test_a_relay_that_takes_nothing_says_nothing_about_readers(
    refused: int, sent: int, at_fault: bool
) -> None:
    assert policy.relay_is_at_fault(refused, sent) is at_fault


@pytest.mark.parametrize(
    ("bounced", "arrived", "now", "suppressed"),
    [
        ([], [], LATER, False),
        ([0], [], LATER, False),
        # Five digests over two weeks.
        ([0, 3, 7, 10, 14], [], 14, True),
        ([0, 3, 7, 10, 14], [], LATER, True),
        ([14, 0, 10, 3, 7], [], 14, True),
        ([0, 4, 9, 14], [], LATER, False),
        # Over less than two weeks.
        ([0, 3, 7, 10, 13], [], LATER, False),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], [], LATER, False),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], [], 14, True),
        # Several digests of one day are one.
        ([0, 0.1, 0.2, 0.3, 14], [], LATER, False),
        ([0, 0.1, 7, 7.1, 14, 14.1], [], LATER, False),
        ([0, 0.1, 3, 7, 10, 14], [], LATER, True),
        # A mail between that arrived begins it anew, however new it is.
        ([0, 3, 7, 10, 14], [5], 14, False),
        ([0, 3, 7, 10, 14], [13.9], 14, False),
        ([0, 3, 7, 10, 14], [0.5], LATER, False),
        ([0, 3, 7, 10, 14, 18], [1], LATER, True),
        ([0, 3, 7, 10, 14, 18], [4], LATER, False),
        ([0, 20, 24, 27, 30, 34], [10], LATER, True),
        # One before the first changes nothing.
        ([0, 3, 7, 10, 14], [-1], LATER, True),
        # One after the last may still come back, but not for ever.
        ([0, 3, 7, 10, 14], [15], 16, True),
        ([0, 3, 7, 10, 14], [15], 19.9, True),
        ([0, 3, 7, 10, 14], [15], 20, False),
    ],
)
def test_soft_bounces_suppress_after_five_digests_in_two_weeks(
    bounced: list[float], arrived: list[float], now: float, suppressed: bool
) -> None:
    found = policy.soft_bounces_suppress(
        [NOW + day * DAY for day in bounced],
        [NOW + day * DAY for day in arrived],
        NOW + now * DAY,
    )
    assert found is suppressed


NEVER = {
    Reason.POLICY, Reason.SPAM, Reason.BLOCKED, Reason.AUTHENTICATION, Reason.SIZE, Reason.CONTENT,
    Reason.VIRUS, Reason.CONGESTED, Reason.SYSTEM, Reason.PROTOCOL, Reason.UNSUPPORTED, Reason.RELAYING,
}  # fmt: skip


@pytest.mark.parametrize("reason", Reason)
def test_only_what_is_about_the_mailbox_counts(reason: Reason) -> None:
    kind = KINDS[reason]
    assert (reason in policy.HARD_REASONS) is (kind is BounceKind.HARD)
    assert (reason in policy.SOFT_REASONS) is (kind is BounceKind.SOFT and reason not in NEVER)
