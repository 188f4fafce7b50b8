"""What stops a digest, and what is said about it."""

import pytest

from mailer.bounces.rates import (
    COMPLAINTS_WARN,
    ReturnCounts,
    StopLimits,
    is_reached,
    most_needed,
    percent,
    why_stop,
)


@pytest.mark.parametrize(
    ("events", "mails", "limit", "reached"),
    [
        # From 200 mails and three events on.
        (2, 200, 0.003, False),
        (3, 199, 0.003, False),
        (3, 200, 0.003, True),
        (199, 199, 0.05, False),
        # At the limit itself.
        (10, 200, 0.05, True),
        (9, 200, 0.05, False),
        (10, 201, 0.05, False),
        (3, 1000, 0.003, True),
        (3, 1001, 0.003, False),
        (300, 100_000, 0.003, True),
        (299, 100_000, 0.003, False),
        (100, 100_000, COMPLAINTS_WARN, True),
        (99, 100_000, COMPLAINTS_WARN, False),
        (5000, 5000, 1.0, True),
        (4999, 5000, 1.0, False),
        (7, 1000, 0.07 / 10, True),
    ],
)
def test_a_limit_is_reached(events: int, mails: int, limit: float, reached: bool) -> None:
    assert is_reached(events, mails, limit) is reached
    # No more mails need be counted than that.
    assert is_reached(events, min(mails, most_needed(events, limit)), limit) is reached


def test_few_events_need_no_count() -> None:
    assert most_needed(0, 0.003) == most_needed(2, 0.003) == 0


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (ReturnCounts(5000, 4800, 249, 100, 14), None),
        (ReturnCounts(199, 199, 199, 0, 199), None),
        (
            ReturnCounts(5000, 4700, 250, 0, 50),
            "250 of 5000 mails bounced for good (5%; `stop_at_hard_bounces` is 5%)",
        ),
        (
            ReturnCounts(5000, 4800, 0, 999, 15),
            "15 readers of 4800 reported it as spam (0.31%; `stop_at_complaints` is 0.3%)",
        ),
    ],
)
def test_why_a_digest_stops(counts: ReturnCounts, words: str | None) -> None:
    reason = why_stop(counts, StopLimits())
    assert (reason and reason.partition(":")[0]) == words


def test_the_limits_are_the_settings() -> None:
    counts = ReturnCounts(1000, 1000, 60, 0, 5)
    assert why_stop(counts, StopLimits(complaints=0.006, hard_bounces=0.07)) is None
    assert "bounced for good" in (why_stop(counts, StopLimits(0.006, 0.06)) or "")
    assert "as spam" in (why_stop(counts, StopLimits(0.005, 0.07)) or "")


def test_rates_without_mails() -> None:
    # A mail that was reported must have been sent, whatever the ledger still has of it.
    assert ReturnCounts(0, 0, 0, 0, 0).hard_rate == 0
    assert ReturnCounts(0, 0, 2, 0, 3).hard_rate == 1
    assert ReturnCounts(0, 0, 2, 0, 3).complaint_rate == 1
    assert ReturnCounts(200, 100, 3, 0, 1).complaint_rate == 0.01


@pytest.mark.parametrize(
    ("rate", "words"), [(0, "0%"), (0.05, "5%"), (0.003125, "0.31%"), (1, "100%"), (0.1, "10%")]
)
def test_percentages(rate: float, words: str) -> None:
    assert percent(rate) == words
