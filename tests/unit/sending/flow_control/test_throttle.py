"""Connections are halved when the relay is overrun, and come back one by one."""

from hypothesis import given
from hypothesis import strategies as st

from mailer.ledger.transitions import RowId
from mailer.models import Delivery
from mailer.sending.flow_control.attempt import NOBODY, Attempt
from mailer.sending.flow_control.control import BURST_SECONDS, FlowControl
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.verdict import SENT, OnDelivery, OnRun, Verdict

MAIL = Attempt(RowId(Delivery, 1), 7, NOBODY)
BUSY = Verdict(OnDelivery.DEFER, run=OnRun.SLOW_DOWN)


class Throttle:
    """Flow control of a relay that takes mail, or is overloaded."""

    def __init__(self, connections: int) -> None:
        self._flow = FlowControl(connections, lambda: 0.5)
        self._now = 0.0

    @property
    def allowed(self) -> int:
        return self._flow.allowed

    @property
    def is_slowed(self) -> bool:
        return self._flow.why_idle(1, self._now + 1e6) is not None

    def slow_down(self, now: float) -> float:
        """Return for how many more seconds nothing begins because of that."""
        self._now, before = now, self._paused_seconds(now)
        self._flow.on_answer(MAIL, Step.DOT, BUSY, "452 4.3.1 busy", now)
        return self._paused_seconds(now) - before

    def _paused_seconds(self, now: float) -> float:
        why = self._flow.why_idle(1, now) or ""
        return float(why.removesuffix(" s").rpartition("next try in ")[2]) if "try" in why else 0.0

    def on_accepted(self) -> None:
        self._flow.on_answer(MAIL, Step.DOT, SENT, "250 ok", self._now)

    def may_begin(self, now: float) -> bool:
        return self._flow.may_begin(now)


def test_connections_are_halved_down_to_one() -> None:
    throttle = Throttle(10)
    assert not throttle.is_slowed
    seen = []
    for turn in range(4):
        assert throttle.slow_down(10.0 + turn * BURST_SECONDS) == (0 if turn < 3 else 1)
        seen.append(throttle.allowed)
    assert seen == [5, 2, 1, 1]
    assert throttle.is_slowed


def test_a_burst_of_replies_counts_once() -> None:
    throttle = Throttle(10)
    for moment in (10.0, 10.0, 10.5, 10.99):
        throttle.slow_down(moment)
    assert throttle.allowed == 5


def test_the_last_connection_pauses_for_ever_longer() -> None:
    throttle, now, pauses = Throttle(1), 10.0, []
    for _ in range(11):
        pause = throttle.slow_down(now)
        # What the relay says of mails from before the pause is about no more than that.
        assert throttle.slow_down(now + pause / 2) == 0
        assert not throttle.may_begin(now + pause * 0.99)
        pauses.append(pause)
        now += pause
        assert throttle.may_begin(now)
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    throttle.on_accepted()
    assert not throttle.is_slowed
    assert throttle.slow_down(now) == 1


def test_connections_come_back_one_by_one_and_ever_more_slowly() -> None:
    throttle = Throttle(5)
    throttle.slow_down(10.0)
    throttle.slow_down(20.0)
    seen = []
    for _ in range(1 + 2 + 3 + 4 + 5):
        throttle.on_accepted()
        seen.append(throttle.allowed)
    assert seen == [2, 2, 3, 3, 3, 4, 4, 4, 4, *[5] * 6]
    assert not throttle.is_slowed


def test_what_on_accepted_before_a_slow_down_does_not_count_after_it() -> None:
    throttle = Throttle(8)
    throttle.slow_down(10.0)
    for _ in range(3):
        throttle.on_accepted()
    throttle.slow_down(20.0)
    assert throttle.allowed == 2
    throttle.on_accepted()
    assert throttle.allowed == 2


@given(st.integers(1, 50), st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=100))
def test_there_is_always_at_least_one_connection_and_never_one_too_many(
    connections: int, course: list[float | None]
) -> None:
    throttle, now = Throttle(connections), 0.0
    for elapsed in course:
        before = throttle.allowed
        if elapsed is None:
            throttle.on_accepted()
            assert throttle.allowed - before in (0, 1)
        else:
            now += elapsed
            throttle.slow_down(now)
            assert throttle.allowed in (before, before // 2)
        assert 1 <= throttle.allowed <= connections
