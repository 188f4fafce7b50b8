"""Rows T3 and T5: many schedulers at many slots, one of them killed, and all of them down across a slot.

One digest for each slot, no matter which of them builds it, and no reader gets an article twice.
"""

import os
import signal
import subprocess
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mailer.clock import utc_now
from mailer.db import Database
from mailer.models import Delivery, Digest, DigestStatus, EditionArticle, Schedule
from tests.faults.relays import size
from tests.faults.run import Run
from tests.integration.digests.processes import Process, together
from tests.support import factories
from tests.support.waiting import wait_until

SLOTS = size(12, 1000)
SCHEDULERS = 4
READERS = 5
DESK = "desk@news.example"

pytestmark = pytest.mark.timeout(size(300, 3600))


def digests_with(database: Database) -> list[tuple[str, DigestStatus, str | None]]:
    """The name of each slot that has a digest, in order, and what became of it."""
    with database.read() as session:
        rows = session.execute(
            select(Digest.slot, Digest.status, Digest.reason).order_by(Digest.due_at)
        )
        return [(slot, status, reason) for slot, status, reason in rows]


def articles_got(database: Database) -> Counter[tuple[int, int]]:
    """How often each reader was given each article."""
    with database.read() as session:
        rows = session.execute(
            select(Delivery.subscriber_id, EditionArticle.article_id).join(
                EditionArticle, EditionArticle.edition_id == Delivery.edition_id
            )
        )
        return Counter((subscriber_id, article_id) for subscriber_id, article_id in rows)


def builders(database: Database) -> int:
    """How many processes built a digest."""
    with database.read() as session:
        return session.scalar(select(func.count(func.distinct(Digest.builder_id)))) or 0


def test_four_schedulers_live_through_many_slots(run: Run) -> None:
    """Each with a clock of its own that jumps by up to an hour, at a time that one day lacks."""
    first = date(2027, 3, 24)
    days = [first + timedelta(days=number) for number in range(SLOTS)]
    with run.database.write() as session:
        newsletter = factories.newsletter(session)
        schedule = factories.schedule(
            session, newsletter, at="02:30", zone="Europe/Paris",
            active_from=datetime(2027, 3, 23, 12, tzinfo=UTC),
        )  # fmt: skip
        for day in days:
            # One for each slot: published half a day before it.
            published = datetime.combine(day, datetime.min.time(), UTC) - timedelta(hours=11)
            factories.article(session, newsletter, published_at=published)
        factories.readers(session, run.keys, schedule, READERS)
    processes = [
        Process(run.database, schedule.id, ["walk", str(SLOTS)]) for _ in range(SCHEDULERS)
    ]
    with together(*processes):
        assert [process.end()[0] for process in processes] == [0] * SCHEDULERS
    found, got = digests_with(run.database), articles_got(run.database)
    run.note("T3", readers=READERS * SLOTS, doubled=sum(got.values()) - len(got))
    assert found == [(f"{day}T02:30", DigestStatus.SENDING, None) for day in days]
    assert set(got.values()) == {1}
    assert len(got) == READERS * SLOTS
    with run.database.read() as session:
        due = session.scalars(select(Digest.due_at)).all()
        each = session.scalars(
            select(func.count(Delivery.id)).group_by(Delivery.digest_id).distinct()
        )
        assert each.all() == [READERS]
    assert len(set(due)) == SLOTS


@pytest.mark.long
def test_four_schedulers_find_many_slots_due_and_two_are_killed(run: Run) -> None:
    """As an operator runs them, by the real clock: as many schedules, all of the same minute."""
    due_at = (utc_now() - timedelta(minutes=2)).replace(second=0, microsecond=0)
    with run.database.write() as session:
        newsletter = factories.newsletter(session)
        before = due_at - timedelta(hours=1)
        factories.articles(session, 2, newsletter, published_at=before)
        for number in range(SLOTS):
            schedule = factories.schedule(
                session, newsletter, f"s{number}", at=f"{due_at:%H:%M}", active_from=before
            )
            factories.reader(session, run.keys, schedule, f"reader{number}@example.com")
    numbers = count()

    def built() -> int:
        with run.database.read() as session:
            return (
                session.scalar(
                    select(func.count())
                    .select_from(Digest)
                    .where(Digest.status == DigestStatus.SENDING)
                )
                or 0
            )

    with ExitStack() as stack:

        def start() -> "tuple[subprocess.Popen[bytes], Path]":
            log = run.folder / f"log{next(numbers)}"
            return stack.enter_context(run.running(1, "scheduler", log=log)), log

        running = [start() for _ in range(SCHEDULERS)]
        for victim, share in ((0, 3), (1, 2)):
            wait_until(lambda: built() >= SLOTS // share, every=0.005)  # noqa: B023
            process, _ = running[victim]
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            running[victim] = start()
        wait_until(lambda: built() == SLOTS)
        # A later one finds nothing to build. Until it says that it runs, SIGTERM ends it as any process.
        for process, log in (*running, start()):
            wait_until(lambda log=log: "running: " in log.read_text())
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0, log.read_text()
    got = articles_got(run.database)
    run.note("T3", readers=SLOTS, kills=2, doubled=sum(got.values()) - len(got))
    with run.database.read() as session:
        per_schedule = Counter(session.scalars(select(Digest.schedule_id)))
        assert per_schedule == dict.fromkeys(session.scalars(select(Schedule.id)), 1)
        assert set(session.scalars(select(Digest.due_at))) == {due_at}
    assert set(got.values()) == {1}
    assert len(got) == 2 * SLOTS
    assert builders(run.database) > 1


@pytest.mark.long
@pytest.mark.parametrize(("hours", "last"), [(3, "sent"), (7, "late")])
def test_who_was_down_across_slots_sends_the_last_or_none(run: Run, hours: int, last: str) -> None:
    """Two of them come back three hours or seven after the third slot in a row; six are not too late."""
    due_at = (utc_now() - timedelta(hours=hours)).replace(second=0, microsecond=0)
    slots = [due_at - timedelta(days=2), due_at - timedelta(days=1), due_at]
    names = [f"{slot:%Y-%m-%dT%H:%M}" for slot in slots]
    with run.database.write() as session:
        newsletter = factories.newsletter(session)
        schedule = factories.schedule(
            session, newsletter, at=f"{due_at:%H:%M}", max_lateness=timedelta(hours=6),
            active_from=slots[0] - timedelta(hours=1),
        )  # fmt: skip
        for slot in slots:
            factories.article(session, newsletter, published_at=slot - timedelta(hours=2))
        factories.readers(session, run.keys, schedule, READERS)

    def is_over() -> bool:
        found = digests_with(run.database)
        return len(found) == 3 and found[-1][1] in (DigestStatus.SENT, DigestStatus.SKIPPED)

    with run.receiving() as port:
        for _ in range(2):
            with ExitStack() as stack:
                both = [
                    stack.enter_context(run.running(port, "scheduler", "worker")) for _ in range(2)
                ]
                looks = run.log.read_text().count("running: ")
                wait_until(is_over)
                wait_until(lambda: run.log.read_text().count("running: ") >= looks + 2)  # noqa: B023
                for process in both:
                    process.send_signal(signal.SIGTERM)
                assert [process.wait() for process in both] == [0, 0], run.log.read_text()
    copies = Counter(line["to"] for line in run.accepted())
    run.note(
        "T5",
        readers=READERS,
        doubled=sum(copies.values()) - len(copies),
        lost=READERS - len(copies) if last == "sent" else 0,
    )
    assert digests_with(run.database) == [
        (names[0], DigestStatus.SKIPPED, "superseded"),
        (names[1], DigestStatus.SKIPPED, "superseded"),
        (names[2], DigestStatus.SENT, None)
        if last == "sent"
        else (names[2], DigestStatus.SKIPPED, "late"),
    ]
    got = articles_got(run.database)
    if last == "late":
        assert (copies, got) == (Counter(), Counter())
        return
    # The one digest holds what those before it would have held.
    assert copies == {f"reader{number}@example.com": 1 for number in range(1, READERS + 1)}
    assert set(got.values()) == {1}
    assert len(got) == READERS * len(slots)
