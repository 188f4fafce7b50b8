"""What failed is left alone, longer each time."""

from hypothesis import given
from hypothesis import strategies as st

from mailer.sending.flow_control.back_off import (
    LONGEST_PAUSE_SECONDS,
    BackOff,
    pause_seconds,
    postponed_seconds,
)


def middle() -> float:
    return 0.5


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_it_is_left_alone_for_ever_longer_up_to_five_minutes(failures: int, chance: float) -> None:
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


def test_it_is_left_alone_twice_as_long_each_time_until_it_works() -> None:
    back_off = BackOff(middle)
    assert back_off.is_over(10.0)
    assert back_off.begin(10.0) == 1
    assert not back_off.is_over(10.9)
    assert back_off.is_over(11.0)
    assert back_off.begin(11.0) == 2
    assert (back_off.failures, back_off.over_at) == (2, 13.0)
    back_off.end()
    assert not back_off.is_over(12.9)
    assert back_off.begin(13.0) == 1


@given(st.integers(1, 20), st.floats(0, 1e4), st.floats(0, 1, exclude_max=True))
def test_a_mail_waits_longer_than_the_relay_on_which_it_may_have_failed(
    failures: int, pause: float, chance: float
) -> None:
    assert postponed_seconds(failures, pause, lambda: chance) > pause
