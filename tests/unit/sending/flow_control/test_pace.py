"""How fast mail goes out, and what makes it stop by itself."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.sending.flow_control.back_off import pause_seconds
from mailer.sending.flow_control.pace import (
    BURST_SECONDS,
    FEW,
    WINDOW,
    Breaker,
    SendRate,
    Throttle,
    filled,
    most_to_claim,
    until_next,
    why_pause_all,
)
from mailer.sending.smtp.verdict import UNSUPPORTED_EAI, OnDelivery, OnReader, OnRun, Verdict

DAY = 24 * 3600.0

SENT = Verdict(OnDelivery.SENT)
POLICY = Verdict(OnDelivery.FAIL, run=OnRun.COUNT)
HARD = Verdict(OnDelivery.FAIL, OnReader.HARD_BOUNCE)
FULL = Verdict(OnDelivery.FAIL, OnReader.SOFT_BOUNCE)
LATER = Verdict(OnDelivery.DEFER)
DOUBT = Verdict(OnDelivery.DOUBT)
RELEASE = Verdict(OnDelivery.RELEASE, run=OnRun.BACK_OFF)


def middle() -> float:
    return 0.5


# The rate.


@pytest.mark.parametrize(
    ("rate", "burst", "batch"),
    [
        (SendRate(100, 1), 100, 20),
        (SendRate(5, 1), 5, 5),
        (SendRate(1, 1), 1, 1),
        (SendRate(5000, 3600), 5000 / 3600, 1),
        (SendRate(90, 60), 1.5, 1),
        (SendRate(5, 3600), 1, 1),
        (SendRate(1, DAY), 1, 1),
    ],
)
def test_a_claim_is_for_the_connections_and_one_second_at_most(
    rate: SendRate, burst: float, batch: int
) -> None:
    assert rate.burst == burst
    assert most_to_claim(10, rate) == batch
    assert most_to_claim(1, rate) == min(2, batch)


def test_a_bucket_fills_with_time_and_no_further_than_its_brim() -> None:
    rate = SendRate(100, 1)
    assert filled(3, 0.25, rate) == 28
    assert filled(3, 3600, rate) == 100
    assert filled(3, -3600, rate) == 3
    # The rate was lowered.
    assert filled(100, 0, SendRate(5, 1)) == 5


@pytest.mark.parametrize(
    ("tokens", "rate", "seconds"),
    [
        (0, SendRate(1, DAY), DAY),
        (0.5, SendRate(5, 3600), 360),
        (0.75, SendRate(100, 1), 0.0025),
        (1, SendRate(1, DAY), 0),
        (7.5, SendRate(100, 1), 0),
    ],
)
def test_the_next_token_is_foretold(tokens: float, rate: SendRate, seconds: float) -> None:
    assert until_next(tokens, rate) == pytest.approx(seconds)
    assert filled(tokens, seconds, rate) >= 1 - 1e-9


rates = st.builds(SendRate, st.integers(1, 1000), st.sampled_from([1.0, 60.0, 3600.0, DAY]))


class Bucket:
    """What the row of the database does, without one: spending, refunds, and a clock that may jump."""

    def __init__(self, rate: SendRate) -> None:
        self.rate, self.tokens = rate, 1.0

    def spend(self, elapsed: float, wanted: int) -> int:
        self.tokens = filled(self.tokens, elapsed, self.rate)
        number = min(wanted, int(self.tokens))
        self.tokens -= number
        return number


@given(rates, st.lists(st.tuples(st.floats(0, 15), st.integers(0, 2000)), max_size=60))
def test_no_ten_seconds_see_more_than_the_rate_and_one_batch(
    rate: SendRate, turns: list[tuple[float, int]]
) -> None:
    bucket, now = Bucket(rate), 0.0
    taken: list[tuple[float, int]] = []
    for elapsed, wanted in turns:
        now += elapsed
        taken.append((now, bucket.spend(elapsed, wanted)))
    for begin, _ in taken:
        in_window = sum(number for at, number in taken if begin <= at < begin + 10)
        assert in_window <= rate.per_second * 10 + rate.burst + 1e-6


@given(rates, st.lists(st.integers(0, 100), min_size=1, max_size=50))
def test_whoever_waits_as_foretold_gets_the_whole_rate(rate: SendRate, wishes: list[int]) -> None:
    bucket, now, taken = Bucket(rate), 0.0, 0
    for wanted in wishes:
        wait = until_next(bucket.tokens, rate)
        now += wait
        taken += bucket.spend(wait, max(1, wanted))
    assert taken == pytest.approx(1 + now * rate.per_second, abs=1 + 1e-6)


@given(rates, st.lists(st.floats(-1e6, 1e6), max_size=50))
def test_a_clock_that_jumps_takes_nothing_away(rate: SendRate, jumps: list[float]) -> None:
    tokens = 0.5
    for jump in jumps:
        later = filled(tokens, jump, rate)
        assert tokens <= later <= rate.burst
        tokens = later


# The throttle.


def test_connections_are_halved_down_to_one() -> None:
    throttle = Throttle(10, middle)
    assert not throttle.is_slowed
    seen = []
    for turn in range(4):
        assert throttle.slow_down(10.0 + turn * BURST_SECONDS) == (0 if turn < 3 else 1)
        seen.append(throttle.allowed)
    assert seen == [5, 2, 1, 1]
    assert throttle.is_slowed


def test_a_burst_of_replies_counts_once() -> None:
    throttle = Throttle(10, middle)
    for moment in (10.0, 10.0, 10.5, 10.99):
        throttle.slow_down(moment)
    assert throttle.allowed == 5


def test_the_last_connection_pauses_for_ever_longer() -> None:
    throttle, now, pauses = Throttle(1, middle), 10.0, []
    for _ in range(11):
        pause = throttle.slow_down(now)
        # What the relay says of mails from before the pause is about no more than that.
        assert throttle.slow_down(now + pause / 2) == 0
        assert not throttle.may_begin(now + pause * 0.99)
        pauses.append(pause)
        now += pause
        assert throttle.may_begin(now)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    throttle.went_well()
    assert not throttle.is_slowed
    assert throttle.slow_down(now) == 1


def test_connections_come_back_one_by_one_and_ever_more_slowly() -> None:
    throttle = Throttle(5, middle)
    throttle.slow_down(10.0)
    throttle.slow_down(20.0)
    seen = []
    for _ in range(1 + 2 + 3 + 4 + 5):
        throttle.went_well()
        seen.append(throttle.allowed)
    assert seen == [2, 2, 3, 3, 3, 4, 4, 4, 4, *[5] * 6]
    assert not throttle.is_slowed


def test_what_went_well_before_a_slow_down_does_not_count_after_it() -> None:
    throttle = Throttle(8, middle)
    throttle.slow_down(10.0)
    for _ in range(3):
        throttle.went_well()
    throttle.slow_down(20.0)
    assert throttle.allowed == 2
    throttle.went_well()
    assert throttle.allowed == 2


@given(st.integers(1, 50), st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=100))
def test_there_is_always_at_least_one_connection_and_never_one_too_many(
    connections: int, course: list[float | None]
) -> None:
    throttle, now = Throttle(connections, middle), 0.0
    for elapsed in course:
        before = throttle.allowed
        if elapsed is None:
            throttle.went_well()
            assert throttle.allowed - before in (0, 1)
        else:
            now += elapsed
            throttle.slow_down(now)
            assert throttle.allowed in (before, before // 2)
        assert 1 <= throttle.allowed <= connections


# The breaker.


def trips(breaker: Breaker, course: Iterable[Verdict], digest_id: int = 7) -> int | None:
    """After how many attempts the digest was paused."""
    for number, found in enumerate(course, 1):
        if breaker.note(digest_id, found, "it said", 10.0):
            return number
    return None


@pytest.mark.parametrize("connections", [1, 2, 4, 10, 50])
def test_doubts_in_a_row_pause_the_digest(connections: int) -> None:
    breaker = Breaker(connections)
    assert trips(breaker, [DOUBT] * 200) == 2 * connections
    # It has forgotten, and begins to count anew.
    assert trips(breaker, [DOUBT] * 200) == 2 * connections


@pytest.mark.parametrize(
    ("connections", "at_once", "attempts"),
    [(1, 1, 2), (2, 1, 4), (3, 1, 6), (10, 1, 6), (50, 1, 6), (10, 10, 15), (50, 50, 55)],
)
def test_doubts_one_after_the_other_pause_the_digest_soon(
    connections: int, at_once: int, attempts: int
) -> None:
    """As many as were under way at once, and then one at the end of each rest."""
    breaker, now = Breaker(connections), 10.0
    for number in range(1, attempts + 1):
        reason = breaker.note(7, DOUBT, "it said", now)
        assert (reason is not None) == (number == attempts)
        if number >= at_once:
            now += pause_seconds(number - at_once + 1, middle)
    assert now <= 10 + 1 + 2 + 4 + 8 + 16 + 32


def test_a_relay_that_goes_away_now_and_then_pauses_nothing() -> None:
    breaker = Breaker(10)
    for minute in range(100):
        assert not any(breaker.note(7, DOUBT, "it said", 60.0 * minute) for _ in range(10))
        assert breaker.note(7, SENT, "it said", 60.0 * minute + 10) is None


@pytest.mark.parametrize("refusal", [POLICY, HARD])
@pytest.mark.parametrize(
    ("connections", "attempts"), [(1, 4), (2, 4), (3, 4), (4, 5), (10, 11), (50, 20)]
)
def test_a_digest_that_nobody_may_have_is_paused_at_once(
    refusal: Verdict, connections: int, attempts: int
) -> None:
    assert trips(Breaker(connections), [refusal] * 200) == attempts
    # While the last one of these was answered, all other connections had a mail under way.
    if connections > 1:
        assert attempts + connections - 1 <= max(2 * connections, 5)


@pytest.mark.parametrize("connections", [1, 2, 4, 10, 50])
@pytest.mark.parametrize("refusal", [POLICY, HARD])
def test_one_bad_address_in_twenty_pauses_nothing(connections: int, refusal: Verdict) -> None:
    for seed in range(20):
        course = [refusal] * 50 + [SENT] * 950
        random.Random(seed).shuffle(course)
        assert trips(Breaker(connections), course) is None, seed


def test_one_bad_address_in_three_pauses_the_digest_within_a_hundred_or_so() -> None:
    for seed in range(30):
        course = [HARD] * 1000 + [SENT] * 2000
        random.Random(seed).shuffle(course)
        attempts = trips(Breaker(10), course)
        assert attempts is not None, seed
        assert attempts <= WINDOW, seed


@pytest.mark.parametrize(
    ("connections", "course", "attempts"),
    [
        # Any answer ends a row of doubts.
        *((4, [*[DOUBT] * 7, answer, *[DOUBT] * 7], None) for answer in (SENT, LATER, HARD, FULL)),
        # What was given back is no attempt.
        (4, [*[DOUBT] * 7, *[RELEASE] * 50], None),
        (4, [*[DOUBT] * 7, *[RELEASE] * 50, DOUBT], 58),
        # Addresses that the relay cannot write down are not counted, nor do they hide what is.
        (1, [UNSUPPORTED_EAI] * 200, None),
        (1, [UNSUPPORTED_EAI, POLICY] * 200, 8),
        # A relay that begins to refuse everything pauses the digest.
        (1, [SENT] * 500 + [POLICY] * 200, 508),
        (4, [SENT] * 500 + [POLICY] * 200, 508),
        (7, [SENT] * 500 + [POLICY] * 200, 508),
        (10, [SENT] * 500 + [POLICY] * 200, 511),
        # A run of a few bad addresses pauses nothing.
        *((4, ([SENT] * 100 + [refusal] * FEW) * 20, None) for refusal in (POLICY, HARD)),
        *((1, [refusal] * 3 + [SENT] * 57, None) for refusal in (POLICY, HARD)),
        # Only the last attempts count: the first refuses 17 of them.
        (4, ([POLICY] + [SENT] * 5) * 100, None),
        (4, ([POLICY] + [SENT] * 4) * 100, 96),
        # What is no refusal pauses nothing.
        *((1, [found] * 1000, None) for found in (SENT, LATER, FULL)),
    ],
)
def test_what_pauses_a_digest_and_what_does_not(
    connections: int, course: list[Verdict], attempts: int | None
) -> None:
    assert trips(Breaker(connections), course) == attempts


def test_each_digest_has_its_own_count() -> None:
    breaker = Breaker(4)
    assert trips(breaker, [POLICY] * 4, digest_id=1) is None
    assert trips(breaker, [POLICY] * 4, digest_id=2) is None
    assert trips(breaker, [POLICY], digest_id=1) == 1


def test_digests_of_long_ago_are_forgotten() -> None:
    breaker = Breaker(4)
    trips(breaker, [POLICY] * 4, digest_id=1)
    for digest_id in range(2, 1000):
        breaker.note(digest_id, POLICY, "it said", 10.0)
    assert len(breaker._courses) == 100
    assert trips(breaker, [POLICY], digest_id=1) is None


def test_the_reason_says_what_happened_and_what_the_relay_said_last() -> None:
    breaker = Breaker(1)
    lost, spam = "the connection was lost", "554 5.7.1 <me@example.com>: spam"
    assert [breaker.note(12, DOUBT, lost, 10.0) for _ in range(2)][-1] == (
        "2 mails in a row ended in doubt, the last one with: the connection was lost"
    )
    assert [breaker.note(12, POLICY, spam, 10.0) for _ in range(4)][-1] == (
        "the relay refused 4 mails in a row, the last one with: 554 5.7.1 <***>: spam"
    )
    assert [breaker.note(12, found, spam, 10.0) for found in [SENT, HARD] * 20][-1] == (
        "the relay refused 20 of the last 40 mails, the last one with: 554 5.7.1 <***>: spam"
    )


def test_the_third_refusal_of_us_pauses_everything() -> None:
    said = "535 5.7.8 no such user me@example.com"
    assert [number for number in range(10) if why_pause_all(number, said)] == [3, 6, 9]
    assert why_pause_all(3, said) == "the relay refuses us: 535 5.7.8 no such user ***"
