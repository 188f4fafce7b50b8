"""Who is silent is decided by what one watcher saw, on its own monotonic clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.ledger.heartbeat import Watch, interval

NOBODY: frozenset[int] = frozenset()


@pytest.mark.parametrize(
    "seen",
    [
        [({1: beat}, beat * 59.0, NOBODY) for beat in range(10)],
        [
            ({1: 7, 2: 1}, 1000.0, NOBODY),
            ({1: 7, 2: 2}, 1059.9, NOBODY),
            ({1: 7, 2: 3}, 1060.0, frozenset({1})),
        ],
        [({1: 1}, 1e9, NOBODY)],
        [({1: 7}, 0.0, NOBODY), ({1: 7}, 60.0, frozenset({1})), ({1: 8}, 61.0, NOBODY)],
        # After a restored backup the count is lower; only standing still means death.
        [({1: 7}, 0.0, NOBODY), ({1: 3}, 60.0, NOBODY)],
        [({1: 7}, 0.0, NOBODY), ({}, 30.0, NOBODY), ({1: 7}, 60.0, NOBODY)],
    ],
    ids=[
        "a worker that beats is never silent",
        "a worker that stands still for the lease is silent",
        "a new watch considers none dead before a lease is over",
        "a worker that beats again is alive again",
        "a beat that went back is a sign of life",
        "a row that is gone is forgotten",
    ],
)
def test_who_is_silent(seen: list[tuple[dict[int, int], float, frozenset[int]]]) -> None:
    watch = Watch(60)
    for beats, now, silent in seen:
        assert watch.observe(beats, now) == silent


@given(st.lists(st.floats(0.1, 59.9), min_size=1, max_size=50))
def test_no_pause_shorter_than_the_lease_makes_a_worker_silent(pauses: list[float]) -> None:
    watch = Watch(60)
    now = 0.0
    watch.observe({1: 0}, now)
    for beat, pause in enumerate(pauses, 1):
        now += pause
        assert watch.observe({1: beat - 1}, now) == frozenset()
        assert watch.observe({1: beat}, now) == frozenset()


@given(st.floats(2, 1e6))
def test_two_beats_may_fail_before_a_worker_is_considered_dead(lease: float) -> None:
    assert interval(lease) * 3 <= lease + 1e-6
    assert interval(lease) <= 5
