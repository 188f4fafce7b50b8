"""Rows S1 and S4: a relay that goes away at any step is found again, and no mail fails because of it."""

import pytest

from mailer.models import DigestStatus
from tests.faults.conftest import SQLITE
from tests.faults.relays import (
    copies_in,
    instead,
    size,
    smtp_sink,
    waits_told,
)
from tests.faults.run import Run
from tests.support.receiver import fine
from tests.support.waiting import wait_until

CONNECTIONS = 4


def all_is_well(run: Run, row: str, readers: int) -> None:
    """Each reader has one copy, nobody is charged, and nothing was in doubt."""
    run.judge(row).everybody_got_one(readers)
    assert run.suppressed() == 0


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
@SQLITE
def test_a_relay_that_drops_us_is_left_alone_and_found_again(run: Run, verb: str) -> None:
    readers = size(60, 1000)
    run.queue(readers)
    with run.relay(instead(verb, None)) as there, run.working(there.port):
        wait_until(lambda: waits_told(run.log) >= 2)
        assert run.accepted() == []
        assert run.counts().pending == readers
        attempts = there.refusals(verb)
        there.says = fine
        wait_until(run.is_sent)
    # All connections that were open at once, and one more at the end of each rest.
    assert len(attempts) <= CONNECTIONS + waits_told(run.log)
    # The first rest is a second, at most a fifth shorter.
    assert max(attempts) - min(attempts) >= 0.8
    all_is_well(run, "S1", readers)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
@SQLITE
def test_421_in_the_middle_of_a_run_is_not_accepted_and_sent_again(run: Run, verb: str) -> None:
    readers = size(60, 1000)
    run.queue(readers)
    with run.relay() as there:
        there.hold_seconds = 0.05
        with run.working(there.port):
            wait_until(lambda: len(run.accepted()) >= readers // 4, every=0.002)
            there.says = instead(verb, "421 4.3.2 shutting down")
            wait_until(lambda: waits_told(run.log) >= 2)
            assert len(run.accepted()) < readers
            assert run.status() is DigestStatus.SENDING
            refused_at = len(there.refused)
            there.says = fine
            wait_until(run.is_sent)
    # The first try after the recovery goes on. Before, a mail that was taken while others were told 421
    # may have shown that the relay works: then all connections try it again at the end of the rest.
    assert len(there.refused) == refused_at <= CONNECTIONS * waits_told(run.log)
    all_is_well(run, "S4", readers)


@pytest.mark.needs_postfix
@SQLITE
def test_a_relay_that_vanishes_after_300_mails_is_found_again(run: Run, free_port: int) -> None:
    readers = size(500, 1000)
    run.queue(readers)
    dump = run.folder / "sink" / "dump"
    with (
        smtp_sink(free_port, "-M", "300", dump=dump) as first,
        run.working(free_port, smtp_retry="1s,2s,4s"),
    ):
        first.wait()
        wait_until(lambda: waits_told(run.log) >= 1)
        assert copies_in(dump).total() == 300
        with smtp_sink(free_port, dump=dump):
            wait_until(run.is_sent)
    copies = copies_in(dump)
    found = run.counts()
    doubled = copies.total() - len(copies)
    run.note("S4", readers=readers, doubled=doubled, in_doubt=found.in_doubt)
    assert copies.keys() == {f"reader{number}@example.com" for number in range(1, readers + 1)}
    # What the sink took and could not say is in doubt, at most one mail for each connection.
    assert doubled <= found.in_doubt <= CONNECTIONS
    assert found.sent == readers
    assert run.suppressed() == 0
