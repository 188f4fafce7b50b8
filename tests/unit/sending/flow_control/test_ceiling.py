"""A relay that allows fewer connections than the settings: which are opened, and when."""

from dataclasses import dataclass, field, replace

from mailer.ledger.digest_state import Pause
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import Unopened

CONNECTIONS = 10
TOO_MANY = Unopened(Step.GREETING, Reply(421), "421 too many connections")


def middle() -> float:
    return 0.5


@dataclass
class Crowd:
    """Connections to a relay with a limit, opened as the ceiling says; the clock is a number.

    Attributes:
        limit: how many the relay allows at once, now.
        tries: when one was opened, and whether it was let in.
    """

    limit: int
    flow: FlowControl = field(default_factory=lambda: FlowControl(CONNECTIONS, middle))
    number: int = 0
    tries: list[tuple[float, bool]] = field(default_factory=list)

    def go_on(self, begin: float, end: float) -> None:
        """Every tenth of a second, open whatever there is room for, one after the other."""
        for tenth in range(round(begin * 10), round(end * 10)):
            now = tenth / 10
            while self.number < self.flow.room(now):
                is_let_in = self.number < self.limit
                self.tries.append((now, is_let_in))
                if is_let_in:
                    self.number += 1
                    self.flow.on_connections(self.number)
                else:
                    self.flow.on_unopened(TOO_MANY, self.number, now)

    @property
    def refused_at(self) -> list[float]:
        return [at for at, is_let_in in self.tries if not is_let_in]


def test_a_relay_without_a_limit_is_used_in_full_at_once() -> None:
    crowd = Crowd(limit=CONNECTIONS)
    crowd.go_on(0, 5)
    assert crowd.tries == [(0.0, True)] * CONNECTIONS


def test_one_more_is_tried_ever_more_rarely() -> None:
    crowd = Crowd(limit=5)
    crowd.go_on(0, 3600)
    assert crowd.number == 5
    assert crowd.flow.allowed == 5
    doubling = [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 127.0, 255.0, 511.0]
    assert crowd.refused_at == doubling + [811.0 + 300 * number for number in range(10)]


def test_one_that_ended_is_opened_anew_at_once() -> None:
    crowd = Crowd(limit=5)
    crowd.go_on(0, 20)
    crowd.tries.clear()
    crowd.number = 3
    crowd.go_on(20, 31)
    assert crowd.tries == [(20.0, True)] * 2


def test_a_relay_that_allows_more_later_is_used_in_full() -> None:
    crowd = Crowd(limit=5)
    crowd.go_on(0, 20)
    crowd.tries.clear()
    crowd.limit = 8
    crowd.go_on(20, 35)
    # The wait that was on is the only one before all that it allows are open.
    assert crowd.tries == [(31.0, True)] * 3 + [(31.0, False), (32.0, False), (34.0, False)]
    crowd.limit = 20
    crowd.go_on(35, 60)
    assert crowd.number == crowd.flow.allowed == CONNECTIONS


def test_one_that_is_refused_below_the_ceiling_is_tried_again_soon() -> None:
    """The relay may not have noticed yet that the one before it has ended."""
    crowd = Crowd(limit=5)
    crowd.go_on(0, 200)
    assert crowd.refused_at[-1] == 127.0
    crowd.tries.clear()
    crowd.number, crowd.limit = 4, 4
    crowd.go_on(200, 200.5)
    assert crowd.tries == [(200.0, False)]
    crowd.limit = 5
    crowd.go_on(200.5, 201.5)
    assert crowd.number == 5
    assert crowd.tries[1] == (201.0, True)


def test_those_that_are_refused_together_are_one_refusal() -> None:
    flow = FlowControl(CONNECTIONS, middle)
    flow.on_connections(5)
    # Four were being opened at a time, beside three that were open: two of them are let in.
    for others, now in ((6, 10.0), (5, 10.1), (5, 10.2)):
        flow.on_unopened(TOO_MANY, others, now)
    flow.on_connections(5)
    assert (flow.allowed, flow.room(11.0), flow.room(11.1)) == (5, 5, 6)


def test_those_that_were_open_when_it_was_tried_count_though_they_have_ended() -> None:
    flow = FlowControl(CONNECTIONS, middle)
    flow.on_unopened(replace(TOO_MANY, beside=4), 0, 10.0)
    assert flow.may_begin(10.0)
    assert flow.allowed == 4


def test_it_is_no_sign_that_the_relay_is_down() -> None:
    flow = FlowControl(CONNECTIONS, middle)
    flow.on_connections(5)
    flow.on_unopened(TOO_MANY, 5, 10.0)
    assert flow.may_begin(10.0)
    assert flow.allowed == flow.room(10.9) == 5
    assert flow.room(11.0) == 6
    assert flow.why_idle(1, 10.0) is None
    # One that fails is.
    flow.on_lost("the connection was lost", 10.0)
    assert not flow.may_begin(10.9)
    assert flow.allowed == flow.room(11.0) == 1
    # It says so until it has taken mail again, also while nobody waits.
    why = "the relay failed: the connection was lost; "
    assert flow.why_idle(0, 10.0) == f"{why}next try in 1 s"
    assert flow.why_idle(0, 11.1) == f"{why}the next mail will try again"


def test_the_third_refusal_of_us_pauses_everything() -> None:
    flow, said = FlowControl(CONNECTIONS, middle), "535 5.7.8 no such user me@example.com"
    failure = Unopened(Step.AUTH, Reply(535), said)
    pauses = [flow.on_unopened(failure, 0, 1000.0 * number) for number in range(1, 10)]
    pause = Pause(None, "the relay refuses us: 535 5.7.8 no such user ***")
    assert pauses == [None, None, pause] * 3
