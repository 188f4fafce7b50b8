"""Row S9: a relay that cannot be reached as we must reach it is asked again later, and never otherwise."""

import datetime
import re
from itertools import pairwise
from pathlib import Path

from sqlalchemy import select

from mailer.db import Database
from mailer.models import Worker
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import counts, queue_digest, suppressed
from tests.faults.people import command
from tests.faults.relays import relay, size, waits_told
from tests.support.processes import accepted, working
from tests.support.receiver import fine
from tests.support.waiting import wait_until


def lines_told(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if "relay" in line]


def note_of_worker(database: Database) -> str | None:
    with database.read() as session:
        return session.scalars(select(Worker.note)).one()


def rests(
    database: Database, keys: Keys, folder: Path, note: Note, smtp_url: str, word: str
) -> int:
    """Lets a worker fail twice with this relay; how often it told so, once for each rest."""
    readers = size(20, 1000)
    digest_id = queue_digest(database, keys, readers)
    log = folder / "log"
    with working(database, keys, 25, log, smtp_url=smtp_url, base_url="https://news.example"):
        wait_until(lambda: waits_told(log) >= 2)
        found = counts(database, digest_id)
        wait_until(lambda: note_of_worker(database))
        told_by_status = command(database, keys, folder, "status")
    assert re.search(rf"sending: nothing goes out \(the relay failed: .*({word})", told_by_status)
    note("S9", database, readers=readers, in_doubt=found.in_doubt)
    assert (found.pending, found.in_doubt) == (readers, 0)
    assert suppressed(database) == 0
    # One line for each rest, which says why and how long, and no other.
    told = lines_told(log)
    assert len(told) == waits_told(log)
    assert all(re.search(word, line) for line in told)
    times = [datetime.datetime.fromisoformat(line[:23].replace(",", ".")) for line in told]
    waits = [(after - before).total_seconds() for before, after in pairwise(times)]
    # One second, two, four, each at most a fifth shorter.
    assert all(wait >= 0.8 * 2**number for number, wait in enumerate(waits))
    return len(told)


def test_a_relay_whose_name_is_nobody_s_is_asked_for_again(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    rests(
        sqlite_database,
        keys,
        fast_folder,
        note,
        "smtp://relay.invalid:25?tls=none",
        "Name or service not known|failure in name resolution",
    )


def test_a_port_where_nobody_listens_is_tried_again_until_somebody_does(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note, free_port: int
) -> None:
    rests(
        sqlite_database,
        keys,
        fast_folder,
        note,
        f"smtp://127.0.0.1:{free_port}",
        "Connection refused",
    )


def test_where_tls_is_not_offered_nothing_goes_out_in_plain_text(
    sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    with relay(fast_folder / "received", fine) as there:
        rests(
            sqlite_database,
            keys,
            fast_folder,
            note,
            f"smtp://127.0.0.1:{there.port}?tls=starttls",
            "offers no STARTTLS",
        )
    assert {command.split(" ")[0] for command in there.seen.commands} == {"CONNECT", "EHLO"}
    assert accepted(there.file) == []
