"""The table of what an answer means, row by row."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.sending.smtp.events import Step
from mailer.sending.smtp.reply import Reply
from mailer.sending.smtp.verdict import Lost, OnDelivery, OnReader, OnRun, Verdict, verdict_on
from mailer.text.untrusted import LONGEST_REPLY_KEPT, redact

D, R, N = OnDelivery, OnReader, OnRun

BACK_OFF = Verdict(D.RELEASE, R.NOTHING, N.BACK_OFF)
STOP = Verdict(D.RELEASE, R.NOTHING, N.STOP)
DEFER = Verdict(D.DEFER, R.NOTHING, N.GO_ON)
SLOWER = Verdict(D.DEFER, R.NOTHING, N.SLOW_DOWN)
HARD = Verdict(D.FAIL, R.HARD_BOUNCE, N.GO_ON)
SOFT = Verdict(D.FAIL, R.SOFT_BOUNCE, N.GO_ON)
POLICY = Verdict(D.FAIL, R.NOTHING, N.COUNT)
NOT_FROM_US = Verdict(D.RELEASE, R.NOTHING, N.STOP, is_about_sender=True)
NOT_NOW_FROM_US = Verdict(D.RELEASE, R.NOTHING, N.BACK_OFF, is_about_sender=True)
ALONE = Verdict(D.FAIL, R.NOTHING, N.GO_ON)

BEFORE_A_MAIL = [Step.CONNECT, Step.GREETING, Step.EHLO, Step.STARTTLS, Step.AUTH]
OF_A_MAIL = [Step.MAIL, Step.RCPT, Step.DATA, Step.BLOCK]


def said(text: str) -> Reply:
    return Reply(int(text[:3]), (text[4:],))


@pytest.mark.parametrize("step", BEFORE_A_MAIL + OF_A_MAIL)
@pytest.mark.parametrize("lost", Lost)
def test_what_is_lost_before_the_dot_is_the_relay_s_fault(step: Step, lost: Lost) -> None:
    assert verdict_on(step, lost) == BACK_OFF


@pytest.mark.parametrize("lost", Lost)
def test_what_is_lost_after_the_dot_is_in_doubt(lost: Lost) -> None:
    assert verdict_on(Step.DOT, lost) == Verdict(D.DOUBT, R.NOTHING, N.GO_ON)


@pytest.mark.parametrize("step", [*BEFORE_A_MAIL, *OF_A_MAIL, Step.DOT])
@pytest.mark.parametrize("text", ["421", "421 4.3.2 shutting down", "421 4.7.28 too fast"])
def test_421_anywhere_backs_off_the_relay_and_not_the_row(step: Step, text: str) -> None:
    assert verdict_on(step, said(text)) == BACK_OFF


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        # Before a mail: it does not want us, or it is not well, or TLS cannot be had.
        (Step.GREETING, "554 no service", STOP),
        (Step.GREETING, "554 5.7.1 your network is listed", STOP),
        (Step.GREETING, "550 5.1.1 no such user", STOP),
        (Step.GREETING, "450 4.3.2 busy", BACK_OFF),
        (Step.EHLO, "550 who are you", STOP),
        (Step.EHLO, "501 5.5.4 no such name", STOP),
        (Step.EHLO, "450 4.7.1 later", BACK_OFF),
        (Step.STARTTLS, "454 TLS not available", BACK_OFF),
        (Step.STARTTLS, "501 5.5.4 no parameters", BACK_OFF),
        (Step.AUTH, "535 5.7.8 bad password", STOP),
        (Step.AUTH, "504 no such mechanism", STOP),
        (Step.AUTH, "550 5.1.1 no such user", STOP),
        (Step.AUTH, "454 4.7.0 later", BACK_OFF),
        # MAIL: about us, or about the sender alone.
        (Step.MAIL, "550 5.7.1 you may not", NOT_FROM_US),
        (Step.MAIL, "550 no", NOT_FROM_US),
        (Step.MAIL, "553 no", NOT_FROM_US),
        (Step.MAIL, "553 5.1.8 unknown sender domain", NOT_FROM_US),
        (Step.MAIL, "554 5.3.2 not now, not ever", STOP),
        (Step.MAIL, "530 5.7.0 authentication required", STOP),
        (Step.MAIL, "530 5.7.0 must issue STARTTLS", STOP),
        (Step.MAIL, "450 4.1.8 domain not found", NOT_NOW_FROM_US),
        (Step.MAIL, "451 4.7.1 not now", NOT_NOW_FROM_US),
        (Step.MAIL, "451 4.4.5 busy", BACK_OFF),
        (Step.MAIL, "452", BACK_OFF),
        (Step.MAIL, "452 4.3.1 no space", BACK_OFF),
        # MAIL names size and letters too, which are this mail's own.
        (Step.MAIL, "552 5.3.4 too big", POLICY),
        (Step.MAIL, "552 too big", POLICY),
        (Step.MAIL, "550 5.6.7 no SMTPUTF8", ALONE),
        (Step.RCPT, "553 5.6.7 no SMTPUTF8", ALONE),
        (Step.DOT, "554 5.6.9 no SMTPUTF8", ALONE),
        # RCPT: not now.
        (Step.RCPT, "450 4.2.0 greylisted", DEFER),
        (Step.RCPT, "451 4.7.1 try later", DEFER),
        (Step.RCPT, "450 greylisted", DEFER),
        (Step.RCPT, "452 4.5.3 too many", DEFER),
        (Step.RCPT, "452", DEFER),
        (Step.RCPT, "450 4.1.1 no such user", DEFER),
        (Step.RCPT, "450 4.4.5 too busy", SLOWER),
        # RCPT: no such mailbox.
        (Step.RCPT, "550 5.1.1 no such user", HARD),
        (Step.RCPT, "550 5.1.2 no such host", HARD),
        (Step.RCPT, "550 5.1.3 bad syntax", HARD),
        (Step.RCPT, "551 5.1.6 moved", HARD),
        (Step.RCPT, "556 5.1.10 null MX", HARD),
        (Step.RCPT, "550 5.2.1 disabled", HARD),
        (Step.RCPT, "550 no such user", HARD),
        (Step.RCPT, "551 not here", HARD),
        (Step.RCPT, "553 bad name", HARD),
        # An enhanced status that contradicts its code is none: only the first digit is certain.
        (Step.RCPT, "550 4.7.1 no such user", HARD),
        (Step.RCPT, "550 2.1.5 no such user", HARD),
        (Step.RCPT, "554 4.1.1 no", POLICY),
        (Step.RCPT, "450 5.1.1 no such user", DEFER),
        (Step.DATA, "550 4.1.1 no such user", POLICY),
        (Step.DOT, "450 5.1.1 no such user", SLOWER),
        (Step.DOT, "550 4.1.1 no such user", POLICY),
        # RCPT and DATA: policy and the like, which says nothing about the mailbox.
        (Step.RCPT, "550 5.7.1 blocked", POLICY),
        (Step.RCPT, "550 5.7.515 not authenticated mail", POLICY),
        (Step.RCPT, "550 5.5.1 what", POLICY),
        (Step.RCPT, "550 5.6.0 content", POLICY),
        (Step.RCPT, "550 5.3.0 broken", POLICY),
        (Step.RCPT, "550 5.2.3 too long for it", POLICY),
        (Step.RCPT, "554 no", POLICY),
        (Step.DATA, "554 5.7.1 spam", POLICY),
        (Step.DATA, "554 5.5.1 no valid recipients", POLICY),
        (Step.DATA, "550 5.6.0 content", POLICY),
        (Step.DATA, "550 5.3.0 broken", POLICY),
        (Step.DATA, "552 5.2.3 too long for it", POLICY),
        (Step.DATA, "554 no valid recipients", POLICY),
        # What is in none of these says nothing about the mailbox either.
        (Step.RCPT, "550 5.1.7 bad sender", replace(POLICY, is_about_sender=True)),
        (Step.RCPT, "451 4.1.8 domain not found", replace(DEFER, is_about_sender=True)),
        (Step.DATA, "554 5.1.8 bad sender", replace(POLICY, is_about_sender=True)),
        (Step.RCPT, "550 5.1.0 address", POLICY),
        (Step.RCPT, "550 5.4.1 access denied", POLICY),
        (Step.RCPT, "550 5.0.0 no", POLICY),
        (Step.RCPT, "571 no", POLICY),
        (Step.RCPT, "500 what", POLICY),
        (Step.DATA, "550 no", POLICY),
        (Step.DATA, "552 no", POLICY),
        (Step.DATA, "550 5.1.1 no such user", HARD),
        (Step.DATA, "451 later", DEFER),
        # It is we again.
        (Step.RCPT, "530 5.7.0 authentication required", STOP),
        (Step.RCPT, "454 TLS not available", BACK_OFF),
        (Step.DOT, "535 5.7.8 log in first", STOP),
        # Full.
        (Step.RCPT, "552 5.2.2 full", SOFT),
        (Step.RCPT, "552 5.2.3 too long for it", POLICY),
        # Too many recipients once had this code (RFC 5321 section 4.5.3.1.10).
        (Step.RCPT, "552", DEFER),
        (Step.RCPT, "552 full", DEFER),
        (Step.RCPT, "552 4.2.2 full", DEFER),
        (Step.RCPT, "552 5.5.3 too many recipients", DEFER),
        (Step.RCPT, "550 5.2.2 full", SOFT),
        (Step.DATA, "552 5.2.2 full", SOFT),
        (Step.RCPT, "452 4.2.2 full", DEFER),
        # The final dot.
        (Step.DOT, "250 2.0.0 queued", Verdict(D.SENT, R.NOTHING, N.GO_ON)),
        (Step.DOT, "250", Verdict(D.SENT, R.NOTHING, N.GO_ON)),
        (Step.DOT, "451 4.3.0 later", SLOWER),
        (Step.DOT, "450", SLOWER),
        (Step.DOT, "554 5.7.1 spam", POLICY),
        (Step.DOT, "550 no", POLICY),
        (Step.DOT, "552 no", POLICY),
        (Step.DOT, "550 5.1.1 no such user", HARD),
        (Step.DOT, "550 5.1.7 bad sender", replace(POLICY, is_about_sender=True)),
        (Step.DOT, "552 5.2.2 full", SOFT),
        (Step.DOT, "552 5.3.4 too big", POLICY),
    ],
)
def test_a_reply_means(step: Step, text: str, expected: Verdict) -> None:
    assert verdict_on(step, said(text)) == expected


steps = st.sampled_from([*BEFORE_A_MAIL, *OF_A_MAIL, Step.DOT])
refusals = st.builds(
    Reply,
    st.integers(400, 599),
    st.lists(
        st.one_of(st.text(max_size=20), st.from_regex(r"[45]\.[0-9]{1,3}\.[0-9]{1,3} x")),
        max_size=2,
    ).map(tuple),
)


@given(steps, refusals)
def test_no_refusal_is_ever_a_success_or_a_doubt(step: Step, reply: Reply) -> None:
    found = verdict_on(step, reply)
    assert found.delivery not in (D.SENT, D.DOUBT)
    if reply.code < 500:
        assert found.delivery is not D.FAIL
        assert found.reader is not R.HARD_BOUNCE
        assert found.run is not N.STOP


@given(st.sampled_from([Step.GREETING, Step.EHLO, Step.AUTH]), refusals)
def test_a_relay_that_does_not_want_us_stops_the_run(step: Step, reply: Reply) -> None:
    expected = STOP if reply.code >= 500 else BACK_OFF
    assert verdict_on(step, reply) == expected


@given(steps, refusals)
def test_a_reader_is_blamed_only_after_the_relay_heard_of_them(step: Step, reply: Reply) -> None:
    if verdict_on(step, reply).reader is not R.NOTHING:
        assert step in (Step.RCPT, Step.DATA, Step.DOT)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("5.1.1 <ani@example.org>: no such user", "5.1.1 <***>: no such user"),
        ("user Ani+x@EXAMPLE.org unknown", "user *** unknown"),
        ("արամ@example.org", "***"),
        ("no address here", "no address here"),
        ("@ani@example.org@", "@***"),
        ("ok\0\x1b[2J\r\x07 queued\x9b", "ok [2J queued"),
    ],
)
def test_no_address_is_kept(text: str, left: str) -> None:
    assert redact(text) == left


def test_a_long_reply_is_cut() -> None:
    assert len(redact("x" * 10_000)) == LONGEST_REPLY_KEPT


def test_a_word_without_end_is_read_once() -> None:
    begin = time.thread_time()
    redact("x" * 60_000)
    assert time.thread_time() - begin < 1
