"""A relay that failed is left alone, longer each time."""

from hypothesis import given
from hypothesis import strategies as st

from mailer.sending.flow_control.back_off import LONGEST_PAUSE_SECONDS, BackOff, pause_seconds


def middle() -> float:
    return 0.5


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_relay_is_left_alone_for_ever_longer_up_to_five_minutes(
    failures: int, chance: float
) -> None:
    assert 0.8 <= pause_seconds(failures, lambda: chance) <= LONGEST_PAUSE_SECONDS * 1.2


def test_the_pause_doubles() -> None:
    assert [pause_seconds(failures, middle) for failures in (1, 2, 3, 9, 10, 99)] == [
        1,
        2,
        4,
        256,
        300,
        300,
    ]


def test_what_fails_while_the_relay_rests_is_the_same_failure() -> None:
    back_off = BackOff(middle)
    assert back_off.is_over(10.0)
    assert back_off.begin(10.0) == 1
    assert back_off.begin(10.9) is None
    assert not back_off.is_over(10.9)
    assert back_off.is_over(11.0)
    assert back_off.begin(11.0) == 2
    assert back_off.failures == 2


def test_an_answer_ends_it() -> None:
    back_off = BackOff(middle)
    back_off.begin(10.0)
    back_off.begin(11.0)
    back_off.end()
    assert back_off.begin(13.0) == 1


def test_a_relay_that_refuses_us_rests_like_any_other_and_is_counted() -> None:
    back_off = BackOff(middle)
    assert back_off.begin(10.0, stop=True) == 1
    assert back_off.begin(10.5, stop=True) is None
    assert back_off.begin(11.0) == 2
    assert back_off.begin(13.0, stop=True) == 4
    assert (back_off.failures, back_off.refusals) == (3, 2)
    back_off.end()
    assert back_off.refusals == 0
