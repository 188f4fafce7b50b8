"""Builders in several processes, and builders that die: one digest a slot, and no reader gets more."""

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from mailer.db import Database
from mailer.digests.build import digest_writer
from mailer.digests.schedules.calendar import Slot
from mailer.errors import Refused
from mailer.ledger import heartbeat
from mailer.message.content import Content
from mailer.models import (
    Delivery,
    Digest,
    DigestStatus,
    EditionArticle,
    Worker,
    WorkerRole,
)
from mailer.tokens import Keys
from tests.integration.digests.builders import builder, render_plainly
from tests.integration.digests.processes import Process, together
from tests.integration.digests.test_builder import scheduled, slot_of
from tests.support import factories as make
from tests.support.factories import NOW
from tests.support.waiting import wait_until


def _articles_got(database: Database) -> Counter[tuple[int, int]]:
    with database.read() as session:
        rows = session.execute(
            select(Delivery.subscriber_id, EditionArticle.article_id).join(
                EditionArticle, EditionArticle.edition_id == Delivery.edition_id
            )
        )
        return Counter((subscriber_id, article_id) for subscriber_id, article_id in rows)


def test_two_newsletters_that_share_a_feed_repeat_nothing(database: Database, keys: Keys) -> None:
    with database.write() as session:
        one, other = make.newsletter(session, "one"), make.newsletter(session, "other")
        schedules = [make.schedule(session, one), make.schedule(session, other)]
        shared = make.articles(session, 10, one, other)
        alone = [*make.articles(session, 3, one), *make.articles(session, 3, other)]
        for index in range(40):
            reader = make.subscriber(session, keys, f"both{index}@example.com")
            for schedule in schedules:
                make.subscription(session, reader, schedule)
    names = ["2026-11-24T07:00", "2026-11-25T07:00"]
    processes = [Process(database, schedule.id, names) for schedule in schedules]
    with together(*processes):
        for process in processes:
            assert process.end()[0] == 0

    got = _articles_got(database)
    assert set(got.values()) == {1}
    assert len(got) == 40 * (len(shared) + len(alone))


def test_any_number_of_builders_make_one_digest_a_slot(database: Database, keys: Keys) -> None:
    schedule = scheduled(database, keys, articles=3, readers=5)
    names = [f"2026-12-{day:02}T07:00" for day in range(1, 9)]
    processes = [Process(database, schedule.id, names) for _ in range(4)]
    with together(*processes):
        results = [process.end() for process in processes]
    assert [code for code, _ in results] == [0] * 4
    assert len({tuple(digests) for _, digests in results}) == 1
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Digest)) == len(names)
    assert set(_articles_got(database).values()) == {1}


@pytest.mark.parametrize(
    "change",
    [{"paused_at": NOW}, {"removed_at": NOW}, {"active_from": NOW + timedelta(hours=1)}],
    ids=lambda change: next(iter(change)),
)
def test_a_slot_that_staff_stopped_while_a_builder_waited_is_not_built(
    database: Database, keys: Keys, change: dict[str, Any]
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        make.articles(session, 3, newsletter)
        make.readers(session, keys, schedule, 5)
        slot = slot_of(schedule)
        for name, value in change.items():
            setattr(schedule, name, value)
    with builder(database, NOW) as building, pytest.raises(Refused, match="no longer counts"):
        building.build(schedule.id, slot)
    with database.read() as session:
        assert session.scalars(select(Digest)).all() == []


@pytest.mark.parametrize("place", ["build.after-claim", "build.before-commit"])
def test_what_a_killed_builder_left_is_taken_over(
    database: Database, keys: Keys, place: str
) -> None:
    schedule = scheduled(database, keys, articles=3, readers=50)
    dying = Process(database, schedule.id, ["2026-11-24T07:00"], failpoint=place)
    with together(dying):
        assert dying.end()[0] == -9
    with database.read() as session:
        [left] = session.scalars(select(Digest))
        assert left.status == DigestStatus.BUILDING
        assert session.scalars(select(Delivery)).all() == []

    with builder(database, NOW, lease=0.5) as one:
        # The dead builder's lease is not over: another slot has to wait, and then builds both.
        later = slot_of(schedule, "2026-11-25T07:00")
        second = one.build(schedule.id, later)
    with database.read() as session:
        digests = session.scalars(select(Digest).order_by(Digest.id)).all()
        assert [digest.status for digest in digests] == [
            DigestStatus.SENDING,
            DigestStatus.SKIPPED,
        ]
        assert [digest.id for digest in digests] == [left.id, second]
        assert session.scalar(select(func.count()).select_from(Delivery)) == 50
        assert all(session.scalars(select(Worker.stopped_at)))


def test_the_sweep_takes_over_what_a_dead_builder_left(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        make.articles(session, 1, newsletter)
        make.reader(session, keys, schedule)
        stopped = make.worker(session, WorkerRole.BUILDER, stopped_at=NOW)
        left = make.digest(
            session, schedule, status=DigestStatus.BUILDING, builder_id=stopped.id, built_at=None
        )
    with builder(database, NOW) as one:
        assert one.take_over() == left.id
        assert one.take_over() is None
    with database.read() as session:
        # It had frozen nothing before it died, so nobody is due.
        assert session.get_one(Digest, left.id).status == DigestStatus.SKIPPED


def test_what_a_living_builder_builds_is_left_to_it(database: Database) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        living = make.worker(session, WorkerRole.BUILDER)
        taken = make.digest(session, schedule, status=DigestStatus.BUILDING, builder_id=living.id)
    with builder(database, NOW, lease=60) as one:
        assert one.take_over() is None
    with database.read() as session:
        assert session.get_one(Digest, taken.id).builder_id == living.id


ENDLESS = {
    True: "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
    False: "SELECT pg_sleep(3600)",
}
"""A statement that does not end by itself, by whether SQLite is to execute it."""


def test_a_build_under_way_is_rolled_back_when_its_builder_is_closed(
    database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id, slot = due_to_one_reader(database, keys)
    planning = threading.Event()

    def plan_for_ever(session: Session, *_: object) -> None:
        planning.set()
        session.execute(text(ENDLESS[database.is_sqlite]))

    monkeypatch.setattr("mailer.digests.build.builder.plan_from", plan_for_ever)
    built: list[int | None] = []
    with builder(database, NOW) as one:
        work = lambda: built.append(one.build(schedule_id, slot))  # noqa: E731
        build = threading.Thread(target=work, daemon=True)
        build.start()
        assert planning.wait(120)
        wait_until(lambda: one.close_soon() or built)
        build.join()
    assert built == [None]
    with database.read() as session:
        assert session.scalars(select(Digest)).all() == []


def test_a_builder_beats_until_its_build_has_ended(database: Database, keys: Keys) -> None:
    schedule_id, slot = due_to_one_reader(database, keys)

    def beat() -> int:
        with database.read() as session:
            return sum(heartbeat.beats(session, WorkerRole.BUILDER).values())

    def closed_meanwhile(*given: Any) -> Content:
        one.close_soon()
        before = beat()
        wait_until(lambda: beat() > before)
        return render_plainly(*given)

    with builder(database, NOW, lease=0.2, render=closed_meanwhile) as one:
        assert one.build(schedule_id, slot) is None
        assert beat() > 0
    with database.read() as session:
        assert session.scalars(select(Digest)).all() == []
        assert heartbeat.beats(session, WorkerRole.BUILDER) == {}


def due_to_one_reader(database: Database, keys: Keys) -> tuple[int, Slot]:
    """A schedule with one reader and one article, and the slot that they make due."""
    schedule = scheduled(database, keys)
    return schedule.id, slot_of(schedule)


def test_a_builder_that_was_held_for_dead_writes_nothing(
    database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id, slot = due_to_one_reader(database, keys)
    with database.write() as session:
        thief = make.worker(session, WorkerRole.BUILDER)

    def taken_over_meanwhile(*given: Any) -> Content:
        with database.write() as session:
            session.scalars(select(Digest)).one().builder_id = thief.id
        return render_plainly(*given)

    def write_and_close(*given: Any, **more: Any) -> int | None:
        written = write(*given, **more)
        one.close_soon()
        return written

    write = digest_writer.write
    monkeypatch.setattr(digest_writer, "write", write_and_close)
    with builder(database, NOW, render=taken_over_meanwhile) as one:
        assert one.build(schedule_id, slot) is None
    with database.read() as session:
        digest = session.scalars(select(Digest)).one()
        assert (digest.status, digest.builder_id) == (DigestStatus.BUILDING, thief.id)
        assert session.scalars(select(Delivery)).all() == []


def test_a_builder_whose_row_was_closed_goes_on_under_a_new_one(database: Database) -> None:
    with builder(database, NOW, lease=0.2) as one:
        with database.write() as session:
            [first] = session.scalars(select(Worker))
            heartbeat.stop(session, first.id, NOW)

        def beats() -> object:
            with database.read() as session:
                return heartbeat.beats(session, WorkerRole.BUILDER)

        wait_until(beats)
        assert one.take_over() is None
        with database.read() as session:
            assert len(heartbeat.beats(session, WorkerRole.BUILDER)) == 1
    with database.read() as session:
        assert heartbeat.beats(session, WorkerRole.BUILDER) == {}
