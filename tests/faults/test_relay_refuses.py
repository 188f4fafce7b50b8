"""Rows S5, S6 and S11: a relay that turns mails away, for a while, or of some readers or newsletters."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import DeliveryStatus, DigestStatus, Newsletter
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import alerts, counts, queue_digest, rows, status, suppressed
from tests.faults.judge import judge
from tests.faults.relays import Relay, instead, relay, size, waits_told
from tests.support import factories
from tests.support.processes import accepted, working
from tests.support.receiver import Answer, fine
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

CONNECTIONS = 4


def test_what_is_turned_away_for_now_comes_again_as_late_as_planned_until_it_is_taken(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    readers = size(30, 1000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    greylisting = instead("RCPT", "451 4.7.1 try again later")
    with relay(fast_folder / "received", greylisting, pipelines=False) as there:

        def attempts() -> dict[str, list[float]]:
            found: dict[str, list[float]] = defaultdict(list)
            for _, reader, at in list(there.refused):
                found[reader].append(at)
            return found

        def all_came(times: int) -> bool:
            found = attempts()
            return len(found) == readers and min(map(len, found.values())) >= times

        with working(sqlite_database, keys, there.port, fast_folder / "log", smtp_retry="1s,2s,1s"):
            wait_until(lambda: all_came(3))
            assert accepted(there.file) == []
            assert counts(sqlite_database, digest_id).pending == readers
            there.says = fine
            wait_until(lambda: is_sent(sqlite_database, digest_id))
    turned_away_and_then_sent(note, sqlite_database, digest_id, there, readers)
    for times in attempts().values():
        first, second, *_ = [after - before for before, after in pairwise(times)]
        # A wait is at most a fifth shorter than the plan says.
        assert first >= 0.8 * 1
        assert second >= 0.8 * 2


def test_a_relay_that_turns_away_whole_mails_is_not_overrun_and_gets_them_later(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    readers = size(30, 1000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    with (
        relay(fast_folder / "received", instead("DOT", "452 4.3.1 no room")) as there,
        working(sqlite_database, keys, there.port, fast_folder / "log", smtp_retry="1s,2s,1s"),
    ):
        wait_until(lambda: len(there.refusals("DOT")) >= 6)
        assert accepted(there.file) == []
        assert counts(sqlite_database, digest_id).pending == readers
        there.says = fine
        wait_until(lambda: is_sent(sqlite_database, digest_id))
    turned_away_and_then_sent(note, sqlite_database, digest_id, there, readers)


def turned_away_and_then_sent(
    note: Note, database: Database, digest_id: int, there: Relay, readers: int
) -> None:
    """Everybody has one copy, and nobody is thought ill of."""
    found = judge(database, digest_id, there.file)
    note("S5", database, found)
    assert found.lost == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.counts.sent == readers
    assert suppressed(database) == 0
    assert found.adds_up


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
def test_refused_readers_fail_alone_and_the_connection_goes_on(
    sqlite_database: Database,
    keys: Keys,
    fast_folder: Path,
    note: Note,
    pipelines: bool,
    to_nobody: str | None,
) -> None:
    readers = size(200, 1000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    with (
        relay(
            fast_folder / "received",
            refusing(20, "550 5.1.1 no such user", to_nobody),
            pipelines=pipelines,
        ) as there,
        working(
            sqlite_database,
            keys,
            there.port,
            fast_folder / "log",
            smtp_messages_per_connection="10000",
        ),
    ):
        wait_until(lambda: status(sqlite_database, digest_id) is not DigestStatus.SENDING)
    found = judge(sqlite_database, digest_id, there.file)
    refused = {f"reader{number}@example.com" for number in range(20, readers + 1, 20)}
    failed = rows(sqlite_database, digest_id, DeliveryStatus.FAILED)
    # Whoever is shown as failed is not lost.
    note("S6", sqlite_database, replace(found, lost=found.lost - failed.keys()))
    assert found.status is DigestStatus.SENT
    assert failed.keys() == refused == found.lost
    assert {(row.code, row.step, row.attempts) for row in failed.values()} == {(550, "rcpt", 1)}
    assert found.counts.sent == readers - len(refused) == 0.95 * readers
    assert len(accepted(there.file)) == found.counts.sent
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


def queue_refused_digest(database: Database, keys: Keys, readers: int) -> int:
    with database.write() as session:
        newsletter = factories.newsletter(session, "weekly", from_address=REFUSED)
        schedule = factories.schedule(session, newsletter)
        edition = factories.edition(
            session, factories.digest(session, schedule), from_address=REFUSED
        )
        if readers:
            factories.many_readers(session, keys, schedule, readers, "weekly.example")
        factories.deliveries(session, edition, schedule, status=DeliveryStatus.QUEUED, attempts=0)
        return edition.digest_id


@pytest.mark.parametrize("sign_ups", [0, 5], ids=["digest", "confirmations"])
def test_a_newsletter_that_the_relay_refuses_costs_the_others_nothing(
    database: Database, keys: Keys, fast_folder: Path, note: Note, sign_ups: int
) -> None:
    """Its digest, or sign-ups to it while another digest goes out, which once stopped everything."""
    readers = size(400, 10_000)
    good = queue_digest(database, keys, readers)
    bad = queue_refused_digest(database, keys, 0 if sign_ups else readers)
    log = fast_folder / "log"

    def sign_up() -> None:
        with database.write() as session:
            weekly = session.scalars(select(Newsletter).where(Newsletter.slug == "weekly")).one()
            for number in range(sign_ups):
                values = {"newsletter_id": weekly.id, "from_address": REFUSED}
                factories.notice(session, keys, f"newcomer{number}@x.example", **values)

    with (
        relay(fast_folder / "received", takes_all_but) as there,
        working(database, keys, there.port, log, staff_address=STAFF),
    ):
        if sign_ups:
            wait_until(lambda: len(accepted(there.file)) >= 10)
            sign_up()
        else:
            wait_until(lambda: status(database, bad) is DigestStatus.PAUSED)
        wait_until(lambda: is_sent(database, good))
        wait_until(lambda: any(line["to"] == STAFF for line in accepted(there.file)))
    found = judge(database, good, there.file)
    note("S11", database, found)
    assert found.lost == set()
    assert (found.counts.sent, found.doubles, found.counts.in_doubt) == (readers, 0, 0)
    assert len(alerts(database)) == 1
    # The first one that is refused may come before any that is taken: then it may be all of us.
    assert waits_told(log) <= 1
    # What was begun with the first, two more, the alert, and each confirmation once.
    assert len(there.refusals("MAIL")) <= 2 * CONNECTIONS + 3 + sign_ups
    left = counts(database, bad)
    assert (left.pending, left.failed) == (left.total, 0)
