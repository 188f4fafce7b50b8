"""Row R3, and the pause: whoever leaves, and whatever staff stop, gets no mail a second later."""

import time
from pathlib import Path

import pytest

from mailer.db import Database
from mailer.models import DeliveryStatus
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import counts, last_in_queue, queue_digest, rows
from tests.faults.judge import judge
from tests.faults.people import command, leave, one_click_link
from tests.faults.relays import relay, size, slowly
from tests.processes import accepted, working
from tests.receiver import fine
from tests.sending import is_sent
from tests.waiting import wait_until
from tests.website import serving

AT_ONCE_SECONDS = 1.0
"""How much later than the answer to a change a mail may still come that the change forbids."""

REPLY_SECONDS = 0.3
"""What the relay takes for each reply until they have acted: three or four mails come in a second."""


def test_who_leaves_or_is_suppressed_during_the_run_gets_nothing_more(
    database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    readers = size(80, 1000)
    digest_id = queue_digest(database, keys, readers)
    # Nobody of them is served yet when they act.
    suppressed, removed, *leavers = last_in_queue(database, digest_id, 12)
    links = {address: one_click_link(database, keys, address) for address in leavers}
    left_at: dict[str, float] = {}
    with (
        serving(database, keys) as website,
        relay(fast_folder / "received", slowly(REPLY_SECONDS)) as there,
        working(database, keys, there.port, fast_folder / "log"),
    ):
        wait_until(lambda: len(accepted(there.file)) >= 4, 30)
        for address in leavers:
            leave(website, links[address])
            left_at[address] = time.monotonic()
        command(database, keys, fast_folder, "suppression", "add", suppressed, "--reason", "asked")
        left_at[suppressed] = time.monotonic()
        command(database, keys, fast_folder, "subscriber", "unsubscribe", removed)
        left_at[removed] = time.monotonic()
        there.says = fine
        wait_until(lambda: is_sent(database, digest_id), 60)
    got = {line["to"]: line["at"] for line in accepted(there.file)}
    late = {one for one, at in left_at.items() if got.get(one, 0.0) > at + AT_ONCE_SECONDS}
    spared = left_at.keys() - got.keys()
    found = counts(database, digest_id)
    note(
        "R3",
        database,
        readers=readers,
        doubled=len(accepted(there.file)) - len(got),
        lost=readers - len(got) - len(spared),
        unexpected=len(late),
    )
    assert late == set()
    # Otherwise they left too late to show anything.
    assert spared == left_at.keys()
    assert (found.sent, found.skipped) == (readers - len(spared), len(spared))
    assert len(accepted(there.file)) == len(got) == readers - len(spared)
    assert rows(database, digest_id, DeliveryStatus.SKIPPED).keys() == left_at.keys()


@pytest.mark.parametrize("noun", [[], ["digest"]], ids=["all sending", "one digest"])
def test_a_pause_holds_within_a_second_and_nobody_is_forgotten(
    database: Database, keys: Keys, fast_folder: Path, note: Note, noun: list[str]
) -> None:
    readers = size(80, 1000)
    digest_id = queue_digest(database, keys, readers)
    which = [str(digest_id)] if noun else []
    pause, resume = [*noun, "pause", *which], [*noun, "resume", *which]
    with (
        relay(fast_folder / "received", slowly(REPLY_SECONDS)) as there,
        working(database, keys, there.port, fast_folder / "log"),
    ):
        wait_until(lambda: len(accepted(there.file)) >= 4, 30)
        command(database, keys, fast_folder, *pause)
        paused_at = time.monotonic()
        wait_until(lambda: time.monotonic() > paused_at + 2 * AT_ONCE_SECONDS)
        late = [line for line in accepted(there.file) if line["at"] > paused_at + AT_ONCE_SECONDS]
        stopped_with = len(accepted(there.file))
        there.says = fine
        command(database, keys, fast_folder, *resume)
        wait_until(lambda: is_sent(database, digest_id), 60)
    found = judge(database, digest_id, there.file)
    note("pause", database, found)
    assert late == []
    # Otherwise the pause came too late to stop anything.
    assert stopped_with < readers
    assert found.lost == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.counts.sent == readers
    assert found.adds_up
