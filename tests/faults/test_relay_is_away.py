"""Row S9: a relay that cannot be reached as we must reach it is asked again later, and never otherwise."""

import datetime
import re
from itertools import pairwise

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import Worker
from tests.faults.conftest import SQLITE
from tests.faults.relays import size, waits_told
from tests.faults.run import Run
from tests.support.receiver import fine
from tests.support.waiting import wait_until


def note_of_worker(database: Database) -> str | None:
    with database.read() as session:
        return session.scalars(select(Worker.note)).one()


def rests(run: Run, smtp_url: str, word: str) -> None:
    """Lets a worker fail twice with this relay, and checks that it says so once for each rest."""
    readers = size(20, 1000)
    run.queue(readers)
    with run.working(25, smtp_url=smtp_url, base_url="https://news.example"):
        wait_until(lambda: waits_told(run.log) >= 2)
        found = run.counts()
        wait_until(lambda: note_of_worker(run.database))
        told_by_status = run.command("status")
    assert re.search(rf"sending: nothing goes out \(the relay failed: .*({word})", told_by_status)
    run.note("S9", readers=readers, in_doubt=found.in_doubt)
    assert (found.pending, found.in_doubt) == (readers, 0)
    assert run.suppressed() == 0
    # One line for each rest, which says why and how long, and no other.
    told = [line for line in run.log.read_text().splitlines() if "relay" in line]
    assert len(told) == waits_told(run.log)
    assert all(re.search(word, line) for line in told)
    times = [datetime.datetime.fromisoformat(line[:23].replace(",", ".")) for line in told]
    waits = [(after - before).total_seconds() for before, after in pairwise(times)]
    # One second, two, four, each at most a fifth shorter.
    assert all(wait >= 0.8 * 2**number for number, wait in enumerate(waits))


@SQLITE
@pytest.mark.parametrize(
    ("url", "word"),
    [
        (
            "smtp://relay.invalid:25?tls=none",
            "Name or service not known|failure in name resolution",
        ),
        ("smtp://127.0.0.1:{}", "Connection refused"),
    ],
    ids=["a name that nobody has", "a port where nobody listens"],
)
def test_a_relay_that_cannot_be_reached_is_tried_again(
    run: Run, free_port: int, url: str, word: str
) -> None:
    rests(run, url.format(free_port), word)


@SQLITE
def test_where_tls_is_not_offered_nothing_goes_out_in_plain_text(run: Run) -> None:
    with run.relay(fine) as there:
        rests(run, f"smtp://127.0.0.1:{there.port}?tls=starttls", "offers no STARTTLS")
    assert {command.split(" ")[0] for command in there.seen.commands} == {"CONNECT", "EHLO"}
    assert run.accepted() == []
