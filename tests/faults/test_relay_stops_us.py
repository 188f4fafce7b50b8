"""Rows S2, S3 and S7: what no waiting mends stops by itself, soon, and staff are told."""

import base64

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.ledger.transitions import HELD
from mailer.models import DeliveryStatus, DigestStatus, Installation
from tests.faults.conftest import SQLITE
from tests.faults.judge import Judgement
from tests.faults.relays import FULL, Relay, instead, size
from tests.faults.run import Run
from tests.support.receiver import Answer, fine
from tests.support.waiting import wait_until

STAFF = "editor@news.example"
CONNECTIONS = 4 if FULL else 2
"""With more, too much in doubt takes longer: each time the relay is left alone for twice as long."""


def is_paused(database: Database) -> bool:
    """Whether all sending is."""
    with database.read() as session:
        return session.scalars(select(Installation.paused_at)).one() is not None


def digest_mails(run: Run) -> int:
    return sum(line["digest"] is not None for line in run.accepted())


def staff_were_told(run: Run) -> bool:
    return any(line["to"] == STAFF for line in run.accepted())


def stops_by_itself_and_goes_on(run: Run, row: str, there: Relay, **settings: str) -> Judgement:
    """The relay leaves all mails in doubt: the digest is paused; it goes on when staff have mended that."""
    readers = size(40, 1000)
    run.queue(readers)
    with run.working(
        there.port,
        staff_address=STAFF,
        smtp_retry="1s",
        smtp_connections=str(CONNECTIONS),
        **settings,
    ):
        wait_until(lambda: run.status() is DigestStatus.PAUSED)
        doubtful = digest_mails(run)
        before = run.counts()
        assert len(run.alerts()) == 1
        assert f"digest {run.digest_id} is paused" in run.log.read_text()
        shown = run.ask("digest", "show", str(run.digest_id))
        assert (shown["status"], shown["in_doubt"]) == ("paused", before.in_doubt)
        assert "in doubt" in shown["reason"]
        # The seconds that the command took show that it is paused.
        assert digest_mails(run) == doubtful
        there.says, there.hold_seconds = fine, 0.0
        run.command("digest", "resume", str(run.digest_id))
        wait_until(run.is_sent)
        wait_until(lambda: staff_were_told(run))
    found = run.judge(row)
    assert 0 < before.in_doubt <= 2 * CONNECTIONS
    assert doubtful <= 2 * CONNECTIONS
    found.nobody_is_lost(doubles=doubtful)
    assert found.counts.sent + found.counts.unknown == readers
    assert run.suppressed() == 0
    return found


def test_a_relay_that_drops_us_after_every_dot_pauses_the_digest(run: Run) -> None:
    with run.relay(instead("DOT", None)) as there:
        stops_by_itself_and_goes_on(run, "S2", there)
    copies = [line["to"] for line in run.accepted() if line["digest"] is not None]
    assert max(copies.count(one) for one in set(copies)) <= 2


@SQLITE
def test_an_answer_to_the_dot_that_is_slower_than_our_patience_pauses_the_digest(run: Run) -> None:
    with run.relay() as there:
        there.hold_seconds = 6.0
        stops_by_itself_and_goes_on(run, "S3", there, smtp_timeouts="dot=1s")


@SQLITE
def test_with_hold_nobody_gets_two_copies_of_what_the_relay_left_in_doubt(run: Run) -> None:
    with run.relay(instead("DOT", None)) as there:
        found = stops_by_itself_and_goes_on(run, "S2", there, on_unknown="hold")
    assert found.doubles == 0


def never_lets_us_in(verb: str, argument: str) -> str | None:
    """It wants a login, and takes none."""
    if verb == "EHLO":
        return "250-relay.example\r\n250 AUTH PLAIN LOGIN"
    return "535 5.7.8 bad credentials" if verb == "AUTH" else fine(verb, argument)


def lets_us_in(verb: str, argument: str) -> str | None:
    """It takes the login."""
    return "235 2.7.0 welcome" if verb == "AUTH" else never_lets_us_in(verb, argument)


def knows_nobody(verb: str, argument: str) -> str | None:
    """It wants nothing from our name, however we say it."""
    return "550 5.7.1 not you" if verb in {"EHLO", "HELO"} else fine(verb, argument)


PASSWORD = "s3cret-pass"


@pytest.mark.parametrize(
    ("verb", "refusing", "mended"),
    [
        ("CONNECT", instead("CONNECT", "554 5.7.1 your network is listed"), fine),
        ("EHLO", knows_nobody, fine),
        ("AUTH", never_lets_us_in, lets_us_in),
        ("MAIL", instead("MAIL", "550 5.7.1 sender rejected"), fine),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@SQLITE
def test_a_relay_that_refuses_us_stops_all_sending_and_nobody_pays(
    run: Run, verb: str, refusing: Answer, mended: Answer
) -> None:
    readers, connections = size(40, 1000), 4
    run.queue(readers)
    with run.relay(refusing) as there:
        login = f"news:{PASSWORD}@" if verb == "AUTH" else ""
        with run.working(
            there.port,
            staff_address=STAFF,
            smtp_url=f"smtp://{login}127.0.0.1:{there.port}?tls=none",
            smtp_connections=str(connections),
        ):
            wait_until(lambda: is_paused(run.database))
            attempts = len(there.refusals(verb))
            before = run.counts()
            told = run.command("status")
            assert "refuses us" in told
            # Nothing is tried while it is paused.
            assert len(there.refusals(verb)) == attempts
            there.says = mended
            run.command("resume")
            wait_until(run.is_sent)
            wait_until(lambda: staff_were_told(run))
    found = run.judge("S7")
    assert 0 < attempts <= 2 * connections
    assert (before.pending, before.in_doubt) == (readers, 0)
    assert "all sending is paused" in run.log.read_text()
    assert PASSWORD not in run.log.read_text()
    assert base64.b64encode(f"\0news\0{PASSWORD}".encode()).decode() not in run.log.read_text()
    assert len(run.alerts()) == 1
    assert run.suppressed() == 0
    found.everybody_got_one(readers)


@pytest.mark.parametrize("verb", ["RCPT", "DATA", "DOT"])
@SQLITE
def test_a_relay_that_refuses_every_mail_for_policy_pauses_the_digest(run: Run, verb: str) -> None:
    readers, connections = size(60, 1000), 4
    run.queue(readers)
    with (
        run.relay(instead(verb, "554 5.7.1 looks like spam")) as there,
        run.working(there.port, staff_address=STAFF, smtp_connections=str(connections)),
    ):
        wait_until(lambda: run.status() is DigestStatus.PAUSED)
        # What was under way when the last refusal came in is refused too.
        wait_until(lambda: not run.rows(*HELD))
        refusals = len(there.refusals(verb))
        before = run.counts()
        there.says = fine
        # The alert may have been refused like all the rest; the log and the digest tell.
        assert digest_mails(run) == 0
        run.command("digest", "resume", str(run.digest_id))
        wait_until(run.is_sent)
    found = run.judge("S7")
    failed = run.rows(DeliveryStatus.FAILED)
    assert before.failed <= 2 * connections
    assert before.failed <= refusals <= before.failed + 1
    assert before.pending == readers - before.failed
    assert "looks like spam" in run.log.read_text()
    assert len(run.alerts()) == 1
    assert run.suppressed() == 0
    # Whom the relay refused is shown as failed; everybody else has the digest.
    assert found.lost == failed.keys()
    assert found.counts.failed == before.failed
    assert found.counts.sent == readers - before.failed
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
