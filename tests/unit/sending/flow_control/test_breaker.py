"""What pauses a digest by itself, and what does not."""

import random
from collections.abc import Iterable

import pytest

from mailer.ledger.digest_state import Pause
from mailer.sending.flow_control.back_off import pause_seconds
from mailer.sending.flow_control.breaker import FEW, WINDOW, Breaker
from mailer.sending.smtp.verdict import UNSUPPORTED_EAI, OnDelivery, OnReader, OnRun, Verdict

SENT = Verdict(OnDelivery.SENT)
POLICY = Verdict(OnDelivery.FAIL, run=OnRun.COUNT)
HARD = Verdict(OnDelivery.FAIL, OnReader.HARD_BOUNCE)
FULL = Verdict(OnDelivery.FAIL, OnReader.SOFT_BOUNCE)
LATER = Verdict(OnDelivery.DEFER)
DOUBT = Verdict(OnDelivery.DOUBT)
RELEASE = Verdict(OnDelivery.RELEASE, run=OnRun.BACK_OFF)


def middle() -> float:
    return 0.5


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
        pause = breaker.note(7, DOUBT, "it said", now)
        assert (pause is not None) == (number == attempts)
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
    assert len(breaker._windows) == 100
    assert trips(breaker, [POLICY], digest_id=1) is None


def test_the_reason_says_what_happened_and_what_the_relay_said_last() -> None:
    breaker = Breaker(1)
    lost, spam = "the connection was lost", "554 5.7.1 <me@example.com>: spam"
    assert [breaker.note(12, DOUBT, lost, 10.0) for _ in range(2)][-1] == Pause(
        12, "2 mails in a row ended in doubt, the last one with: the connection was lost"
    )
    assert [breaker.note(12, POLICY, spam, 10.0) for _ in range(4)][-1] == Pause(
        12, "the relay refused 4 mails in a row, the last one with: 554 5.7.1 <***>: spam"
    )
    assert [breaker.note(12, found, spam, 10.0) for found in [SENT, HARD] * 20][-1] == Pause(
        12, "the relay refused 20 of the last 40 mails, the last one with: 554 5.7.1 <***>: spam"
    )


def test_notices_are_not_counted() -> None:
    breaker = Breaker(1)
    assert not any(breaker.note(None, POLICY, "it said", 10.0) for _ in range(100))
