"""Rows S5, S6 and S11: a relay that turns mails away, for a while, or of some readers or newsletters."""

from collections import defaultdict
from itertools import pairwise

import pytest
from sqlalchemy import select

from mailer.models import DeliveryStatus, DigestStatus, Newsletter
from tests.faults.conftest import SQLITE
from tests.faults.relays import instead, size, waits_told
from tests.faults.run import Run
from tests.support import factories
from tests.support.receiver import Answer, fine
from tests.support.waiting import wait_until

CONNECTIONS = 4


@SQLITE
def test_what_is_turned_away_for_now_comes_again_as_late_as_planned_until_it_is_taken(
    run: Run,
) -> None:
    readers = size(30, 1000)
    run.queue(readers)
    greylisting = instead("RCPT", "451 4.7.1 try again later")
    with run.relay(greylisting, pipelines=False) as there:

        def attempts() -> dict[str, list[float]]:
            found: dict[str, list[float]] = defaultdict(list)
            for _, reader, at in list(there.refused):
                found[reader].append(at)
            return found

        def all_came(times: int) -> bool:
            found = attempts()
            return len(found) == readers and min(map(len, found.values())) >= times

        with run.working(there.port, smtp_retry="1s,2s,1s"):
            wait_until(lambda: all_came(3))
            assert run.accepted() == []
            assert run.counts().pending == readers
            there.says = fine
            wait_until(run.is_sent)
    turned_away_and_then_sent(run, readers)
    for times in attempts().values():
        first, second, *_ = [after - before for before, after in pairwise(times)]
        # A wait is at most a fifth shorter than the plan says.
        assert first >= 0.8 * 1
        assert second >= 0.8 * 2


@SQLITE
def test_a_relay_that_turns_away_whole_mails_is_not_overrun_and_gets_them_later(run: Run) -> None:
    readers = size(30, 1000)
    run.queue(readers)
    with (
        run.relay(instead("DOT", "452 4.3.1 no room")) as there,
        run.working(there.port, smtp_retry="1s,2s,1s"),
    ):
        wait_until(lambda: len(there.refusals("DOT")) >= 6)
        assert run.accepted() == []
        assert run.counts().pending == readers
        there.says = fine
        wait_until(run.is_sent)
    turned_away_and_then_sent(run, readers)


def turned_away_and_then_sent(run: Run, readers: int) -> None:
    """Everybody has one copy, and nobody is thought ill of."""
    run.judge("S5").everybody_got_one(readers)
    assert run.suppressed() == 0


def refusing(every: int, said: str, to_nobody: str | None = None) -> Answer:
    """Refuses each reader whose number is a multiple of `every`.

    Args:
        to_nobody: says 354 to the DATA behind it all the same, and this to the mail without a reader.
    """

    def is_refused(argument: str) -> bool:
        return int(argument.partition("reader")[2].partition("@")[0]) % every == 0

    def answer(verb: str, argument: str) -> str | None:
        if verb == "RCPT" and is_refused(argument):
            return said
        if verb == "DATA" and to_nobody is not None:
            return "354 whatever it is"
        if verb == "DOT" and is_refused(argument):
            return to_nobody
        return fine(verb, argument)

    return answer


@pytest.mark.parametrize(
    ("pipelines", "to_nobody"),
    [(False, None), (True, None), (True, "250 2.0.0 queued"), (True, "554 5.5.1 nobody")],
    ids=["plain", "pipelining", "354 for nobody, then 250", "354 for nobody, then 554"],
)
@SQLITE
def test_refused_readers_fail_alone_and_the_connection_goes_on(
    run: Run, pipelines: bool, to_nobody: str | None
) -> None:
    readers = size(200, 1000)
    run.queue(readers)
    refuses = refusing(20, "550 5.1.1 no such user", to_nobody)
    with (
        run.relay(refuses, pipelines=pipelines) as there,
        run.working(there.port, smtp_messages_per_connection="10000"),
    ):
        wait_until(lambda: run.status() is not DigestStatus.SENDING)
    found = run.judge("S6")
    refused = {f"reader{number}@example.com" for number in range(20, readers + 1, 20)}
    failed = run.rows(DeliveryStatus.FAILED)
    assert found.status is DigestStatus.SENT
    assert failed.keys() == refused == found.lost
    assert {(row.code, row.step, row.attempts) for row in failed.values()} == {(550, "rcpt", 1)}
    assert found.counts.sent == readers - len(refused) == 0.95 * readers
    assert len(run.accepted()) == found.counts.sent
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.strangers == set()
    assert found.adds_up
    assert there.count("CONNECT") <= CONNECTIONS
    assert there.count("RSET") == len(refused)
    assert there.taken_without_reader == (len(refused) if to_nobody == "250 2.0.0 queued" else 0)


STAFF = "editor@news.example"
REFUSED = "weekly@news.example"


def takes_all_but(verb: str, argument: str) -> str | None:
    """It minds one newsletter's address."""
    refused = verb == "MAIL" and f"<{REFUSED}>" in argument
    return "550 5.7.1 sender address rejected" if refused else fine(verb, argument)


def queue_refused_digest(run: Run, readers: int) -> int:
    with run.database.write() as session:
        newsletter = factories.newsletter(session, "weekly", from_address=REFUSED)
        schedule = factories.schedule(session, newsletter)
        edition = factories.edition(
            session, factories.digest(session, schedule), from_address=REFUSED
        )
        if readers:
            factories.many_readers(session, run.keys, schedule, readers, "weekly.example")
        factories.deliveries(session, edition, schedule, status=DeliveryStatus.QUEUED, attempts=0)
        return edition.digest_id


@pytest.mark.parametrize("sign_ups", [0, 5], ids=["digest", "confirmations"])
def test_a_newsletter_that_the_relay_refuses_costs_the_others_nothing(
    run: Run, sign_ups: int
) -> None:
    """Its digest, or sign-ups to it while another digest goes out, which once stopped everything."""
    readers = size(400, 10_000)
    run.queue(readers)
    bad = queue_refused_digest(run, 0 if sign_ups else readers)

    def sign_up() -> None:
        with run.database.write() as session:
            weekly = session.scalars(select(Newsletter).where(Newsletter.slug == "weekly")).one()
            for number in range(sign_ups):
                values = {"newsletter_id": weekly.id, "from_address": REFUSED}
                factories.notice(session, run.keys, f"newcomer{number}@x.example", **values)

    with run.relay(takes_all_but) as there, run.working(there.port, staff_address=STAFF):
        if sign_ups:
            wait_until(lambda: len(run.accepted()) >= 10)
            sign_up()
        else:
            wait_until(lambda: run.status(bad) is DigestStatus.PAUSED)
        wait_until(run.is_sent)
        wait_until(lambda: any(line["to"] == STAFF for line in run.accepted()))
    run.judge("S11").everybody_got_one(readers)
    assert len(run.alerts()) == 1
    # The first one that is refused may come before any that is taken: then it may be all of us.
    assert waits_told(run.log) <= 1
    # What was begun with the first, two more, the alert, and each confirmation once.
    assert len(there.refusals("MAIL")) <= 2 * CONNECTIONS + 3 + sign_ups
    left = run.counts(bad)
    assert (left.pending, left.failed) == (left.total, 0)
