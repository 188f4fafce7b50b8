"""Row K7: kill -9 around the end of a digest, of which staff get one report, judged by the receiver's file.

Every process here is scheduler and worker in one, as an operator runs them; after the kill there are two of
them at once, and either may write the report and send it.
"""

import os
import signal
import subprocess
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
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
from tests.faults.relays import size
from tests.faults.run import Run
from tests.faults.traps import AT_THE_END, REPORT_QUEUED, REPORT_STARTED, Trap, die_in
from tests.support import factories
from tests.support.factories import NOW
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


def told(run: Run) -> Counter[str]:
    """How many copies the desk got of each mail, by the receiver's file."""
    return Counter(line["message_id"] for line in run.accepted() if line["to"] == DESK)


def notices(database: Database) -> list[Notice]:
    with database.read() as session:
        return list(session.scalars(select(Notice).order_by(Notice.id)))


def are_sent(database: Database, number: int) -> bool:
    """Whether there are so many notices, with nothing more to come of any."""
    return [one.status for one in notices(database)] == [DeliveryStatus.SENT] * number


class Processes(ExitStack):
    """Schedulers and workers with a desk, each with a log of its own, killed in the end."""

    def __init__(self, run: Run, port: int) -> None:
        super().__init__()
        self._run = run
        self._port = port
        self._logs: dict[int, Path] = {}

    def start(self) -> "subprocess.Popen[bytes]":
        log = self._run.folder / f"log{len(self._logs)}"
        process = self.enter_context(
            self._run.running(self._port, *ROLES, log=log, staff_address=DESK)
        )
        self._logs[process.pid] = log
        return process

    def stop(self, *processes: "subprocess.Popen[bytes]") -> None:
        """Tell them to stop, and wait until they have finished what they are at."""
        for process in processes:
            # One that is told before it listens to signals dies of it.
            wait_until(lambda: b"running: " in self._logs[process.pid].read_bytes())  # noqa: B023
            process.send_signal(signal.SIGTERM)
        said = "\n".join(log.read_text() for log in self._logs.values())
        assert [process.wait() for process in processes] == [0] * len(processes), said


def finished_by_two(run: Run, port: int) -> Counter[str]:
    """What the desk got in the end, after two processes took over from the dead one."""
    with Processes(run, port) as running:
        both = running.start(), running.start()
        wait_until(run.is_sent)
        wait_until(lambda: are_sent(run.database, 1))
        found, reports = run.judge("K7", kills=1), told(run)
        # The process that reports a later digest looks for all digests without a report.
        later = queue_another(run.database, 1)
        wait_until(lambda: run.is_sent(later))
        wait_until(lambda: are_sent(run.database, 2))
        running.stop(*both)
    in_the_end = told(run)
    assert len(in_the_end) == 2
    assert sum(in_the_end.values()) == sum(reports.values()) + 1
    assert [one.kind for one in notices(run.database)] == [NoticeKind.REPORT] * 2
    found.everybody_got_one(READERS)
    return reports


@pytest.mark.long
@pytest.mark.parametrize(
    "trap", [AT_THE_END, REPORT_QUEUED, REPORT_STARTED], ids=["closing", "queueing", "starting"]
)
def test_who_dies_while_the_end_is_written_leaves_one_report_to_be_sent(
    run: Run, trap: Trap
) -> None:
    run.queue(READERS)
    pause_schedules(run.database)
    with run.receiving() as port:
        die_in(run, trap, port, *ROLES, staff_address=DESK)
        assert len(run.accepted()) == READERS
        reports = finished_by_two(run, port)
    assert list(reports.values()) == [1]
    # PostgreSQL finishes a statement that is alone in its transaction without the one that asked for it:
    # then the mail was started, and nobody can know how far it came.
    doubts = int(trap is REPORT_STARTED and not run.database.is_sqlite)
    assert [one.in_doubt for one in notices(run.database)] == [doubts, 0]


@pytest.mark.long
@pytest.mark.parametrize(
    ("place", "copies"), [("after-start-commit", 1), ("after-dot", 2), ("before-record", 2)]
)
def test_a_report_that_the_relay_may_have_taken_is_in_doubt_once(
    run: Run, place: str, copies: int
) -> None:
    run.queue(READERS)
    pause_schedules(run.database)
    # The mail after the last reader's is the report.
    given = {"smtp_connections": "1", "failpoint": f"worker.{place}:{READERS + 1}"}
    with run.receiving() as port:
        with run.running(port, *ROLES, staff_address=DESK, **given) as first:
            assert first.wait() == -signal.SIGKILL, run.log.read_text()
        reports = finished_by_two(run, port)
    assert list(reports.values()) == [copies]
    assert [one.in_doubt for one in notices(run.database)] == [1, 0]


@pytest.mark.long
def test_one_of_two_is_killed_again_and_again_as_digests_end(run: Run) -> None:
    """The kill comes when the last mail, the end, the report, and its mail can be seen, in turn."""
    digests = [run.queue(FEW)]
    pause_schedules(run.database)

    def copies(digest_id: int) -> int:
        return sum(line["digest"] == str(digest_id) for line in run.accepted())

    def is_reported(digest_id: int) -> bool:
        with run.database.read() as session:
            return session.get_one(Digest, digest_id).reported_at is not None

    with (
        run.receiving(delay=0.02) as port,
        Processes(run, port) as running,
    ):
        both = [running.start(), running.start()]
        for number in range(DIGESTS):
            digest_id = digests[-1]
            before = len(told(run))
            moment = (
                lambda: copies(digest_id) >= FEW,  # noqa: B023
                lambda: run.is_sent(digest_id),  # noqa: B023
                lambda: is_reported(digest_id),  # noqa: B023
                lambda: len(told(run)) > before,  # noqa: B023
            )[number % 4]
            wait_until(moment, every=0.002)
            victim = (number // 4) % 2
            os.killpg(both[victim].pid, signal.SIGKILL)
            both[victim].wait()
            both[victim] = running.start()
            digests.append(queue_another(run.database, number + 1))
        wait_until(lambda: all(is_reported(one) for one in digests))
        wait_until(lambda: len(told(run)) == len(digests))
        running.stop(*both)

    with run.database.read() as session:
        doubts = {
            str(row.id): row.in_doubt
            for row in session.execute(select(Delivery.id, Delivery.in_doubt))
        }
    by_delivery = Counter(line["delivery"] for line in run.accepted() if line["to"] != DESK)
    reports, rows = told(run), notices(run.database)
    extra = sum(number - 1 for number in reports.values())
    doubtful = sum(row.in_doubt for row in rows)
    run.note(
        "K7",
        readers=FEW * len(digests),
        kills=DIGESTS,
        in_doubt=sum(doubts.values()) + doubtful,
        lost=len(doubts.keys() - by_delivery.keys()),
        doubled=sum(number - 1 for number in by_delivery.values()) + extra,
    )
    assert by_delivery.keys() == doubts.keys()
    assert all(number - 1 <= doubts[one] for one, number in by_delivery.items())
    # One report of each digest, no other word to staff, and a copy more only where it was in doubt.
    assert [row.kind for row in rows] == [NoticeKind.REPORT] * len(digests)
    assert len(reports) == len(digests)
    assert extra <= doubtful <= DIGESTS
