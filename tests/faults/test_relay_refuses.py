"""Rows S5 and S6: a relay that turns mails away, for a while or for some readers, and only those."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from mailer.db import Database
from mailer.models import DeliveryStatus, DigestStatus
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import counts, queue_digest, rows, status, suppressed
from tests.faults.judge import judge
from tests.faults.relays import instead, relay, size
from tests.processes import accepted, working
from tests.receiver import Answer, fine
from tests.sending import is_sent
from tests.waiting import wait_until

CONNECTIONS = 4


@pytest.mark.parametrize("verb", ["RCPT", "DOT"])
def test_what_is_turned_away_for_now_comes_again_twice_as_late_each_time_until_it_is_taken(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, verb: str
) -> None:
    readers = size(30, 1000)
    digest_id = queue_digest(sqlite_database, keys, readers)
    attempts: dict[str, list[float]] = defaultdict(list)
    with relay(
        fast_folder / "received", instead(verb, "451 4.7.1 try again later"), pipelines=False
    ) as there:

        def all_came(times: int) -> bool:
            return len(there.refusals(verb)) >= times * readers

        with working(sqlite_database, keys, there.port, fast_folder / "log", smtp_retry="1s,2s,4s"):
            wait_until(lambda: all_came(2), 60)
            assert accepted(there.file) == []
            assert counts(sqlite_database, digest_id).pending == readers
            there.says = fine
            wait_until(lambda: is_sent(sqlite_database, digest_id), 60)
    found = judge(sqlite_database, digest_id, there.file)
    note("S5", sqlite_database, found)
    assert found.lost == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.counts.sent == readers
    assert suppressed(sqlite_database) == 0
    assert found.adds_up
    if verb == "RCPT":
        for _, argument, at in there.refused:
            attempts[argument].append(at)
        for times in attempts.values():
            waits = [after - before for before, after in pairwise(times)]
            # A wait is at most a fifth shorter than the plan says.
            assert all(
                wait >= 0.8 * planned for wait, planned in zip(waits, (1, 2, 4), strict=False)
            )
            assert len(times) <= 3


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
        wait_until(lambda: status(sqlite_database, digest_id) is not DigestStatus.SENDING, 60)
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
