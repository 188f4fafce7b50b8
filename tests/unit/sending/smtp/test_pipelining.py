"""Mails that begin before the one ahead of them is answered (RFC 2920), driven reply by reply."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.sending.smtp.conversation import Conversation
from mailer.sending.smtp.events import Answered, BodyWritten, Closed, Envelope, Event, Ready, Step
from mailer.sending.smtp.reply import Reply

BODY = b"Subject: x\r\n\r\nHello\r\n"
GROUP = b"MAIL FROM:<news@example.com>\r\nRCPT TO:<reader%d@example.org>\r\nDATA\r\n"


def envelope(number: int) -> Envelope:
    return Envelope("news@example.com", f"reader{number}@example.org")


def opened() -> Conversation:
    """A conversation that is ready for a mail, with a relay that offers PIPELINING."""
    talk = Conversation("news.example.com")
    talk.receive(b"220 relay\r\n")
    talk.take()
    assert talk.receive(b"250-relay\r\n250 PIPELINING\r\n") == [Ready()]
    return talk


def begun() -> Conversation:
    """Mail 1 is in hand, and all of its group has been said."""
    talk = opened()
    talk.begin(envelope(1), BODY)
    assert talk.take() == GROUP % 1
    return talk


def overlapping() -> Conversation:
    """The final dot of mail 1 has gone out with the group of mail 2 behind it."""
    talk = begun()
    assert talk.receive(b"250 ok\r\n250 ok\r\n354 go\r\n") == [BodyWritten()]
    assert talk.take() == BODY
    talk.finish()
    talk.begin(envelope(2), BODY)
    assert talk.take() == b".\r\n" + GROUP % 2
    return talk


def answered(step: Step, code: int) -> Answered:
    return Answered(step, Reply(code, ("x",)))


def test_all_replies_of_a_group_are_awaited_in_order() -> None:
    talk = begun()
    for step in (Step.MAIL, Step.RCPT, Step.DATA):
        assert talk.step is step
        assert talk.take() == b""
        said = b"354 go\r\n" if step is Step.DATA else b"250 ok\r\n"
        events = talk.receive(said)
    assert events == [BodyWritten()]
    assert talk.step is Step.BLOCK


def test_the_next_body_waits_for_the_next_finish() -> None:
    talk = overlapping()
    events = talk.receive(b"250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    assert events == [answered(Step.DOT, 250), BodyWritten()]
    assert talk.take() == BODY
    assert talk.step is Step.BLOCK
    talk.finish()
    assert talk.take() == b".\r\n"
    assert talk.receive(b"250 x\r\n") == [answered(Step.DOT, 250), Ready()]


@pytest.mark.parametrize("code", [250, 450, 554])
def test_the_answer_to_a_dot_leaves_the_next_mail_alone(code: int) -> None:
    talk = overlapping()
    assert talk.receive(b"%d x\r\n" % code) == [answered(Step.DOT, code)]
    assert talk.step is Step.MAIL
    assert talk.receive(b"250 ok\r\n250 ok\r\n354 go\r\n") == [BodyWritten()]


@pytest.mark.parametrize("code", [450, 550])
def test_a_refused_reader_s_transaction_is_reset_once_data_is_answered(code: int) -> None:
    talk = begun()
    assert talk.receive(b"250 ok\r\n%d x\r\n" % code) == [answered(Step.RCPT, code)]
    assert (talk.take(), talk.step) == (b"", Step.DATA)
    assert talk.receive(b"554 no valid recipients\r\n") == []
    assert talk.take() == b"RSET\r\n"
    assert talk.receive(b"250 ok\r\n") == [Ready()]
    talk.begin(envelope(2), BODY)
    assert talk.take() == GROUP % 2
    assert talk.receive(b"250 ok\r\n250 ok\r\n354 go\r\n") == [BodyWritten()]


@pytest.mark.parametrize("code", [250, 554])
def test_a_relay_that_wants_a_mail_for_nobody_gets_an_empty_one(code: int) -> None:
    talk = begun()
    events = talk.receive(b"250 ok\r\n550 x\r\n354 go\r\n")
    assert events == [answered(Step.RCPT, 550)]
    assert talk.take() == b".\r\n"
    assert talk.receive(b"%d x\r\n" % code) == []
    assert talk.take() == b"RSET\r\n"
    assert talk.receive(b"250 ok\r\n") == [Ready()]


@pytest.mark.parametrize(
    ("said", "step", "code"),
    [
        (b"550 x\r\n503 no sender\r\n503 no sender\r\n", Step.MAIL, 550),
        (b"250 ok\r\n250 ok\r\n451 x\r\n", Step.DATA, 451),
    ],
    ids=["a refused sender", "a refused DATA"],
)
def test_a_refusal_is_answered_once_and_reset(said: bytes, step: Step, code: int) -> None:
    talk = begun()
    assert talk.receive(said) == [answered(step, code)]
    assert talk.take() == b"RSET\r\n"


@pytest.mark.parametrize(
    ("said", "step"),
    [
        (b"550 x\r\n250 ok\r\n354 go\r\n", Step.MAIL),
        (b"250 ok\r\n550 x\r\n421 bye\r\n", Step.RCPT),
    ],
    ids=["a recipient that is accepted without a sender", "421 behind a refusal"],
)
def test_what_ends_the_conversation_is_no_second_answer(said: bytes, step: Step) -> None:
    talk = begun()
    first, closed = talk.receive(said)
    assert first == answered(step, 550)
    assert isinstance(closed, Closed)
    assert talk.take() == b""


def test_421_to_the_dot_does_not_answer_for_the_next_mail() -> None:
    answer, closed = overlapping().receive(b"421 x\r\n")
    assert answer == answered(Step.DOT, 421)
    assert isinstance(closed, Closed)


# Everything a relay may say, in any pieces.


def relay_says(replies: Iterator[tuple[int, ...]], mails: int) -> tuple[list[bytes], list[Event]]:
    """What a relay says to so many mails on one connection, exchange by exchange, and what follows.

    Each mail has three codes: for RCPT, for DATA where RCPT was accepted or not, and for the dot.
    """
    said, events = [b""], [Ready()]
    for number, (rcpt, data, dot) in zip(range(mails), replies, strict=False):
        is_last = number == mails - 1
        said[-1] += b"250 x\r\n%d x\r\n%d x\r\n" % (rcpt, data)
        if rcpt != 250:
            events.append(answered(Step.RCPT, rcpt))
            said += [b"250 x\r\n"] if data == 354 else []
        elif data == 354:
            events += [BodyWritten(), answered(Step.DOT, dot)]
            events += [Ready()] if is_last else []
            said.append(b"%d x\r\n" % dot)
            continue
        else:
            events.append(answered(Step.DATA, data))
        events.append(Ready())
        said += [b"250 x\r\n", b""]
    return said, events


def play(said: list[bytes], mails: int, cuts: list[set[int]]) -> tuple[bytes, list[Event]]:
    """Drives a conversation as a sender does; what it said, and what happened."""
    talk = opened()
    wire, seen, begun = b"", [], 0

    def begin() -> None:
        nonlocal begun
        if begun < mails:
            begun += 1
            talk.begin(envelope(begun), BODY)

    def take_in(events: list[Event]) -> None:
        for event in events:
            seen.append(event)
            if event == BodyWritten():
                talk.finish()
                begin()
            elif event == Ready():
                begin()

    take_in([Ready()])
    for exchange, places in itertools.zip_longest(said, cuts[: len(said)], fillvalue=set()):
        edges = sorted({0, len(exchange), *(place for place in places if place < len(exchange))})
        for start, end in itertools.pairwise(edges):
            take_in(talk.receive(exchange[start:end]))
            wire += talk.take()
    return wire, seen


@given(
    st.lists(
        st.tuples(
            st.sampled_from([250, 250, 450, 550]),
            st.sampled_from([354, 354, 451, 554]),
            st.sampled_from([250, 250, 451, 554]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.sets(st.integers(0, 60)), max_size=24),
)
def test_whatever_is_said_in_any_pieces_each_mail_is_answered_once(
    replies: list[tuple[int, ...]], cuts: list[set[int]]
) -> None:
    mails = len(replies)
    said, expected = relay_says(iter(replies), mails)
    wire, seen = play(said, mails, cuts)
    assert seen == expected
    assert wire == play(said, mails, [])[0]
    assert sum(isinstance(event, Answered) for event in seen) == mails
    bodies = sum(rcpt == 250 and data == 354 for rcpt, data, _ in replies)
    assert wire.count(BODY) == bodies
    assert wire.count(b"RSET\r\n") == mails - bodies
