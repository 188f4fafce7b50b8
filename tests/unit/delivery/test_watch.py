"""Who is silent is decided by what one watcher saw, on its own monotonic clock."""

from hypothesis import given
from hypothesis import strategies as st

from mailer.delivery.heartbeat import Watch, interval


def test_a_worker_that_beats_is_never_silent() -> None:
    watch = Watch(60)
    assert [watch.observe({1: beat}, beat * 59.0) for beat in range(10)] == [frozenset()] * 10


def test_a_worker_that_stands_still_for_the_lease_is_silent() -> None:
    watch = Watch(60)
    assert watch.observe({1: 7, 2: 1}, 1000.0) == frozenset()
    assert watch.observe({1: 7, 2: 2}, 1059.9) == frozenset()
    assert watch.observe({1: 7, 2: 3}, 1060.0) == {1}


def test_a_new_watcher_holds_nobody_for_dead_before_a_lease_is_over() -> None:
    assert Watch(60).observe({1: 1}, 1e9) == frozenset()


def test_a_worker_that_beats_again_is_alive_again() -> None:
    watch = Watch(60)
    watch.observe({1: 7}, 0.0)
    assert watch.observe({1: 7}, 60.0) == {1}
    assert watch.observe({1: 8}, 61.0) == frozenset()


def test_a_beat_that_went_back_is_a_sign_of_life() -> None:
    # After a restored backup the count is lower; only standing still means death.
    watch = Watch(60)
    watch.observe({1: 7}, 0.0)
    assert watch.observe({1: 3}, 60.0) == frozenset()


def test_a_row_that_is_gone_is_forgotten() -> None:
    watch = Watch(60)
    watch.observe({1: 7}, 0.0)
    watch.observe({}, 30.0)
    assert watch.observe({1: 7}, 60.0) == frozenset()


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
def test_two_beats_may_fail_before_anybody_is_held_for_dead(lease: float) -> None:
    assert interval(lease) * 3 <= lease + 1e-6
    assert interval(lease) <= 5
