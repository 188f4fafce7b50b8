"""Whether a refusal is of one sender or of us: what rests, for how long, and what staff must mend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.ledger.transitions import RowId
from mailer.models import Delivery, Notice
from mailer.sending.flow_control.attempt import Attempt, Conclusion, SenderId, sender_id
from mailer.sending.flow_control.refused_senders import (
    PERMANENT_REFUSALS,
    TEMPORARY_REFUSALS,
    RefusedSenders,
)
from mailer.sending.smtp.events import Step
from mailer.sending.smtp.verdict import OnDelivery, OnRun, Verdict

A = sender_id("a@news.example", "a@news.example")
B = sender_id("b@news.example", "b@news.example")
C = sender_id("c@news.example", "c@news.example")
DIGEST_OF_B = 7
ANSWER = "550 5.7.1 <b@news.example>: sender rejected"


def senders() -> RefusedSenders:
    return RefusedSenders(lambda: 0.5)


def refused(
    all_of_them: RefusedSenders,
    sender: SenderId = B,
    now: float = 0.0,
    *,
    digest_id: int | None = DIGEST_OF_B,
    permanent: bool = True,
    knew_the_reader: bool = False,
) -> Conclusion:
    row = RowId(Notice if digest_id is None else Delivery, 1)
    run = OnRun.STOP if permanent else OnRun.BACK_OFF
    verdict = Verdict(OnDelivery.RELEASE, run=run, is_about_sender=True)
    step = Step.RCPT if knew_the_reader else Step.MAIL
    return all_of_them.on_refused(Attempt(row, digest_id, sender), step, verdict, ANSWER, now)


def is_ours(conclusion: Conclusion) -> bool:
    return conclusion.verdict.run is not OnRun.GO_ON


def is_one_readers(conclusion: Conclusion) -> bool:
    return not conclusion.verdict.is_about_sender


@pytest.mark.parametrize(
    ("from_address", "envelope", "same"),
    [
        ("b@news.example", "bounce+0123456789@news.example", True),
        ("B@News.example", "b@NEWS.example", True),
        ("b@news.example", "bounce+0123456789@bounces.example", False),
        ("c@news.example", "b@news.example", False),
    ],
)
def test_of_the_envelope_its_domain_alone_tells_senders_apart(
    from_address: str, envelope: str, same: bool
) -> None:
    assert (sender_id(from_address, envelope) == B) is same


TOOK = "took"
STEPS = [
    # What happened before, and then: whose refusal it is, and whether it pauses the digest.
    ([], True, False),
    ([(A, TOOK)], False, False),
    ([(B, TOOK)], True, False),
    ([(A, TOOK), (A, "refused")], True, False),
    ([(A, TOOK), (A, "refused"), (C, TOOK)], False, False),
    ([(B, "refused"), (A, TOOK)], False, False),
    ([(A, TOOK), (B, "refused"), (B, "refused")], False, True),
    ([(A, TOOK), (B, "refused"), (B, "refused"), (A, "refused")], True, False),
    ([(A, TOOK), (B, "refused"), (B, "refused"), (B, TOOK)], False, False),
]


def after(before: list[tuple[SenderId, str]]) -> tuple[RefusedSenders, float]:
    """Return what is known after all that, and the time."""
    found, now = senders(), 0.0
    for sender, what in before:
        if what == TOOK:
            found.on_accepted(sender)
        else:
            refused(found, sender, now)
        now += 60
    return found, now


@pytest.mark.parametrize(("before", "ours", "pauses"), STEPS)
def test_it_is_the_sender_while_another_one_is_accepted(
    before: list[tuple[SenderId, str]], ours: bool, pauses: bool
) -> None:
    found, now = after(before)
    conclusion = refused(found, B, now)
    assert conclusion.verdict.delivery is OnDelivery.RELEASE
    assert is_ours(conclusion) is ours
    assert [pause.digest_id for pause in conclusion.pauses] == [DIGEST_OF_B] * pauses


@pytest.mark.parametrize(
    ("before", "permanent", "delivery", "run", "tells_staff"),
    [
        ([], True, OnDelivery.RELEASE, OnRun.STOP, False),
        ([], False, OnDelivery.RELEASE, OnRun.BACK_OFF, False),
        ([(B, "refused")] * 2, True, OnDelivery.DEFER, OnRun.STOP, True),
        ([(B, "refused")] * 5, False, OnDelivery.DEFER, OnRun.BACK_OFF, True),
        ([(A, TOOK)], True, OnDelivery.DEFER, OnRun.GO_ON, True),
        ([(A, TOOK)], False, OnDelivery.DEFER, OnRun.GO_ON, False),
        ([(A, TOOK), *[(B, "refused")] * 5], False, OnDelivery.DEFER, OnRun.GO_ON, True),
    ],
)
def test_what_becomes_of_a_notice_whose_sender_is_refused(
    before: list[tuple[SenderId, str]],
    permanent: bool,
    delivery: OnDelivery,
    run: OnRun,
    tells_staff: bool,
) -> None:
    found, now = after(before)
    verdict, wait, pauses, turned_away = refused(found, B, now, digest_id=None, permanent=permanent)
    assert (verdict.delivery, verdict.run, wait, pauses) == (delivery, run, None, ())
    assert turned_away is not None
    assert turned_away.reason == ("550 5.7.1 <***>: sender rejected" if tells_staff else None)


@pytest.mark.parametrize(
    ("permanent", "most", "rests"),
    [
        (True, PERMANENT_REFUSALS, [2, 3, 5, 5]),
        (False, TEMPORARY_REFUSALS, [2, 3, 5, 9, 17, 33, 33]),
    ],
)
def test_a_refused_sender_is_asked_ever_more_seldom_and_then_given_up(
    permanent: bool, most: int, rests: list[float]
) -> None:
    found, now = senders(), 0.0
    found.on_accepted(A)
    for number, rest in enumerate(rests, 1):
        assert bool(refused(found, now=now, permanent=permanent).pauses) is (number >= most)
        # What was on its way is refused with it.
        refused(found, now=now + 0.1, permanent=permanent)
        assert DIGEST_OF_B in found.paused_digests(now + rest - 0.01)
        assert not found.admits(B, DIGEST_OF_B, now + rest - 0.01)
        now += rest
        assert found.paused_digests(now) == set()
        assert found.admits(B, DIGEST_OF_B, now)
        # It goes one at a time.
        assert not found.admits(B, 8, now)
        assert found.paused_digests(now) == {DIGEST_OF_B, 8}
    assert found.admits(A, 9, now)
    assert found.addresses == {"b@news.example"}
    found.on_accepted(B)
    assert found.admits(B, DIGEST_OF_B, now)
    assert found.admits(B, 8, now)
    assert (found.addresses, found.paused_digests(now)) == (set(), set())


def test_a_probe_without_an_answer_holds_nothing_up_for_ever() -> None:
    found = senders()
    refused(found)
    assert found.admits(B, DIGEST_OF_B, 10.0)
    assert not found.admits(B, DIGEST_OF_B, 10.1)
    assert found.admits(B, DIGEST_OF_B, 20.0)


def test_one_readers_system_that_minds_the_sender_stops_nobody() -> None:
    found = senders()
    found.on_accepted(A)
    for now in range(20):
        found.on_accepted(B)
        assert is_one_readers(refused(found, now=now, knew_the_reader=True))
        assert found.admits(B, DIGEST_OF_B, now)
    assert not is_one_readers(refused(found, now=20, knew_the_reader=True))
    assert not found.admits(B, DIGEST_OF_B, 20)


def test_a_relay_that_tells_only_when_it_knows_the_reader_is_believed_at_once() -> None:
    found = senders()
    found.on_accepted(A)
    assert not is_one_readers(refused(found, knew_the_reader=True))
    assert not found.admits(B, DIGEST_OF_B, 1.9)


def test_senders_of_long_ago_are_forgotten() -> None:
    found = senders()
    refused(found)
    for number in range(1000):
        found.on_accepted(sender_id(f"{number}@news.example", f"{number}@news.example"))
    assert found.addresses == set()


events = st.lists(
    st.tuples(
        st.sampled_from([A, B, C]),
        st.sampled_from(["took", "refused", "refused for now", "begins"]),
        st.floats(0, 10),
    ),
    max_size=60,
)


@given(events)
def test_a_refused_sender_costs_the_others_nothing(
    course: list[tuple[SenderId, str, float]],
) -> None:
    found, now = senders(), 0.0
    last: dict[SenderId, bool] = {}
    digests = {A: 1, B: 2, C: 3}
    for sender, what, elapsed in course:
        now += elapsed
        if what == "took":
            found.on_accepted(sender)
            last[sender] = True
        elif what == "begins":
            allowed = found.admits(sender, digests[sender], now)
            # Whoever was not refused always may, and who was is resting when it may not.
            assert allowed or not last[sender]
            assert allowed or digests[sender] in found.paused_digests(now)
        else:
            permanent = what == "refused"
            conclusion = refused(found, sender, now, digest_id=digests[sender], permanent=permanent)
            last[sender] = False
            assert is_ours(conclusion) is not any(last.values())
        assert found.addresses == {sender.from_address for sender in last if not last[sender]}
        assert found.paused_digests(now) <= {digests[one] for one in last if not last[one]}
        assert found.paused_digests(now + 3600) == set()
