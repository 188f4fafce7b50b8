"""Rows S1 and S4: a relay that goes away at any step is found again, and no reader pays for it."""

from pathlib import Path

import pytest

from mailer.db import Database
from mailer.models import DigestStatus
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import counts, queue_digest, status, suppressed
from tests.faults.judge import judge
from tests.faults.relays import (
    Relay,
    copies_in,
    instead,
    relay,
    size,
    smtp_sink,
    waits_told,
)
from tests.support.processes import accepted, working
from tests.support.receiver import fine
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

CONNECTIONS = 4


def all_is_well(
    note: Note, row: str, database: Database, digest_id: int, relay: Relay, readers: int
) -> None:
    """Each reader has one copy, nobody is charged, and nothing was in doubt."""
    found = judge(database, digest_id, relay.file)
    note(row, database, found)
    assert found.lost == set()
    assert found.strangers == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.adds_up
    assert (found.counts.sent, found.counts.total) == (readers, readers)
    assert suppressed(database) == 0


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_relay_that_drops_us_is_left_alone_and_found_again(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, verb: str
) -> None:
    readers = size(60, 1000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    log = fast_folder / "log"
    with (
        relay(fast_folder / "received", instead(verb, None)) as there,
        working(sqlite_database, keys, there.port, log),
    ):
        wait_until(lambda: waits_told(log) >= 2)
        assert accepted(there.file) == []
        assert counts(sqlite_database, digest_id).pending == readers
        attempts = there.refusals(verb)
        there.says = fine
        wait_until(lambda: is_sent(sqlite_database, digest_id))
    # All connections that were open at once, and one more at the end of each rest.
    assert len(attempts) <= CONNECTIONS + waits_told(log)
    # The first rest is a second, at most a fifth shorter.
    assert max(attempts) - min(attempts) >= 0.8
    all_is_well(note, "S1", sqlite_database, digest_id, there, readers)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_421_in_the_middle_of_a_run_is_not_accepted_and_sent_again(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, verb: str
) -> None:
    readers = size(60, 1000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    log = fast_folder / "log"
    with relay(fast_folder / "received") as there:
        there.hold_seconds = 0.05
        with working(sqlite_database, keys, there.port, log):
            wait_until(lambda: len(accepted(there.file)) >= readers // 4, every=0.002)
            there.says = instead(verb, "421 4.3.2 shutting down")
            wait_until(lambda: waits_told(log) >= 2)
            assert len(accepted(there.file)) < readers
            assert status(sqlite_database, digest_id) is DigestStatus.SENDING
            refused_at = len(there.refused)
            there.says = fine
            wait_until(lambda: is_sent(sqlite_database, digest_id))
    # The first try after the recovery goes on. Before, a mail that was taken while others were told 421
    # may have shown that the relay works: then all connections try it again at the end of the rest.
    assert len(there.refused) == refused_at <= CONNECTIONS * waits_told(log)
    all_is_well(note, "S4", sqlite_database, digest_id, there, readers)


@pytest.mark.needs_postfix
def test_a_relay_that_vanishes_after_300_mails_is_found_again(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, free_port: int
) -> None:
    readers = size(500, 1000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    log, dump = fast_folder / "log", fast_folder / "sink" / "dump"
    with (
        smtp_sink(free_port, "-M", "300", dump=dump) as first,
        working(sqlite_database, keys, free_port, log, smtp_retry="1s,2s,4s"),
    ):
        first.wait()
        wait_until(lambda: waits_told(log) >= 1)
        assert copies_in(dump).total() == 300
        with smtp_sink(free_port, dump=dump):
            wait_until(lambda: is_sent(sqlite_database, digest_id))
    copies = copies_in(dump)
    found = counts(sqlite_database, digest_id)
    doubled = copies.total() - len(copies)
    note("S4", sqlite_database, readers=readers, doubled=doubled, in_doubt=found.in_doubt)
    assert copies.keys() == {f"reader{number}@example.com" for number in range(1, readers + 1)}
    # What the sink took and could not say is in doubt, at most one mail for each connection.
    assert doubled <= found.in_doubt <= CONNECTIONS
    assert found.sent == readers
    assert suppressed(sqlite_database) == 0
