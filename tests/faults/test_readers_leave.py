"""Row R3, and the pause: whoever leaves gets no mail any more, and what staff stop stands still.

The relay keeps everybody waiting until they have acted, so that nothing depends on how fast they are.
"""

import threading
import time
from itertools import count
from pathlib import Path

import pytest

from mailer.db import Database
from mailer.models import DeliveryStatus
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import counts, last_in_queue, queue_digest, rows
from tests.faults.judge import judge
from tests.faults.people import command, leave, one_click_link
from tests.faults.relays import relay, size
from tests.support.processes import accepted, working
from tests.support.receiver import Answer, fine
from tests.support.sending import is_sent
from tests.support.waiting import wait_until
from tests.support.website import serving

CONNECTIONS = 4


def until(acted: threading.Event) -> Answer:
    """Takes four mails, and holds back its answer to each final dot until somebody has acted."""
    dots = count(1)

    def answer(verb: str, argument: str) -> str | None:
        if verb == "DOT" and next(dots) > CONNECTIONS:
            acted.wait(120)
        return fine(verb, argument)

    return answer


def test_who_leaves_or_is_suppressed_during_the_run_gets_nothing_more(
    database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    readers = size(80, 1000)
    digest_id = queue_digest(database, keys, readers)
    # Nobody of them is served yet when they act.
    suppressed, removed, *leavers = last_in_queue(database, digest_id, 12)
    links = {address: one_click_link(database, keys, address) for address in leavers}
    acted = threading.Event()
    with (
        serving(database, keys) as website,
        relay(fast_folder / "received", until(acted)) as there,
        working(database, keys, there.port, fast_folder / "log"),
    ):
        wait_until(lambda: len(accepted(there.file)) >= 4)
        for address in leavers:
            leave(website, links[address])
        command(database, keys, fast_folder, "suppression", "add", suppressed, "--reason", "asked")
        command(database, keys, fast_folder, "subscriber", "unsubscribe", removed)
        acted.set()
        wait_until(lambda: is_sent(database, digest_id))
    got = {line["to"] for line in accepted(there.file)}
    gone = {suppressed, removed, *leavers}
    found = counts(database, digest_id)
    note(
        "R3",
        database,
        readers=readers,
        doubled=len(accepted(there.file)) - len(got),
        lost=readers - len(got | gone),
        unexpected=len(got & gone),
    )
    assert got & gone == set()
    assert (found.sent, found.skipped) == (readers - len(gone), len(gone))
    assert len(accepted(there.file)) == len(got) == readers - len(gone)
    assert rows(database, digest_id, DeliveryStatus.SKIPPED).keys() == gone


@pytest.mark.parametrize("noun", [[], ["digest"]], ids=["all sending", "one digest"])
def test_a_pause_holds_at_once_and_nobody_is_forgotten(
    database: Database, keys: Keys, fast_folder: Path, note: Note, noun: list[str]
) -> None:
    readers = size(80, 1000)
    digest_id = queue_digest(database, keys, readers)
    which = [str(digest_id)] if noun else []
    pause, resume = [*noun, "pause", *which], [*noun, "resume", *which]
    acted = threading.Event()
    with (
        relay(fast_folder / "received", until(acted)) as there,
        working(database, keys, there.port, fast_folder / "log"),
    ):
        wait_until(lambda: len(accepted(there.file)) >= 4)
        command(database, keys, fast_folder, *pause)
        taken = len(accepted(there.file))
        acted.set()
        # Time enough for all of them, if it did not hold.
        paused_at = time.monotonic()
        wait_until(lambda: time.monotonic() > paused_at + 2)
        stopped_with = len(accepted(there.file))
        command(database, keys, fast_folder, *resume)
        wait_until(lambda: is_sent(database, digest_id))
    found = judge(database, digest_id, there.file)
    note("pause", database, found)
    # What was on its way on each connection, and what had begun behind it.
    assert stopped_with <= taken + 2 * CONNECTIONS < readers
    assert found.lost == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.counts.sent == readers
    assert found.adds_up
