"""Each row of the table of outcomes against a foreign relay: Postfix's smtp-sink and its faults."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.delivery.conversation import Step
from mailer.delivery.relay import RelayConfig
from mailer.delivery.retry import RetryPlan
from mailer.delivery.send import Sender
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus
from mailer.tokens import Keys
from tests.faults.relays import smtp_sink
from tests.sending import build, counts, is_sent, sending
from tests.waiting import wait_until

MakeSender = Callable[..., Sender]
S = DeliveryStatus
READERS = 6

pytestmark = pytest.mark.needs_postfix


def rows(database: Database) -> list[Delivery]:
    with database.read() as session:
        return list(session.scalars(select(Delivery)))


def test_everything_is_taken(
    database: Database, keys: Keys, make_sender: MakeSender, free_port: int, tmp_path: Path
) -> None:
    digest_id = build(database, keys, 200)
    with smtp_sink(free_port), sending(make_sender(free_port)):
        wait_until(lambda: is_sent(database, digest_id))
    assert counts(database, digest_id).sent == 200


@pytest.mark.parametrize("options", [["-8"], ["-p"], ["-e"], ["-8", "-p", "-e"]])
def test_a_relay_that_offers_little_is_enough(
    database: Database, keys: Keys, make_sender: MakeSender, free_port: int, options: list[str]
) -> None:
    digest_id = build(database, keys, READERS)
    with smtp_sink(free_port, *options), sending(make_sender(free_port)):
        wait_until(lambda: is_sent(database, digest_id))
    assert counts(database, digest_id).sent == READERS


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
    database: Database,
    keys: Keys,
    make_sender: MakeSender,
    free_port: int,
    options: list[str],
    status: S,
    step: str,
    code: int,
) -> None:
    # So few that they are no reason yet to pause their digest.
    build(database, keys, 4)
    with smtp_sink(free_port, *options), sending(make_sender(free_port)):
        wait_until(lambda: all(row.status is status for row in rows(database)))
    for row in rows(database):
        assert (row.step, row.code, row.attempts, row.in_doubt) == (step, code, 1, 0)


@pytest.mark.parametrize(
    "options",
    [
        ["-q", "connect"],
        ["-q", "ehlo"],
        ["-q", "mail"],
        ["-q", "rcpt"],
        ["-q", "data"],
        ["-Q", "connect"],
        ["-Q", "mail"],
        ["-Q", "rcpt"],
        ["-Q", "data"],
        ["-f", "connect"],
        ["-f", "mail"],
        ["-r", "mail"],
    ],
    ids=" ".join,
)
def test_what_is_the_relay_s_fault_charges_nobody(
    database: Database,
    keys: Keys,
    make_sender: MakeSender,
    free_port: int,
    caplog: pytest.LogCaptureFixture,
    options: list[str],
) -> None:
    digest_id = build(database, keys, READERS)
    with sending(make_sender(free_port)):
        with smtp_sink(free_port, *options):
            wait_until(lambda: "the relay " in caplog.text)
            wait_until(lambda: all(row.status is S.QUEUED for row in rows(database)))
        assert [row.attempts for row in rows(database)] == [0] * READERS
        if options[0] == "-f":
            # The relay refuses us: all sending is paused, and goes on when staff say so.
            return
        with smtp_sink(free_port):
            wait_until(lambda: is_sent(database, digest_id))
    assert counts(database, digest_id).sent == READERS
    assert counts(database, digest_id).in_doubt == 0


def test_421_to_the_dot_was_not_taken_and_is_sent_again(
    database: Database,
    keys: Keys,
    make_sender: MakeSender,
    free_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    digest_id = build(database, keys, READERS)
    # One connection: another one's dot might wait for its answer when the sink is killed.
    with sending(make_sender(free_port, connections=1)):
        with smtp_sink(free_port, "-Q", "."):
            wait_until(lambda: "421" in caplog.text)
        with smtp_sink(free_port):
            wait_until(lambda: is_sent(database, digest_id))
    found = counts(database, digest_id)
    assert (found.sent, found.in_doubt) == (READERS, 0)


def test_a_drop_after_the_dot_is_in_doubt_twice_and_then_stays(
    database: Database, keys: Keys, make_sender: MakeSender, free_port: int
) -> None:
    digest_id = build(database, keys, 2)
    at_once = RetryPlan((timedelta(0),), timedelta(hours=1))
    with smtp_sink(free_port, "-q", "."), sending(make_sender(free_port, retry=at_once)):
        wait_until(lambda: is_sent(database, digest_id))
    found = counts(database, digest_id)
    assert (found.unknown, found.in_doubt) == (2, 4)


def test_an_answer_that_is_slower_than_our_patience_is_in_doubt(
    database: Database, keys: Keys, make_sender: MakeSender, free_port: int
) -> None:
    digest_id = build(database, keys, 1)
    plain = RelayConfig("127.0.0.1", free_port, "news.example")
    hasty = RelayConfig(
        plain.host, plain.port, plain.ehlo_name, timeouts={**plain.timeouts, Step.DOT: 0.5}
    )
    with (
        smtp_sink(free_port, "-W", ".:2"),
        sending(make_sender(free_port, relay=hasty, resend=False)),
    ):
        wait_until(lambda: is_sent(database, digest_id))
    [row] = rows(database)
    assert (row.status, row.step, row.reply) == (
        S.UNKNOWN,
        "dot",
        "the relay did not answer in time",
    )


def test_a_slow_answer_within_our_patience_is_waited_for(
    database: Database, keys: Keys, make_sender: MakeSender, free_port: int
) -> None:
    digest_id = build(database, keys, 2)
    with smtp_sink(free_port, "-W", ".:1"), sending(make_sender(free_port)):
        wait_until(lambda: is_sent(database, digest_id))
    assert counts(database, digest_id).sent == 2
    with database.read() as session:
        digest = session.get_one(Digest, digest_id)
        assert digest.status is DigestStatus.SENT
