"""Whether a refusal is of one sender or of us: what rests, for how long, and what staff must mend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.sending.flow_control.refused_senders import (
    PERMANENT_REFUSALS,
    TEMPORARY_REFUSALS,
    RefusedSenders,
    SenderRefusal,
    sender_id,
)

A = sender_id("a@news.example", "a@news.example")
B = sender_id("b@news.example", "b@news.example")
C = sender_id("c@news.example", "c@news.example")
DIGEST_OF_B = 7


def senders() -> RefusedSenders:
    return RefusedSenders(lambda: 0.5)


def refused(
    all_of_them: RefusedSenders,
    sender: tuple[str, str] = B,
    now: float = 0.0,
    *,
    permanent: bool = True,
    knew_the_reader: bool = False,
) -> SenderRefusal | None:
    return all_of_them.on_refused(
        sender_id(*sender), DIGEST_OF_B, now, permanent=permanent, knew_the_reader=knew_the_reader
    )


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
    # What happened before, and then: whose refusal it is, and whether it was one too many.
    ([], True, False),
    ([(A, TOOK)], False, False),
    ([(B, TOOK)], True, False),
    ([(A, TOOK), (A, "refused")], True, False),
    ([(A, TOOK), (A, "refused"), (C, TOOK)], False, False),
    ([(B, "refused"), (A, TOOK)], False, False),
    ([(A, TOOK), (B, "refused"), (B, "refused")], False, True),
    ([(A, TOOK), (B, "refused"), (B, "refused"), (A, "refused")], True, True),
    ([(A, TOOK), (B, "refused"), (B, "refused"), (B, TOOK)], False, False),
]


@pytest.mark.parametrize(("before", "is_ours", "is_too_often"), STEPS)
def test_it_is_the_sender_while_another_one_is_accepted(
    before: list[tuple[tuple[str, str], str]], is_ours: bool, is_too_often: bool
) -> None:
    found, now = senders(), 0.0
    for sender, what in before:
        now += 60
        if what == TOOK:
            found.on_accepted(sender_id(*sender))
        else:
            refused(found, sender, now)
    refusal = refused(found, B, now + 60)
    assert refusal is not None
    assert (refusal.is_ours, refusal.is_too_often) == (is_ours, is_too_often)


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
        assert refused(found, now=now, permanent=permanent) == (False, number >= most, rest)
        # What was on its way is refused with it.
        assert refused(found, now=now + 0.1, permanent=permanent) == (False, number >= most, None)
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
        assert refused(found, now=now, knew_the_reader=True) is None
        assert found.admits(B, DIGEST_OF_B, now)
    assert refused(found, now=20, knew_the_reader=True) is not None
    assert not found.admits(B, DIGEST_OF_B, 20)


def test_a_relay_that_tells_only_when_it_knows_the_reader_is_believed_at_once() -> None:
    found = senders()
    found.on_accepted(A)
    assert refused(found, knew_the_reader=True) == (False, False, 2)


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
    course: list[tuple[tuple[str, str], str, float]],
) -> None:
    found, now = senders(), 0.0
    last: dict[tuple[str, str], bool] = {}
    digests = {A: 1, B: 2, C: 3}
    for sender, what, elapsed in course:
        now += elapsed
        one = sender_id(*sender)
        if what == "took":
            found.on_accepted(one)
            last[sender] = True
        elif what == "begins":
            allowed = found.admits(one, digests[one], now)
            # Whoever was not refused always may, and who was is resting when it may not.
            assert allowed or (last[sender] is False and digests[one] in found.paused_digests(now))
        else:
            permanent = what == "refused"
            refusal = found.on_refused(
                one, digests[one], now, permanent=permanent, knew_the_reader=False
            )
            last[sender] = False
            others = [taken for other, taken in last.items() if other != sender]
            assert refusal is not None
            assert refusal.is_ours is not any(others)
        assert found.addresses == {name for (name, _), taken in last.items() if not taken}
        assert found.paused_digests(now) <= {
            digests[sender_id(*one)] for one in last if not last[one]
        }
        assert found.paused_digests(now + 3600) == set()
