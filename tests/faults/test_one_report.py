"""Row K7: kill -9 around the end of a digest, of which staff get one report, judged by the receiver's file.

Every process here is scheduler and worker in one, as an operator runs them; after the kill there are two of
them at once, and either may write the report and send it.
"""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    Notice,
    NoticeKind,
    Schedule,
)
from mailer.tokens import Keys
from tests.faults.conftest import Note
from tests.faults.digests import queue_digest
from tests.faults.judge import Judgement, judge
from tests.faults.relays import size
from tests.faults.traps import AT_THE_END, REPORT_QUEUED, REPORT_STARTED, Trap, die_in
from tests.support import factories
from tests.support.factories import NOW
from tests.support.processes import accepted, killed_in_the_end, receiving, start_mailer
from tests.support.sending import is_sent
from tests.support.waiting import wait_until

DESK = "desk@news.example"
ROLES = ("scheduler", "worker")
READERS = size(40, 10_000)
FEW = 6
DIGESTS = size(8, 100)

pytestmark = pytest.mark.timeout(size(300, 1800))


def pause_schedules(database: Database) -> None:
    """Let them have no slots, by whatever clock: what is being sent goes on."""
    with database.write() as session:
        for schedule in session.scalars(select(Schedule)):
            schedule.paused_at = NOW


def queue_another(database: Database, number: int) -> int:
    """One more digest for those who read the first; its id."""
    with database.write() as session:
        schedule = session.scalars(select(Schedule)).one()
        digest = factories.digest(session, schedule, due_at=NOW + timedelta(days=number))
        edition = factories.edition(session, digest)
        factories.deliveries(session, edition, schedule, status=DeliveryStatus.QUEUED, attempts=0)
        found: int = digest.id
        return found


def told(file: Path) -> Counter[str]:
    """How many copies the desk got of each mail, by the receiver's file."""
    return Counter(line["message_id"] for line in accepted(file) if line["to"] == DESK)


def notices(database: Database) -> list[Notice]:
    with database.read() as session:
        return list(session.scalars(select(Notice).order_by(Notice.id)))


def are_sent(database: Database, number: int) -> bool:
    """Whether there are so many notices, with nothing more to come of any."""
    return [one.status for one in notices(database)] == [DeliveryStatus.SENT] * number


class Processes:
    """Schedulers and workers with a desk, each with a log of its own, killed in the end."""

    def __init__(self, database: Database, keys: Keys, port: int, folder: Path) -> None:
        self._given = database, keys, port
        self._folder = folder
        self._numbers = count(1)
        self._logs: dict[int, Path] = {}
        self._stack = ExitStack()

    def start(self) -> "subprocess.Popen[bytes]":
        log = self._folder / f"log{next(self._numbers)}"
        process = start_mailer(*self._given, log, *ROLES, staff_address=DESK)
        self._logs[process.pid] = log
        return self._stack.enter_context(killed_in_the_end(process))

    def stop(self, *processes: "subprocess.Popen[bytes]") -> None:
        """Tell them to stop, and wait until they have finished what they are at."""
        for process in processes:
            # One that is told before it listens to signals dies of it.
            wait_until(lambda: b"running: " in self._logs[process.pid].read_bytes())  # noqa: B023
            process.send_signal(signal.SIGTERM)
        assert [process.wait() for process in processes] == [0] * len(processes), self.said()

    def said(self) -> str:
        return "\n".join(log.read_text() for log in self._logs.values())

    def close(self) -> None:
        self._stack.close()


@contextmanager
def processes(database: Database, keys: Keys, port: int, folder: Path) -> Iterator[Processes]:
    found = Processes(database, keys, port, folder)
    try:
        yield found
    finally:
        found.close()


def finished_by_two(
    database: Database, keys: Keys, port: int, file: Path, digest_id: int
) -> tuple[Judgement, Counter[str]]:
    """What readers and the desk got in the end, after two processes took over from the dead one."""
    with processes(database, keys, port, file.parent) as running:
        both = running.start(), running.start()
        wait_until(lambda: is_sent(database, digest_id))
        wait_until(lambda: are_sent(database, 1))
        found, reports = judge(database, digest_id, file), told(file)
        # Whoever reports a digest later has looked for all of which nobody was told.
        later = queue_another(database, 1)
        wait_until(lambda: is_sent(database, later))
        wait_until(lambda: are_sent(database, 2))
        running.stop(*both)
    in_the_end = told(file)
    assert len(in_the_end) == 2
    assert sum(in_the_end.values()) == sum(reports.values()) + 1
    assert [one.kind for one in notices(database)] == [NoticeKind.REPORT] * 2
    return found, reports


def is_whole(found: Judgement) -> None:
    assert found.lost == set()
    assert found.strangers == set()
    assert (found.doubles, found.counts.in_doubt) == (0, 0)
    assert (found.counts.total, found.counts.sent) == (READERS, READERS)


@pytest.mark.long
@pytest.mark.parametrize(
    "trap", [AT_THE_END, REPORT_QUEUED, REPORT_STARTED], ids=["closing", "queueing", "starting"]
)
def test_who_dies_while_the_end_is_written_leaves_one_report_to_be_sent(
    database: Database, keys: Keys, fast_folder: Path, note: Note, trap: Trap
) -> None:
    digest_id = queue_digest(database, keys, READERS)
    pause_schedules(database)
    file, log = fast_folder / "received", fast_folder / "log"
    with receiving(file, kind="pipelining") as port:
        die_in(trap, database, keys, port, log, *ROLES, staff_address=DESK)
        assert len(accepted(file)) == READERS
        found, reports = finished_by_two(database, keys, port, file, digest_id)
    note("K7", database, found, kills=1)
    is_whole(found)
    assert list(reports.values()) == [1]
    # PostgreSQL finishes a statement that is alone in its transaction without the one that asked for it:
    # then the mail was started, and nobody can know how far it came.
    doubts = int(trap is REPORT_STARTED and not database.is_sqlite)
    assert [one.in_doubt for one in notices(database)] == [doubts, 0]


@pytest.mark.long
@pytest.mark.parametrize(
    ("place", "copies"), [("after-start-commit", 1), ("after-dot", 2), ("before-record", 2)]
)
def test_a_report_that_the_relay_may_have_taken_is_in_doubt_once(
    database: Database, keys: Keys, fast_folder: Path, note: Note, place: str, copies: int
) -> None:
    digest_id = queue_digest(database, keys, READERS)
    pause_schedules(database)
    file, log = fast_folder / "received", fast_folder / "log"
    # The mail after the last reader's is the report.
    given = {"smtp_connections": "1", "failpoint": f"worker.{place}:{READERS + 1}"}
    with receiving(file, kind="pipelining") as port:
        first = start_mailer(database, keys, port, log, *ROLES, staff_address=DESK, **given)
        with killed_in_the_end(first):
            assert first.wait() == -signal.SIGKILL, log.read_text()
        found, reports = finished_by_two(database, keys, port, file, digest_id)
    note("K7", database, found, kills=1)
    is_whole(found)
    assert list(reports.values()) == [copies]
    assert [one.in_doubt for one in notices(database)] == [1, 0]


@pytest.mark.long
def test_one_of_two_is_killed_again_and_again_as_digests_end(
    database: Database, keys: Keys, fast_folder: Path, note: Note
) -> None:
    """The kill comes when the last mail, the end, the report, and its mail can be seen, in turn."""
    digests = [queue_digest(database, keys, FEW)]
    pause_schedules(database)
    file = fast_folder / "received"

    def copies(digest_id: int) -> int:
        return sum(line["digest"] == str(digest_id) for line in accepted(file))

    def is_reported(digest_id: int) -> bool:
        with database.read() as session:
            return session.get_one(Digest, digest_id).reported_at is not None

    with (
        receiving(file, kind="pipelining", delay=0.02) as port,
        processes(database, keys, port, fast_folder) as running,
    ):
        both = [running.start(), running.start()]
        for number in range(DIGESTS):
            digest_id = digests[-1]
            before = len(told(file))
            moment = (
                lambda: copies(digest_id) >= FEW,  # noqa: B023
                lambda: is_sent(database, digest_id),  # noqa: B023
                lambda: is_reported(digest_id),  # noqa: B023
                lambda: len(told(file)) > before,  # noqa: B023
            )[number % 4]
            wait_until(moment, every=0.002)
            victim = (number // 4) % 2
            os.killpg(both[victim].pid, signal.SIGKILL)
            both[victim].wait()
            both[victim] = running.start()
            digests.append(queue_another(database, number + 1))
        wait_until(lambda: all(is_reported(one) for one in digests))
        wait_until(lambda: len(told(file)) == len(digests))
        running.stop(*both)

    with database.read() as session:
        doubts = {
            str(row.id): row.in_doubt
            for row in session.execute(select(Delivery.id, Delivery.in_doubt))
        }
    by_delivery = Counter(line["delivery"] for line in accepted(file) if line["to"] != DESK)
    reports, rows = told(file), notices(database)
    extra = sum(number - 1 for number in reports.values())
    doubtful = sum(row.in_doubt for row in rows)
    note(
        "K7", database, readers=FEW * len(digests), kills=DIGESTS, in_doubt=sum(doubts.values()) + doubtful,
        lost=len(doubts.keys() - by_delivery.keys()),
        doubled=sum(number - 1 for number in by_delivery.values()) + extra,
    )  # fmt: skip
    assert by_delivery.keys() == doubts.keys()
    assert all(number - 1 <= doubts[one] for one, number in by_delivery.items())
    # One report of each digest, no other word to staff, and a copy more only where it was in doubt.
    assert [row.kind for row in rows] == [NoticeKind.REPORT] * len(digests)
    assert len(reports) == len(digests)
    assert extra <= doubtful <= DIGESTS
