"""What the limits on sign-ups allow."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.rate import Rate, SignupLimits
from mailer.subscribers.signup_limits import (
    Allowance,
    SignupHistory,
    TooManySignups,
    decide,
    networks_of,
)
from tests.support.factories import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIMITS = SignupLimits(address=Rate(3, DAY), network=Rate(20, DAY), total=Rate(200, HOUR))


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (SignupHistory(), Allowance(True, NOW)),
        (SignupHistory(newest=ago(minutes=9, seconds=59)), Allowance(False, NOW)),
        (SignupHistory(newest=ago(minutes=10)), Allowance(True, NOW)),
        (SignupHistory(newest=ago(hours=2), nth_for_address=ago(hours=23)), Allowance(False, NOW)),
        (
            SignupHistory(nth_in_total=ago(minutes=20)),
            Allowance(True, NOW + timedelta(minutes=40), True),
        ),
        (
            SignupHistory(nth_in_total=ago(minutes=20), newest=NOW),
            Allowance(False, NOW + timedelta(minutes=40)),
        ),
        (SignupHistory(nth_in_total=NOW + HOUR, newest_held=NOW), Allowance(True, NOW + 2 * HOUR)),
    ],
)
def test_what_is_allowed(history: SignupHistory, expected: Allowance) -> None:
    assert decide(history, LIMITS, now=NOW) == expected


@pytest.mark.parametrize(
    "full",
    [
        SignupHistory(nth_for_network=ago(hours=23)),
        SignupHistory(nth_for_wider=ago(hours=23)),
        SignupHistory(nth_for_network=ago(hours=23), nth_for_wider=ago(hours=23.5)),
    ],
)
def test_a_full_network_is_told_when_its_oldest_request_counts_no_more(full: SignupHistory) -> None:
    with pytest.raises(TooManySignups) as caught:
        decide(full, LIMITS, now=NOW)
    assert caught.value.retry_after == HOUR


@given(st.lists(st.integers(0, 5000), max_size=60), st.integers(1, 5))
def test_in_any_window_no_more_go_out_than_the_total_allows(gaps: list[int], count: int) -> None:
    limits = SignupLimits(LIMITS.address, LIMITS.network, Rate(count, HOUR))
    released: list[datetime] = []
    now = NOW
    for gap in gaps:
        now += timedelta(seconds=gap)
        full = sorted((at for at in released if at > now - HOUR), reverse=True)
        nth = full[count - 1] if len(full) >= count else None
        released.append(decide(SignupHistory(nth_in_total=nth), limits, now=now).not_before)
    for earlier, later in zip(released, released[count:], strict=False):
        assert later - earlier >= HOUR
    assert released == sorted(released)


@pytest.mark.parametrize(
    ("ip", "networks"),
    [
        ("203.0.113.77", ("203.0.113.0/24", None)),
        ("2001:db8:1:2:3:4:5:6", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("::ffff:203.0.113.77", ("203.0.113.0/24", None)),
    ],
)
def test_networks_are_as_large_as_one_household_gets(
    ip: str, networks: tuple[str, str | None]
) -> None:
    assert networks_of(ip) == networks
