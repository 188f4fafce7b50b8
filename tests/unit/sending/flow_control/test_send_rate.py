"""A token bucket never allows more than the rate, and never less."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.rate import Rate
from mailer.sending.flow_control.send_rate import burst, filled, most_to_claim, until_next

DAY = 24 * 3600.0


def mails(count: int, seconds: float) -> Rate:
    return Rate(count, timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("rate", "at_once", "batch"),
    [
        (mails(100, 1), 100, 20),
        (mails(5, 1), 5, 5),
        (mails(1, 1), 1, 1),
        (mails(5000, 3600), 5000 / 3600, 1),
        (mails(90, 60), 1.5, 1),
        (mails(5, 3600), 1, 1),
        (mails(1, DAY), 1, 1),
    ],
)
def test_a_claim_is_for_the_connections_and_one_second_at_most(
    rate: Rate, at_once: float, batch: int
) -> None:
    assert burst(rate) == at_once
    assert most_to_claim(10, rate) == batch
    assert most_to_claim(1, rate) == min(2, batch)


def test_a_bucket_fills_with_time_and_no_further_than_its_brim() -> None:
    rate = mails(100, 1)
    assert filled(3, 0.25, rate) == 28
    assert filled(3, 3600, rate) == 100
    assert filled(3, -3600, rate) == 3
    # The rate was lowered.
    assert filled(100, 0, mails(5, 1)) == 5


@pytest.mark.parametrize(
    ("tokens", "rate", "seconds"),
    [
        (0, mails(1, DAY), DAY),
        (0.5, mails(5, 3600), 360),
        (0.75, mails(100, 1), 0.0025),
        (1, mails(1, DAY), 0),
        (7.5, mails(100, 1), 0),
    ],
)
def test_the_next_token_is_foretold(tokens: float, rate: Rate, seconds: float) -> None:
    assert until_next(tokens, rate) == pytest.approx(seconds)
    assert filled(tokens, seconds, rate) >= 1 - 1e-9


rates = st.builds(mails, st.integers(1, 1000), st.sampled_from([1.0, 60.0, 3600.0, DAY]))


class Bucket:
    """What the row of the database does, without one: spending, refunds, and a clock that may jump."""

    def __init__(self, rate: Rate) -> None:
        self.rate, self.tokens = rate, 1.0

    def spend(self, elapsed: float, wanted: int) -> int:
        self.tokens = filled(self.tokens, elapsed, self.rate)
        number = min(wanted, int(self.tokens))
        self.tokens -= number
        return number


@given(rates, st.lists(st.tuples(st.floats(0, 15), st.integers(0, 2000)), max_size=60))
def test_no_ten_seconds_see_more_than_the_rate_and_one_batch(
    rate: Rate, turns: list[tuple[float, int]]
) -> None:
    bucket, now = Bucket(rate), 0.0
    taken: list[tuple[float, int]] = []
    for elapsed, wanted in turns:
        now += elapsed
        taken.append((now, bucket.spend(elapsed, wanted)))
    for begin, _ in taken:
        in_window = sum(number for at, number in taken if begin <= at < begin + 10)
        assert in_window <= rate.per_second * 10 + burst(rate) + 1e-6


@given(rates, st.lists(st.integers(0, 100), min_size=1, max_size=50))
def test_whoever_waits_as_foretold_gets_the_whole_rate(rate: Rate, wishes: list[int]) -> None:
    bucket, now, taken = Bucket(rate), 0.0, 0
    for wanted in wishes:
        wait = until_next(bucket.tokens, rate)
        now += wait
        taken += bucket.spend(wait, max(1, wanted))
    assert taken == pytest.approx(1 + now * rate.per_second, abs=1 + 1e-6)


@given(rates, st.lists(st.floats(-1e6, 1e6), max_size=50))
def test_a_clock_that_jumps_takes_nothing_away(rate: Rate, jumps: list[float]) -> None:
    tokens = 0.5
    for jump in jumps:
        later = filled(tokens, jump, rate)
        assert tokens <= later <= burst(rate)
        tokens = later
