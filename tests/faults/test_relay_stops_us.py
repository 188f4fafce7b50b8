"""Rows S2, S3 and S7: what no waiting mends stops by itself, soon, and staff are told."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.ledger.transitions import HELD
from mailer.models import DeliveryStatus, DigestStatus, Installation
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import alerts, counts, queue_digest, rows, status, suppressed
from tests.faults.judge import Judgement, judge
from tests.faults.people import command
from tests.faults.relays import FULL, Relay, instead, relay, size
from tests.support.processes import accepted, working
from tests.support.receiver import Answer, fine
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

STAFF = "editor@news.example"
CONNECTIONS = 4 if FULL else 2
"""With more, too much in doubt takes longer: each time the relay is left alone for twice as long."""

"""Until staff are told."""


def is_paused(database: Database) -> bool:
    """Whether all sending is."""
    with database.read() as session:
        return session.scalars(select(Installation.paused_at)).one() is not None


def digest_mails(there: Relay) -> int:
    return sum(line["digest"] is not None for line in accepted(there.file))


def staff_were_told(there: Relay) -> bool:
    return any(line["to"] == STAFF for line in accepted(there.file))


def stops_by_itself_and_goes_on(
    note: Note,
    row: str,
    database: Database,
    keys: Keys,
    folder: Path,
    there: Relay,
    **settings: str,
) -> Judgement:
    """The relay leaves all mails in doubt: the digest is paused; it goes on when staff have mended that."""
    readers = size(40, 1000)
    digest_id = queue_digest(database, keys, readers)
    log = folder / "log"
    with working(
        database,
        keys,
        there.port,
        log,
        staff_address=STAFF,
        smtp_retry="1s",
        smtp_connections=str(CONNECTIONS),
        **settings,
    ):
        wait_until(lambda: status(database, digest_id) is DigestStatus.PAUSED)
        doubtful = digest_mails(there)
        before = counts(database, digest_id)
        assert len(alerts(database)) == 1
        assert f"digest {digest_id} is paused" in log.read_text()
        shown = json.loads(
            command(database, keys, folder, "digest", "show", str(digest_id), "--json")
        )
        assert (shown["status"], shown["in_doubt"]) == ("paused", before.in_doubt)
        assert "in doubt" in shown["reason"]
        # The seconds that the command took show that it is paused.
        assert digest_mails(there) == doubtful
        there.says, there.hold_seconds = fine, 0.0
        command(database, keys, folder, "digest", "resume", str(digest_id))
        wait_until(lambda: is_sent(database, digest_id))
        wait_until(lambda: staff_were_told(there))
    found = judge(database, digest_id, there.file)
    note(row, database, found)
    assert 0 < before.in_doubt <= 2 * CONNECTIONS
    assert doubtful <= 2 * CONNECTIONS
    assert found.lost == set()
    assert found.doubles <= doubtful
    assert found.doubled_without_doubt == set()
    assert found.strangers == set()
    assert found.ids_per_delivery == 1
    assert found.counts.sent + found.counts.unknown == readers
    assert found.adds_up
    assert suppressed(database) == 0
    return found


def test_a_relay_that_drops_us_after_every_dot_pauses_the_digest(
    database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    with relay(fast_folder / "received", instead("DOT", None)) as there:
        stops_by_itself_and_goes_on(note, "S2", database, keys, fast_folder, there)
    copies = [line["to"] for line in accepted(there.file) if line["digest"] is not None]
    assert max(copies.count(one) for one in set(copies)) <= 2


def test_an_answer_to_the_dot_that_is_slower_than_our_patience_pauses_the_digest(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    with relay(fast_folder / "received") as there:
        there.hold_seconds = 6.0
        stops_by_itself_and_goes_on(
            note, "S3", sqlite_database, keys, fast_folder, there, smtp_timeouts="dot=1s"
        )


def test_with_hold_nobody_gets_two_copies_of_what_the_relay_left_in_doubt(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    with relay(fast_folder / "received", instead("DOT", None)) as there:
        found = stops_by_itself_and_goes_on(
            note, "S2", sqlite_database, keys, fast_folder, there, on_unknown="hold"
        )
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
def test_a_relay_that_refuses_us_stops_all_sending_and_nobody_pays(
    sqlite_database: Database,
    keys: Keys,
    fast_folder: Path,
    note: Note,
    verb: str,
    refusing: Answer,
    mended: Answer,
) -> None:
    readers, connections = size(40, 1000), 4
    digest_id = queue_digest(sqlite_database, keys, readers)
    log = fast_folder / "log"
    with relay(fast_folder / "received", refusing) as there:
        login = f"news:{PASSWORD}@" if verb == "AUTH" else ""
        with working(
            sqlite_database,
            keys,
            there.port,
            log,
            staff_address=STAFF,
            smtp_url=f"smtp://{login}127.0.0.1:{there.port}?tls=none",
            smtp_connections=str(connections),
        ):
            wait_until(lambda: is_paused(sqlite_database))
            attempts = len(there.refusals(verb))
            before = counts(sqlite_database, digest_id)
            told = command(sqlite_database, keys, fast_folder, "status")
            assert "refuses us" in told
            # Nothing is tried while it is paused.
            assert len(there.refusals(verb)) == attempts
            there.says = mended
            command(sqlite_database, keys, fast_folder, "resume")
            wait_until(lambda: is_sent(sqlite_database, digest_id))
            wait_until(lambda: staff_were_told(there))
    found = judge(sqlite_database, digest_id, there.file)
    note("S7", sqlite_database, found)
    assert 0 < attempts <= 2 * connections
    assert (before.pending, before.in_doubt) == (readers, 0)
    assert "all sending is paused" in log.read_text()
    assert PASSWORD not in log.read_text()
    assert base64.b64encode(f"\0news\0{PASSWORD}".encode()).decode() not in log.read_text()
    assert len(alerts(sqlite_database)) == 1
    assert suppressed(sqlite_database) == 0
    assert found.lost == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert (found.counts.sent, found.status) == (readers, DigestStatus.SENT)


@pytest.mark.parametrize("verb", ["RCPT", "DATA", "DOT"])
def test_a_relay_that_refuses_every_mail_for_policy_pauses_the_digest(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, verb: str
) -> None:
    readers, connections = size(60, 1000), 4
    digest_id = queue_digest(sqlite_database, keys, readers)
    log = fast_folder / "log"
    with (
        relay(fast_folder / "received", instead(verb, "554 5.7.1 looks like spam")) as there,
        working(
            sqlite_database,
            keys,
            there.port,
            log,
            staff_address=STAFF,
            smtp_connections=str(connections),
        ),
    ):
        wait_until(lambda: status(sqlite_database, digest_id) is DigestStatus.PAUSED)
        # What was under way when the last refusal came in is refused too.
        wait_until(lambda: not rows(sqlite_database, digest_id, *HELD))
        refusals = len(there.refusals(verb))
        before = counts(sqlite_database, digest_id)
        there.says = fine
        # The alert may have been refused like all the rest; the log and the digest tell.
        assert digest_mails(there) == 0
        command(sqlite_database, keys, fast_folder, "digest", "resume", str(digest_id))
        wait_until(lambda: is_sent(sqlite_database, digest_id))
    found = judge(sqlite_database, digest_id, there.file)
    failed = rows(sqlite_database, digest_id, DeliveryStatus.FAILED)
    note("S7", sqlite_database, replace(found, lost=found.lost - failed.keys()))
    assert before.failed <= 2 * connections
    assert before.failed <= refusals <= before.failed + 1
    assert before.pending == readers - before.failed
    assert "looks like spam" in log.read_text()
    assert len(alerts(sqlite_database)) == 1
    assert suppressed(sqlite_database) == 0
    # Whom the relay refused is shown as failed; everybody else has the digest.
    assert found.lost == failed.keys()
    assert found.counts.failed == before.failed
    assert found.counts.sent == readers - before.failed
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
