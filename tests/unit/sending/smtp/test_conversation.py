"""The conversation, driven byte by byte: what is said, what is understood, where it stops."""

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import BadAddress, Refused
from mailer.sending.smtp.conversation import Conversation
from mailer.sending.smtp.events import (
    Answered,
    BodyWritten,
    Closed,
    Credentials,
    Envelope,
    Event,
    Ready,
    StartTls,
    Step,
)
from mailer.sending.smtp.reply import LONGEST_REPLY, Reply

ENVELOPE = Envelope("news@example.com", "ani@example.org")
BODY = b"Subject: x\r\n\r\nHello\r\n"
TLS, OFFERS_TLS = {"starttls": True}, b"220 hi\r\n|250-relay\r\n250 STARTTLS\r\n|"
AUTH = {"credentials": Credentials("a", "b")}
OFFERS_AUTH = b"220 hi\r\n|250-relay\r\n250 AUTH PLAIN\r\n|"


def opened(*, ehlo: bytes = b"250 relay\r\n", **options: object) -> Conversation:
    """A conversation that is ready for a mail, in plain text."""
    talk = Conversation("news.example.com", **options)  # type: ignore[arg-type]
    assert talk.receive(b"220 relay ESMTP\r\n") == []
    assert talk.take() == b"EHLO news.example.com\r\n"
    assert talk.receive(ehlo) == [Ready()]
    return talk


def begun(step: Step, **options: object) -> Conversation:
    """A conversation with a mail in hand in which `step` awaits its reply."""
    talk = opened(**options)
    talk.begin(ENVELOPE, BODY)
    for said in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        if talk.step is not step:
            talk.receive(said)
    if step is Step.DOT:
        talk.finish()
    assert talk.step is step
    return talk


def end(events: list[Event]) -> Step | None:
    """The step at which the conversation ended, and nothing else happened."""
    [event] = events
    assert isinstance(event, Closed)
    return event.step


def test_a_mail_is_said_step_by_step_and_stops_before_the_final_dot() -> None:
    talk = opened()
    talk.begin(ENVELOPE, BODY)
    assert talk.take() == b"MAIL FROM:<news@example.com>\r\n"
    assert talk.receive(b"250 2.1.0 ok\r\n") == []
    assert talk.take() == b"RCPT TO:<ani@example.org>\r\n"
    assert talk.receive(b"250 2.1.5 ok\r\n") == []
    assert talk.take() == b"DATA\r\n"
    assert talk.receive(b"354 go\r\n") == [BodyWritten()]
    assert talk.take() == BODY
    assert talk.step is Step.BLOCK
    assert talk.take() == b""
    talk.finish()
    assert talk.take() == b".\r\n"
    assert talk.step is Step.DOT
    reply = Reply(250, ("2.0.0 queued",))
    assert talk.receive(b"250 2.0.0 queued\r\n") == [Answered(Step.DOT, reply), Ready()]
    assert talk.step is None


def test_the_next_mail_uses_the_same_connection() -> None:
    talk = begun(Step.DOT)
    talk.receive(b"250 ok\r\n")
    talk.take()
    talk.begin(ENVELOPE, BODY)
    assert talk.take() == b"MAIL FROM:<news@example.com>\r\n"


def test_quit_ends_it() -> None:
    talk = opened()
    talk.quit()
    assert talk.take() == b"QUIT\r\n"
    assert end(talk.receive(b"221 bye\r\n")) is Step.QUIT


def test_ehlo_refused_falls_back_to_helo() -> None:
    talk = Conversation("news.example.com")
    talk.receive(b"220 old\r\n")
    talk.take()
    assert talk.receive(b"502 what?\r\n") == []
    assert talk.take() == b"HELO news.example.com\r\n"
    assert talk.receive(b"250 hello SIZE 5\r\n") == [Ready()]
    assert talk.capabilities.size is None


def test_capabilities_are_read() -> None:
    talk = opened(
        ehlo=b"250-relay\r\n250-PIPELINING\r\n250-size 1000\r\n250-AUTH plain LOGIN\r\n"
        b"250-AUTH=CRAM-MD5\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
    )
    has = talk.capabilities
    assert has.size == 1000
    assert has.mechanisms == {"PLAIN", "LOGIN", "CRAM-MD5"}
    assert all(has.offers(word) for word in ("PIPELINING", "8BITMIME", "SMTPUTF8"))
    assert not has.offers("STARTTLS")


@pytest.mark.parametrize("size", [b"SIZE", b"SIZE 0", b"SIZE x", b"SIZE -1", "SIZE ²".encode()])
def test_a_size_without_a_number_is_no_limit(size: bytes) -> None:
    assert opened(ehlo=b"250-relay\r\n250 " + size + b"\r\n").capabilities.size is None


def test_size_is_declared_where_offered() -> None:
    talk = opened(ehlo=b"250-relay\r\n250 SIZE 1000\r\n")
    talk.begin(ENVELOPE, BODY)
    assert talk.take() == b"MAIL FROM:<news@example.com> SIZE=%d\r\n" % len(BODY)


def test_an_address_outside_ascii_asks_for_smtputf8() -> None:
    talk = opened(ehlo=b"250-relay\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
    envelope = Envelope("news@example.com", "արամ@example.org")
    assert envelope.needs_utf8
    talk.begin(envelope, BODY)
    assert talk.take() == b"MAIL FROM:<news@example.com> SMTPUTF8 BODY=8BITMIME\r\n"
    talk.receive(b"250 ok\r\n")
    assert talk.take() == "RCPT TO:<արամ@example.org>\r\n".encode()


def test_starttls_comes_first_and_ehlo_again_after_it() -> None:
    secret = Credentials("ani", "s3cret")
    talk = Conversation("news.example.com", starttls=True, credentials=secret)
    talk.receive(b"220 relay\r\n")
    talk.take()
    talk.receive(b"250-relay\r\n250-AUTH PLAIN\r\n250-SIZE 5\r\n250 STARTTLS\r\n")
    assert talk.take() == b"STARTTLS\r\n"
    assert talk.receive(b"220 go\r\n") == [StartTls()]
    assert talk.take() == b""
    talk.tls_started()
    assert talk.capabilities.size is None
    assert talk.take() == b"EHLO news.example.com\r\n"
    talk.receive(b"250-relay\r\n250 AUTH PLAIN\r\n")
    assert talk.take() == b"AUTH PLAIN " + base64.b64encode(b"\0ani\0s3cret") + b"\r\n"
    assert talk.receive(b"235 ok\r\n") == [Ready()]


def test_auth_login_answers_both_questions() -> None:
    talk = Conversation("news.example.com", credentials=Credentials("ani", "s3cret"))
    talk.receive(b"220 relay\r\n")
    talk.receive(b"250-relay\r\n250 AUTH LOGIN\r\n")
    talk.take()
    assert talk.receive(b"334 VXNlcm5hbWU6\r\n") == []
    assert talk.take() == base64.b64encode(b"ani") + b"\r\n"
    assert talk.receive(b"334 UGFzc3dvcmQ6\r\n") == []
    assert talk.take() == base64.b64encode(b"s3cret") + b"\r\n"
    assert talk.receive(b"235 ok\r\n") == [Ready()]


def test_the_password_is_in_no_repr() -> None:
    assert "s3cret" not in repr(Credentials("ani", "s3cret"))


@pytest.mark.parametrize(
    ("options", "said", "step", "code"),
    [
        ({}, b"554 go away\r\n", Step.GREETING, 554),
        ({}, b"421 busy\r\n", Step.GREETING, 421),
        ({}, b"220 hi\r\n|421 busy\r\n", Step.EHLO, 421),
        ({}, b"220 hi\r\n|450 later\r\n", Step.EHLO, 450),
        ({}, b"220 hi\r\n|500 what\r\n|500 what\r\n", Step.EHLO, 500),
        (TLS, b"220 hi\r\n|250 relay\r\n", Step.STARTTLS, None),
        (TLS, b"220 hi\r\n|500 what\r\n|250 relay\r\n", Step.STARTTLS, None),
        (TLS, OFFERS_TLS + b"454 no\r\n", Step.STARTTLS, 454),
        (TLS, OFFERS_TLS + b"220 go\r\n250 injected\r\n", Step.STARTTLS, None),
        (AUTH, b"220 hi\r\n|250 relay\r\n", Step.AUTH, None),
        (AUTH, OFFERS_AUTH + b"535 5.7.8 bad\r\n", Step.AUTH, 535),
        (AUTH, OFFERS_AUTH + b"334 more\r\n", Step.AUTH, None),
        ({}, b"hello\r\n", Step.GREETING, None),
        ({}, b"220-hi\r\n250 hi\r\n", Step.GREETING, None),
        ({}, b"199 hi\r\n", Step.GREETING, None),
        ({}, b"220-" + b"x" * LONGEST_REPLY, Step.GREETING, None),
        ({}, (b"220-" + b"x" * 500 + b"\r\n") * 200, Step.GREETING, None),
    ],
)
def test_an_opening_that_fails_says_where(
    options: dict[str, object], said: bytes, step: Step, code: int | None
) -> None:
    talk = Conversation("news.example.com", **options)  # type: ignore[arg-type]
    events: list[Event] = []
    for piece in said.split(b"|"):
        events += talk.receive(piece)
    [event] = events
    assert isinstance(event, Closed)
    assert (event.step, event.reply.code if event.reply else None) == (step, code)
    assert b"MAIL" not in talk.take()
    assert talk.receive(b"250 ok\r\n") == []


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA])
@pytest.mark.parametrize("code", [450, 550])
def test_a_refused_step_answers_for_the_mail_and_resets(step: Step, code: int) -> None:
    talk = begun(step)
    talk.take()
    assert talk.receive(b"%d no\r\n" % code) == [Answered(step, Reply(code, ("no",)))]
    assert talk.take() == b"RSET\r\n"
    assert talk.receive(b"250 ok\r\n") == [Ready()]
    talk.begin(ENVELOPE, BODY)
    assert talk.take() == b"MAIL FROM:<news@example.com>\r\n"


@pytest.mark.parametrize("code", [450, 550])
def test_a_refused_dot_answers_for_the_mail(code: int) -> None:
    talk = begun(Step.DOT)
    talk.take()
    events = talk.receive(b"%d no\r\n" % code)
    assert events == [Answered(Step.DOT, Reply(code, ("no",))), Ready()]
    assert talk.take() == b""


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA, Step.DOT])
def test_421_answers_for_the_mail_and_ends_the_conversation(step: Step) -> None:
    talk = begun(step)
    answered, closed = talk.receive(b"421 4.3.2 shutting down\r\n")
    assert answered == Answered(step, Reply(421, ("4.3.2 shutting down",)))
    assert isinstance(closed, Closed)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        # Before the dot it is no answer to the mail.
        (Step.BLOCK, b"421 bye\r\n"),
        (Step.BLOCK, b"250 early\r\n"),
        (Step.MAIL, b"354 go\r\n"),
        (Step.RCPT, b"354 go\r\n"),
        (Step.DATA, b"250 ok\r\n"),
        (Step.DOT, b"354 go\r\n"),
        (Step.DOT, b"\r\n"),
        (Step.DOT, b"25\r\n"),
        (Step.DOT, b"2500 ok\r\n"),
    ],
)
def test_a_code_that_cannot_follow_ends_the_conversation_without_an_answer(
    step: Step, said: bytes
) -> None:
    assert end(begun(step).receive(said)) is step


def test_421_while_idle_ends_the_conversation() -> None:
    assert end(opened().receive(b"421 idle too long\r\n")) is None


def test_a_relay_that_refuses_rset_is_left() -> None:
    talk = begun(Step.RCPT)
    talk.receive(b"550 no\r\n")
    assert end(talk.receive(b"500 what\r\n")) is Step.RSET


@pytest.mark.parametrize(
    "address",
    [
        "a@example.com>\r\nRCPT TO:<b@example.com",
        "a\n@example.com",
        "a\r@example.com",
        "a b@example.com",
        "a>@example.com",
        "<a@example.com",
        "a\0@example.com",
        "a\x7f@example.com",
        "a\x85@example.com",
        "a",
        "",
    ],
)
def test_nothing_but_an_address_gets_into_a_command(address: str) -> None:
    for pair in ((address, "b@example.com"), ("b@example.com", address)):
        with pytest.raises(BadAddress):
            Envelope(*pair)


@pytest.mark.parametrize("name", ["a\r\nMAIL", "a b", "ա.example"])
def test_nothing_but_a_name_gets_into_ehlo(name: str) -> None:
    with pytest.raises(Refused):
        Conversation(name)


@pytest.mark.parametrize(
    ("lines", "enhanced"),
    [
        (b"550 5.1.1 unknown\r\n", "5.1.1"),
        (b"550-5.1.1 unknown\r\n550 5.1.1 user\r\n", "5.1.1"),
        (b"550 5.1.1\r\n", "5.1.1"),
        (b"550 4.1.1 unknown\r\n", None),
        (b"550 5.1.1234 unknown\r\n", None),
        (b"550 unknown 5.1.1\r\n", None),
        (b"550\r\n", None),
        (b"550 \r\n", None),
        (b"550 caf\xe9\r\n", None),
        (b"550 bare line feed\n", None),
    ],
)
def test_replies_are_read(lines: bytes, enhanced: str | None) -> None:
    [answered] = begun(Step.RCPT).receive(lines)
    assert isinstance(answered, Answered)
    assert answered.reply.code == 550
    assert answered.reply.enhanced == enhanced


SCRIPT: list[tuple[Step, bytes]] = [
    (Step.GREETING, b"220-relay\r\n220 ESMTP\r\n"),
    (Step.EHLO, b"250-relay\r\n250-SIZE 99999\r\n250 AUTH LOGIN\r\n"),
    (Step.AUTH, b"334 user\r\n"),
    (Step.AUTH, b"334 pass\r\n"),
    (Step.AUTH, b"235 2.7.0 ok\r\n"),
    (Step.MAIL, b"250 ok\r\n"),
    (Step.RCPT, b"550-5.1.1 no such\r\n550 5.1.1 user\r\n"),
    (Step.RSET, b"250 ok\r\n"),
    (Step.MAIL, b"250-ok\r\n250 \r\n"),
    (Step.RCPT, b"251 forwarded\r\n"),
    (Step.DATA, b"354 go\r\n"),
    (Step.DOT, b"250 2.0.0 queued as 17\r\n"),
    (Step.QUIT, b"221 bye\r\n"),
]


def play(pieces: list[list[bytes]]) -> tuple[bytes, list[Event]]:
    talk = Conversation("news.example.com", credentials=Credentials("ani", "s3cret"))
    said, seen, mails = b"", [], 2
    for reply in pieces:
        for piece in reply:
            for event in talk.receive(piece):
                seen.append(event)
                if event == Ready() and mails:
                    mails -= 1
                    talk.begin(ENVELOPE, BODY)
                elif event == Ready():
                    talk.quit()
                elif event == BodyWritten():
                    talk.finish()
            said += talk.take()
    return said, seen


def cut(data: bytes, places: set[int]) -> list[bytes]:
    edges = [0, *sorted(place for place in places if place < len(data)), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.sets(st.integers(0, 60)), min_size=len(SCRIPT), max_size=len(SCRIPT)))
def test_replies_cut_anywhere_say_the_same(cuts: list[set[int]]) -> None:
    whole = play([[reply] for _, reply in SCRIPT])
    happened = [Ready, Answered, Ready, BodyWritten, Answered, Ready, Closed]
    assert [type(event) for event in whole[1]] == happened
    pieces = [cut(reply, places) for (_, reply), places in zip(SCRIPT, cuts, strict=True)]
    assert play(pieces) == whole


@given(st.binary(max_size=200))
def test_no_bytes_from_the_relay_raise(data: bytes) -> None:
    for step in (Step.MAIL, Step.RCPT, Step.DATA, Step.BLOCK, Step.DOT):
        talk = begun(step)
        for event in talk.receive(data):
            if isinstance(event, Answered):
                assert event.step is step
                break
