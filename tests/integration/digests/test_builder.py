"""What a build writes, on both engines: editions, deliveries, the newcomers' first digest, skips."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event, func, select

from mailer.db import Database
from mailer.digests.schedules.calendar import Rule, Slot, slot_named
from mailer.digests.selection.plan import excluded, expiring, max_age, plan_digest
from mailer.digests.selection.reader_groups import Frame, grouped_readers, load_groups
from mailer.errors import BadTemplate
from mailer.message.content import Content
from mailer.models import (
    BLOCK_SIZE,
    Candidate,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Edition,
    EditionArticle,
    Notice,
    NoticeKind,
    Schedule,
    Subscriber,
    Subscription,
    Worker,
)
from mailer.tokens import Keys
from tests.integration.digests.builders import build_due, builder, render_plainly
from tests.support import factories as make
from tests.support.factories import NOW
from tests.support.sending import alerts

DAY = timedelta(days=1)


def slot_of(schedule: Schedule, name: str = "2026-11-24T07:00") -> Slot:
    slot = slot_named(Rule.of(schedule), name)
    assert slot is not None
    return slot


def build(
    database: Database,
    schedule: Schedule,
    name: str = "2026-11-24T07:00",
    render: Callable[..., Content] = render_plainly,
) -> Digest:
    """Build that slot an hour after NOW."""
    with builder(database, NOW + timedelta(hours=1), render=render) as one:
        digest_id = one.build(schedule.id, slot_of(schedule, name))
    with database.read() as session:
        return session.get_one(Digest, digest_id)


def scheduled(database: Database, keys: Keys, articles: int = 1, readers: int = 1) -> Schedule:
    """A schedule that has so many articles for so many readers."""
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        make.articles(session, articles, newsletter)
        make.readers(session, keys, schedule, readers)
        return schedule


def got(database: Database, digest: Digest) -> dict[int, list[int]]:
    """Which articles each subscriber gets in this digest, in their order."""
    with database.read() as session:
        rows = session.execute(
            select(Delivery.subscriber_id, EditionArticle.article_id)
            .join(EditionArticle, EditionArticle.edition_id == Delivery.edition_id)
            .where(Delivery.digest_id == digest.id)
            .order_by(Delivery.subscriber_id, EditionArticle.position)
        )
        found: dict[int, list[int]] = {}
        for subscriber_id, article_id in rows:
            found.setdefault(subscriber_id, []).append(article_id)
        return found


def test_everybody_gets_the_new_articles_newest_first(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        old = make.article(session, newsletter, published_at=NOW - timedelta(hours=9))
        new = make.article(session, newsletter, published_at=NOW - timedelta(hours=2))
        readers = make.readers(session, keys, schedule, 3, first_digest_id=None)

    digest = build(database, schedule)

    assert digest.status == DigestStatus.SENDING
    assert digest.subject == "The Daily 2026-11-24T07:00"
    assert digest.reason is None
    assert got(database, digest) == {one.subscriber_id: [new.id, old.id] for one in readers}
    with database.read() as session:
        [edition] = session.scalars(select(Edition))
        assert (edition.number, edition.marker) == (1, "XKTEST")
        for delivery in session.scalars(select(Delivery)):
            assert delivery.status == DeliveryStatus.QUEUED
            assert delivery.next_attempt_at == delivery.created_at == NOW + timedelta(hours=1)
        assert set(session.scalars(select(Subscription.first_digest_id))) == {digest.id}
        assert all(session.scalars(select(Worker.stopped_at)))


def test_a_slot_has_one_digest(database: Database, keys: Keys) -> None:
    schedule = scheduled(database, keys)
    first = build(database, schedule)
    assert build(database, schedule).id == first.id
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == 1


@pytest.mark.parametrize(
    ("status", "again"),
    [(status, status not in {"queued", "claimed", "sending", "deferred", "sent", "unknown"})
     for status in DeliveryStatus],
)  # fmt: skip
def test_what_was_had_is_decided_by_the_status_of_the_delivery(
    database: Database, keys: Keys, status: DeliveryStatus, again: bool
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        had = make.article(session, newsletter)
        reader = make.reader(session, keys, schedule)
        earlier = make.digest(session, schedule, due_at=NOW - DAY)
        reader.first_digest_id = earlier.id
        make.delivery(session, make.edition(session, earlier, [had]), reader, status=status)
        new = make.article(session, newsletter)

    expected = [new.id, had.id] if again else [new.id]
    assert got(database, build(database, schedule)) == {reader.subscriber_id: expected}


def test_had_counts_across_newsletters(database: Database, keys: Keys) -> None:
    with database.write() as session:
        one, other = make.newsletter(session, "one"), make.newsletter(session, "other")
        schedule, elsewhere = make.schedule(session, one), make.schedule(session, other)
        both = make.article(session, one, other)
        mine = make.article(session, one)
        reader = make.reader(session, keys, schedule)
        make.subscription(session, session.get_one(Subscriber, reader.subscriber_id), elsewhere)
    assert got(database, build(database, elsewhere)) == {reader.subscriber_id: [both.id]}
    assert got(database, build(database, schedule)) == {reader.subscriber_id: [mine.id]}


def test_candidates_are_published_young_enough_and_not_withdrawn(
    database: Database, keys: Keys
) -> None:
    slot = NOW + timedelta(hours=1)
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session), max_age=DAY)
        make.article(session, newsletter, published_at=slot + timedelta(seconds=1))
        make.article(session, newsletter, published_at=slot - DAY)
        make.article(session, newsletter, withdrawn_at=NOW)
        make.article(session, newsletter, backlog=True)
        make.article(session)
        on_time = make.article(session, newsletter, published_at=slot)
        just_young = make.article(
            session, newsletter, published_at=slot - DAY + timedelta(seconds=1)
        )
        reader = make.reader(session, keys, schedule, first_digest_id=None, start_article=0)
    assert got(database, build(database, schedule)) == {
        reader.subscriber_id: [on_time.id, just_young.id]
    }


def test_a_newcomer_gets_the_latest_before_the_start_once(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session), newcomers=2)
        backlog = [
            make.article(
                session, newsletter, backlog=True, published_at=NOW - timedelta(hours=20 - n)
            )
            for n in range(3)
        ]
        new = make.article(session, newsletter)
        reader = make.reader(session, keys, schedule, start_article=backlog[-1].id)
    first = build(database, schedule)
    assert got(database, first) == {reader.subscriber_id: [new.id, backlog[2].id, backlog[1].id]}
    with database.write() as session:
        later = make.article(session, newsletter, published_at=NOW + timedelta(hours=9))
    second = build(database, schedule, "2026-11-25T07:00")
    assert got(database, second) == {reader.subscriber_id: [later.id]}


def test_a_newcomer_whose_first_digest_was_given_back_gets_it_again(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session), newcomers=1)
        before = make.article(session, newsletter, backlog=True)
        reader = make.reader(session, keys, schedule, start_article=before.id)
    first = build(database, schedule)
    with database.write() as session:
        [delivery] = session.scalars(select(Delivery))
        delivery.status = DeliveryStatus.FAILED
    second = build(database, schedule, "2026-11-25T07:00")
    assert got(database, first) == got(database, second) == {reader.subscriber_id: [before.id]}
    with database.read() as session:
        assert session.get_one(Subscription, reader.id).first_digest_id == second.id


def test_newcomers_next_starts_with_the_next_article(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session), newcomers=0)
        before = make.article(session, newsletter)
        new = make.article(session, newsletter)
        reader = make.reader(session, keys, schedule, start_article=before.id)
    assert got(database, build(database, schedule)) == {reader.subscriber_id: [new.id]}


def test_only_readers_who_may_be_mailed_are_due(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session), newcomers=0)
        weekly = make.schedule(session, newsletter, "weekly", days="mon")
        make.article(session, newsletter)
        reader = make.reader(session, keys, schedule, "in@example.com")
        make.reader(session, keys, schedule, "left@example.com", left_at=NOW)
        make.reader(session, keys, schedule, "paused@example.com", paused_at=NOW)
        make.reader(session, keys, schedule, "no@example.com")
        make.reader(session, keys, weekly, "weekly@example.com")
        make.suppression(session, keys, "no@example.com")
        make.reader(session, keys, schedule, "has@example.com", start_article=99)

    with database.read() as session:
        plan = plan_digest(session, schedule, slot_of(schedule))
        assert excluded(session, schedule, plan) == {
            "nothing_new": 1,
            "other_schedule": 1,
            "paused": 1,
            "suppressed": 1,
        }
        assert plan.reader_count == 1
    digest = build(database, schedule)
    assert list(got(database, digest)) == [reader.subscriber_id]


def test_nobody_due_is_a_skipped_digest_with_its_reason(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = make.schedule(
            session, newsletter := make.newsletter(session), min_articles=2, newcomers=0
        )
        make.article(session, newsletter)
        make.readers(session, keys, schedule, 2)
        make.reader(session, keys, schedule, "late@example.com", start_article=99)
    digest = build(database, schedule)
    assert digest.status == DigestStatus.SKIPPED
    assert digest.reason == "nobody is due (nothing_new: 1, too_few: 2)"
    assert digest.finished_at is not None
    assert got(database, digest) == {}


def test_what_is_too_much_is_carried_over_and_goes_first(database: Database, keys: Keys) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session), max_articles=2)
        articles = [
            make.article(session, newsletter, published_at=NOW - timedelta(hours=9 - n))
            for n in range(3)
        ]
        reader = make.reader(session, keys, schedule)
    with database.read() as session:
        plan = plan_digest(session, schedule, slot_of(schedule))
        assert plan.choice.carried_over == {articles[0].id}
        assert expiring(schedule, plan) == 0
    first = build(database, schedule)
    assert got(database, first) == {reader.subscriber_id: [articles[2].id, articles[1].id]}
    with database.write() as session:
        newer = [
            make.article(session, newsletter, published_at=NOW + timedelta(hours=n)) for n in (5, 6)
        ]
    second = build(database, schedule, "2026-11-25T07:00")
    assert got(database, second) == {reader.subscriber_id: [newer[1].id, articles[0].id]}
    with database.read() as session:
        # Only the last digest's candidates are kept: they tell what waited.
        assert set(session.scalars(select(Candidate.digest_id))) == {second.id}


def test_expiring_counts_what_will_be_too_old_at_the_slot_after(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = make.schedule(
            session, newsletter := make.newsletter(session), max_articles=1, max_age=DAY
        )
        make.article(session, newsletter, published_at=NOW - timedelta(hours=3))
        make.article(session, newsletter, published_at=NOW + timedelta(hours=1))
        make.reader(session, keys, schedule)
    with database.read() as session:
        plan = plan_digest(session, schedule, slot_of(schedule))
        assert expiring(schedule, plan) == 1


def test_an_edition_that_cannot_be_rendered_leaves_the_slot_unbuilt(
    database: Database, keys: Keys
) -> None:
    schedule = scheduled(database, keys)

    def broken(*_: object) -> Content:
        raise BadTemplate("digest.html, line 3: no end")

    with pytest.raises(BadTemplate, match="line 3"):
        build(database, schedule, render=broken)
    with database.read() as session:
        assert session.scalars(select(Digest)).all() == []
        assert session.scalars(select(Candidate)).all() == []
    assert build(database, schedule).status == DigestStatus.SENDING


def test_staff_are_told_once_of_a_build_that_fails_and_it_is_tried_less_and_less_often(
    database: Database, keys: Keys
) -> None:
    schedule = scheduled(database, keys)
    tries: list[datetime] = []

    def broken(*_: object) -> Content:
        tries.append(clock.now)
        raise BadTemplate("digest.html, line 3: no end")

    clock = SimpleNamespace(now=NOW + timedelta(hours=1))
    with builder(database, lambda: clock.now, render=broken, alerts=alerts(keys)) as one:
        while clock.now < NOW + timedelta(hours=2):
            with suppress(BadTemplate):
                build_due(one, database, schedule.id, clock.now)
            clock.now += timedelta(seconds=15)
        pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(tries)]
        assert pauses == [30, 60, 120, 240, 480, 900, 900]
        # Another process knows of it too, and once it is too late for the slot, that is told as well.
        with builder(database, lambda: clock.now, render=broken, alerts=alerts(keys)) as other:
            assert build_due(other, database, schedule.id, clock.now) is None
            clock.now = NOW + timedelta(hours=8)
            assert build_due(other, database, schedule.id, clock.now) is None
            assert build_due(one, database, schedule.id, clock.now) is None
    with database.read() as session:
        told = session.scalars(select(Notice).order_by(Notice.id)).all()
        assert [(notice.kind, notice.subject) for notice in told] == [
            (NoticeKind.ALERT, "The daily/morning digest could not be built"),
            (NoticeKind.ALERT, "The daily/morning digest was not sent"),
        ]
        assert "digest.html, line 3: no end" in told[0].text
        digest = session.scalars(select(Digest).where(Digest.slot == "2026-11-24T07:00")).one()
        assert (digest.status, digest.reason) == (DigestStatus.SKIPPED, "late")


def test_readers_who_leave_or_begin_anew_during_the_build_are_counted_and_get_nothing(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        first, *others = make.articles(session, 3, newsletter)
        stays, leaves, resumes = make.readers(session, keys, schedule, 3, start_article=first.id)

    def meanwhile(*given: Any) -> Content:
        with database.write() as session:
            session.get_one(Subscription, leaves.id).left_at = NOW
            session.get_one(Subscription, resumes.id).start_article = others[0].id
        return render_plainly(*given)

    digest = build(database, schedule, render=meanwhile)
    with database.read() as session:
        assert digest.reason == "2 readers unsubscribed or changed during the build"
        assert set(got(database, digest)) == {stays.subscriber_id}
        starts = session.scalars(select(Subscription.first_digest_id).order_by(Subscription.id))
        assert starts.all() == [digest.id, None, None]


def test_what_is_given_back_during_the_build_is_due_at_the_next(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        first, second = make.articles(session, 2, newsletter)
        reader = make.reader(session, keys, schedule)
        earlier = make.digest(session, schedule, due_at=NOW - DAY)
        under_way = make.delivery(session, make.edition(session, earlier, [first]), reader)
        reader.first_digest_id = earlier.id

    def meanwhile(*given: Any) -> Content:
        with database.write() as session:
            session.get_one(Delivery, under_way.id).status = DeliveryStatus.FAILED
        return render_plainly(*given)

    digest = build(database, schedule, render=meanwhile)
    with database.read() as session:
        assert got(database, digest) == {reader.subscriber_id: [second.id]}
        assert digest.reason is None
    following = build(database, schedule, "2026-11-25T07:00")
    assert got(database, following) == {reader.subscriber_id: [first.id]}


def test_when_everybody_leaves_during_the_build_the_digest_is_skipped(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        make.article(session, newsletter)
        reader = make.reader(session, keys, schedule)

    def meanwhile(*given: Any) -> Content:
        with database.write() as session:
            session.get_one(Subscription, reader.id).left_at = NOW
        return render_plainly(*given)

    digest = build(database, schedule, render=meanwhile)
    with database.read() as session:
        assert (digest.status, digest.reason) == ("skipped", "nobody is due any more")
        assert session.scalars(select(Edition)).all() == []


def test_a_digest_that_is_cancelled_while_it_is_built_stays_so(
    database: Database, keys: Keys
) -> None:
    schedule = scheduled(database, keys)

    def meanwhile(*given: Any) -> Content:
        with database.write() as session:
            session.scalars(select(Digest)).one().status = DigestStatus.CANCELLED
        return render_plainly(*given)

    digest = build(database, schedule, render=meanwhile)
    with database.read() as session:
        assert digest.status == DigestStatus.CANCELLED
        assert session.scalars(select(Delivery)).all() == []


def test_readers_are_told_apart_by_more_editions_than_sqlite_nests_expressions(
    database: Database, keys: Keys
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, newsletter := make.newsletter(session))
        article = make.article(session, newsletter)
        had, _ = make.readers(session, keys, schedule, 2)
        digest = make.digest(session, schedule, due_at=NOW - DAY)
        edition = make.edition(session, digest, [article], id=BLOCK_SIZE * 500 + 3)
        make.delivery(session, edition, had)
        frame = Frame.around([article.id], [BLOCK_SIZE * number + 3 for number in range(1, 601)])
        groups = load_groups(session, grouped_readers(schedule, frame).subquery(), frame)
    assert sorted(group.editions for group in groups) == [(), (edition.id,)]


def test_the_default_age_follows_the_gap_between_slots(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        newsletter = make.newsletter(session)
        assert max_age(make.schedule(session, newsletter)) == 30 * DAY
        monthly = make.schedule(session, newsletter, "monthly", kind="monthday", monthday=1)
        assert max_age(monthly) == 62 * DAY


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that run on the database."""
    found: list[str] = []

    def note(_1: object, _2: object, statement: str, *_: object) -> None:
        found.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield found
    event.remove(database.engine, "before_cursor_execute", note)


def _measured(
    database: Database, keys: Keys, slug: str, readers: int, statements: list[str]
) -> tuple[int, int]:
    """How many statements a build for that many readers takes, and how many bytes of Python's memory."""
    with database.write() as session:
        newsletter = make.newsletter(session, slug)
        schedule = make.schedule(session, newsletter)
        articles = make.articles(session, 3, newsletter)
        make.many_readers(session, keys, schedule, readers, f"{slug}.example.com")
        earlier = make.digest(session, schedule, due_at=NOW - DAY, status=DigestStatus.SENT)
        make.deliveries(session, make.edition(session, earlier, articles[:1]), schedule)
    del statements[:]
    with builder(database, NOW) as one:
        tracemalloc.start()
        try:
            digest_id = one.build(schedule.id, slot_of(schedule))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    count = len(statements)
    with database.read() as session:
        queued = session.scalar(
            select(func.count()).select_from(Delivery).where(Delivery.digest_id == digest_id)
        )
    assert queued == readers
    return count, peak


def test_a_build_costs_no_more_statements_or_memory_for_ten_thousand_readers_than_for_ten(
    database: Database, keys: Keys, statements: list[str]
) -> None:
    # What is compiled at the first build of a process is kept.
    _measured(database, keys, "first", 10, statements)
    few, few_bytes = _measured(database, keys, "few", 10, statements)
    many, many_bytes = _measured(database, keys, "many", 10_000, statements)
    assert few == many
    assert few < 55
    # Twenty bytes a reader would be a fifth of a megabyte.
    assert many_bytes < few_bytes + 200_000, (few_bytes, many_bytes)


def test_skipped_slots_are_recorded_once(database: Database) -> None:
    with database.write() as session:
        schedule = make.schedule(
            session, make.newsletter(session), active_from=NOW - timedelta(days=3)
        )
    now = NOW + timedelta(hours=1, minutes=5)
    for _ in range(2):
        with builder(database, now) as one:
            build_due(one, database, schedule.id, now)
    with database.read() as session:
        found = session.execute(
            select(Digest.slot, Digest.status, Digest.reason).order_by(Digest.due_at)
        ).all()
    assert [tuple(row) for row in found] == [
        ("2026-11-21T07:00", "skipped", "superseded"),
        ("2026-11-22T07:00", "skipped", "superseded"),
        ("2026-11-23T07:00", "skipped", "superseded"),
        ("2026-11-24T07:00", "skipped", "nobody is due (no readers)"),
    ]


def test_a_paused_schedule_is_not_due(database: Database) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session), paused_at=NOW)
    now = NOW + timedelta(hours=1)
    with builder(database, now) as one:
        assert build_due(one, database, schedule.id, now) is None
    with database.read() as session:
        assert session.scalars(select(Digest)).all() == []
