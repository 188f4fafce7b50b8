"""Rows K3 and K4: kill -9 at every named place of a sender, judged by the receiver's file alone.

With one connection the figures are exact; many connections are for the random kills next door.
"""

import signal
from pathlib import Path

import pytest

from mailer.db import Database
from mailer.models import DigestStatus
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.judge import Judgement, judge
from tests.faults.relays import size
from tests.support.processes import receiving, working
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

READERS = size(12, 10_000)
PASS = size(3, 5000)
"""At which mail the worker dies."""

pytestmark = [pytest.mark.quick, pytest.mark.timeout(size(300, 600))]

KINDS = pytest.mark.parametrize("kind", ["plain", "pipelining"])


def killed_at(
    place: str,
    database: Database,
    keys: Keys,
    folder: Path,
    note: Note,
    row: str,
    kind: str = "plain",
    on_unknown: str = "resend",
) -> Judgement:
    """One worker dies at `place`, the next one finishes the digest."""
    settings = {"smtp_connections": "1", "on_unknown": on_unknown}
    digest_id = queue_digest(database, keys, READERS)
    file, log = folder / "received", folder / "log"
    with receiving(file, kind=kind) as port:
        with working(database, keys, port, log, failpoint=place, **settings) as first:
            assert first.wait() == -signal.SIGKILL, log.read_text()
        with working(database, keys, port, log, **settings):
            wait_until(lambda: is_sent(database, digest_id))
    found = judge(database, digest_id, file)
    note(row, database, found, kills=1)
    assert found.status is DigestStatus.SENT
    assert found.adds_up
    assert found.strangers == set()
    assert found.ids_per_delivery == 1
    return found


@pytest.mark.parametrize(
    "place", ["after-claim", f"after-mail:{PASS}", f"after-rcpt:{PASS}", f"mid-data:{PASS}"]
)
def test_what_the_relay_cannot_have_taken_is_sent_once(
    place: str, sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    found = killed_at(f"worker.{place}", sqlite_database, keys, fast_folder, note, "K3")
    assert found.lost == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert found.counts.sent == READERS


@KINDS
def test_a_start_without_a_dot_is_in_doubt_and_sent_once(
    database: Database, keys: Keys, fast_folder: Path, note: Note, kind: str
) -> None:
    found = killed_at(
        f"worker.after-start-commit:{PASS}", database, keys, fast_folder, note, "K4", kind
    )
    assert found.lost == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 1)
    assert found.counts.sent == READERS


@KINDS
@pytest.mark.parametrize("place", [f"after-dot:{PASS}", f"before-record:{PASS}"])
def test_what_the_relay_may_have_taken_is_sent_once_more_and_counted(
    place: str, database: Database, keys: Keys, fast_folder: Path, note: Note, kind: str
) -> None:
    found = killed_at(f"worker.{place}", database, keys, fast_folder, note, "K4", kind)
    assert found.lost == set()
    assert (found.doubles, found.counts.in_doubt) == (1, 1)
    assert found.doubled_without_doubt == set()
    assert found.counts.sent == READERS


@pytest.mark.parametrize("place", [f"after-dot:{PASS}", f"before-record:{PASS}"])
def test_with_hold_what_is_in_doubt_stays_and_is_shown(
    place: str, sqlite_database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    found = killed_at(
        f"worker.{place}", sqlite_database, keys, fast_folder, note, "K4", on_unknown="hold"
    )
    assert found.lost == set()
    assert found.doubles == 0
    assert (found.counts.unknown, found.counts.in_doubt) == (1, 1)
    assert found.counts.sent == READERS - 1
