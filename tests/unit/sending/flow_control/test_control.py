"""Whatever happens, mail may go out within minutes, and a relay that takes it again is used in full."""

from hypothesis import given
from hypothesis import strategies as st

from mailer.ledger.transitions import RowId
from mailer.models import Delivery, Notice
from mailer.sending.flow_control.attempt import Attempt, SenderId
from mailer.sending.flow_control.control import FlowControl
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import SENT, Lost, OnDelivery, Unopened, verdict_on

A_MAIL_WAITS_AT_MOST = 300 * 1.2 + 1

ATTEMPTS = [
    Attempt(RowId(Delivery, 1), 7, SenderId("a@news.example", "news.example")),
    Attempt(RowId(Delivery, 2), 8, SenderId("b@news.example", "news.example")),
    Attempt(RowId(Notice, 3), None, SenderId("c@news.example", "news.example")),
]
BUSY, NO_SENDER = Reply(452, ("4.3.1 busy",)), Reply(550, ("5.1.8 no such sender",))
ANSWERS: list[tuple[Step, Reply | Lost]] = [
    *((Step.DOT, BUSY), (Step.DOT, Lost.DROP), (Step.DOT, Reply(550, ("5.7.1 spam",)))),
    *((Step.MAIL, NO_SENDER), (Step.RCPT, NO_SENDER), (Step.MAIL, Reply(451, ("4.1.8 domain",)))),
    *((Step.DATA, Reply(421)), (Step.RCPT, Lost.TIMEOUT), (Step.MAIL, Reply(530))),
]
FAILURES: list[tuple[Step, Reply | Lost]] = [
    *((Step.CONNECT, Lost.TIMEOUT), (Step.GREETING, Reply(421)), (Step.AUTH, Reply(535))),
]

answered = st.tuples(st.sampled_from(ATTEMPTS), st.sampled_from(ANSWERS))
sent = st.tuples(st.sampled_from(ATTEMPTS))
unopened = st.tuples(st.sampled_from(FAILURES), st.integers(0, 4))
events = st.lists(
    st.tuples(st.floats(0, 400), st.one_of(answered, sent, unopened)), min_size=10, max_size=60
)


@given(st.integers(1, 8), st.floats(0, 1, exclude_max=True), events)
def test_it_always_recovers(
    connections: int, chance: float, course: list[tuple[float, tuple[object, ...]]]
) -> None:
    flow, now = FlowControl(connections, lambda: chance), 0.0
    for elapsed, event in course:
        now += elapsed
        _happen(flow, event, now)
        assert 1 <= flow.allowed <= connections
        assert 1 <= flow.room(now) <= connections
        assert flow.may_begin(now + A_MAIL_WAITS_AT_MOST)
        assert flow.paused_digests(now + A_MAIL_WAITS_AT_MOST) == set()
    for _ in range(connections * connections + 1):
        now += A_MAIL_WAITS_AT_MOST
        for attempt in ATTEMPTS:
            assert flow.admits(attempt.sender, attempt.digest_id, now)
            assert flow.on_answer(attempt, Step.DOT, SENT, "250 ok", now) == (SENT, None, (), None)
        flow.on_connections(flow.room(now))
    assert flow.allowed == flow.room(now) == connections
    assert (flow.refused_addresses, flow.why_idle(connections, now)) == (set(), None)


def _happen(flow: FlowControl, event: tuple[object, ...], now: float) -> None:
    match event:
        case Attempt() as attempt, (Step() as step, Reply() | Lost() as said):
            verdict, wait, pauses, turned_away = flow.on_answer(
                attempt, step, verdict_on(step, said), str(said), now
            )
            assert wait is None or (
                verdict.delivery is OnDelivery.RELEASE and 1 < wait <= A_MAIL_WAITS_AT_MOST
            )
            # An answer pauses the digest that it is about, or all sending, but no other digest.
            assert turned_away is None or turned_away.row == attempt.row
            assert {pause.digest_id for pause in pauses} <= {attempt.digest_id, None}
        case (Attempt() as attempt,):
            flow.on_answer(attempt, Step.DOT, SENT, "250 ok", now)
        case (Step() as step, Reply() | Lost() as said), int(others):
            flow.on_unopened(Unopened(step, said, str(said)), others, now)
