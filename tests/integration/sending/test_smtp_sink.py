"""Each row of the table of outcomes against a foreign relay: Postfix's smtp-sink and its faults."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer.models import Delivery, DeliveryStatus, DigestStatus
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.sending.smtp.connection import RelayConfig
from mailer.sending.smtp.events import Step
from tests.faults.relays import smtp_sink
from tests.support.sending import Post, sending
from tests.support.waiting import wait_until

S = DeliveryStatus
READERS = 6

pytestmark = pytest.mark.needs_postfix


def rows(post: Post) -> list[Delivery]:
    with post.database.read() as session:
        return list(session.scalars(select(Delivery)))


def send_to_sink(post: Post, port: int, readers: int, *options: str, **changes: object) -> None:
    post.build(readers)
    with smtp_sink(port, *options), sending(post.sender(port, **changes)):
        wait_until(post.is_sent)


@pytest.mark.parametrize(
    ("readers", "options"),
    [
        (200, []),
        # It offers little.
        *((READERS, options) for options in (["-8"], ["-p"], ["-e"], ["-8", "-p", "-e"])),
        # Its answers are slow, but within our patience.
        (2, ["-W", ".:1"]),
    ],
)
def test_everything_is_taken(post: Post, free_port: int, readers: int, options: list[str]) -> None:
    send_to_sink(post, free_port, readers, *options)
    assert post.counts().sent == readers
    assert post.digest().status is DigestStatus.SENT


@pytest.mark.parametrize(
    ("options", "status", "step", "code"),
    [
        (["-r", "rcpt"], S.DEFERRED, "rcpt", 450),
        (["-f", "rcpt"], S.FAILED, "rcpt", 500),
        (["-r", "data"], S.DEFERRED, "data", 450),
        (["-f", "data"], S.FAILED, "data", 500),
        (["-r", "."], S.DEFERRED, "dot", 450),
        (["-f", "."], S.FAILED, "dot", 500),
        (["-f", "rcpt", "-B", "550 5.1.1 unknown"], S.FAILED, "rcpt", 550),
        (["-f", ".", "-B", "554 5.7.1 spam"], S.FAILED, "dot", 554),
    ],
)
def test_what_is_said_of_a_mail_is_recorded_for_it(
    post: Post, free_port: int, options: list[str], status: S, step: str, code: int
) -> None:
    # So few that they are no reason yet to pause their digest.
    post.build(4)
    with smtp_sink(free_port, *options), sending(post.sender(free_port)):
        wait_until(lambda: all(row.status is status for row in rows(post)))
    for row in rows(post):
        assert (row.step, row.code, row.attempts, row.in_doubt) == (step, code, 1, 0)


@pytest.mark.parametrize(
    "options",
    [
        *(["-q", step] for step in ("connect", "ehlo", "mail", "rcpt", "data")),
        *(["-Q", step] for step in ("connect", "mail", "rcpt", "data")),
        ["-f", "connect"],
        ["-f", "mail"],
        ["-r", "mail"],
    ],
    ids=" ".join,
)
def test_what_is_the_relay_s_fault_charges_nobody(
    post: Post, free_port: int, caplog: pytest.LogCaptureFixture, options: list[str]
) -> None:
    post.build(READERS)
    with sending(post.sender(free_port)):
        with smtp_sink(free_port, *options):
            wait_until(lambda: "the relay " in caplog.text)
            wait_until(lambda: all(row.status is S.QUEUED for row in rows(post)))
        assert [row.attempts for row in rows(post)] == [0] * READERS
        if options[0] == "-f":
            # The relay refuses us: all sending is paused, and goes on when staff say so.
            return
        with smtp_sink(free_port):
            wait_until(post.is_sent)
    assert post.counts().sent == READERS
    assert post.counts().in_doubt == 0


def test_421_to_the_dot_was_not_taken_and_is_sent_again(
    post: Post, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    post.build(READERS)
    # One connection: another one's dot might wait for its answer when the sink is killed.
    with sending(post.sender(free_port, connections=1)):
        with smtp_sink(free_port, "-Q", "."):
            wait_until(lambda: "421" in caplog.text)
        with smtp_sink(free_port):
            wait_until(post.is_sent)
    found = post.counts()
    assert (found.sent, found.in_doubt) == (READERS, 0)


def test_a_drop_after_the_dot_is_in_doubt_twice_and_then_stays(post: Post, free_port: int) -> None:
    at_once = RetryPlan((timedelta(0),), timedelta(hours=1))
    send_to_sink(post, free_port, 2, "-q", ".", retry=at_once)
    found = post.counts()
    assert (found.unknown, found.in_doubt) == (2, 4)


def test_an_answer_that_is_slower_than_our_patience_is_in_doubt(post: Post, free_port: int) -> None:
    plain = RelayConfig("127.0.0.1", free_port, "news.example")
    hasty = replace(plain, timeouts={**plain.timeouts, Step.DOT: 0.5})
    send_to_sink(post, free_port, 1, "-W", ".:2", relay=hasty, resend=False)
    row = post.row()
    assert (row.status, row.step) == (S.UNKNOWN, "dot")
    assert row.reply == "the relay did not answer in time"
