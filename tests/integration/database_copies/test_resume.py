"""Resuming after a restore: nobody gets anything twice, and everybody gets what comes next."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from mailer.database_copies.catch_up import catch_up
from mailer.database_copies.resume import ResumeResult, read_situation, resume
from mailer.db import Database
from mailer.digests.build import slot_claims
from mailer.digests.schedules import schedule_changes
from mailer.digests.schedules.calendar import Rule, Slot, slot_named
from mailer.errors import Refused
from mailer.journal.record import NewEntry, record
from mailer.ledger import fence
from mailer.models import (
    Article,
    Candidate,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Edition,
    EditionArticle,
    Feed,
    Holds,
    Installation,
    JournalEntry,
    JournalKind,
    NewsletterArticle,
    Notice,
    Schedule,
    ScheduleKind,
    Subscriber,
    Subscription,
)
from mailer.tokens import Keys
from tests.integration.digests.builders import builder
from tests.support import factories as make
from tests.support.factories import NOW

pytestmark = pytest.mark.thorough

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TODAY, TOMORROW = "2026-11-24T07:00", "2026-11-25T07:00"


def slot_of(schedule: Schedule, name: str) -> Slot:
    slot = slot_named(Rule.of(schedule), name)
    assert slot is not None
    return slot


def build(database: Database, schedule: Schedule, name: str, at: datetime) -> int:
    with builder(database, at) as one:
        digest_id = one.build(schedule.id, slot_of(schedule, name))
    assert digest_id is not None
    return digest_id


def got(database: Database, digest_id: int) -> dict[str, list[str]]:
    """Which articles each reader is sent by this digest."""
    with database.read() as session:
        rows = session.execute(
            select(Subscriber.address, Article.title)
            .join(Delivery, Delivery.subscriber_id == Subscriber.id)
            .join(EditionArticle, EditionArticle.edition_id == Delivery.edition_id)
            .join(Article, Article.id == EditionArticle.article_id)
            .where(Delivery.digest_id == digest_id)
            .order_by(Subscriber.address, Article.title)
        )
        found: dict[str, list[str]] = {}
        for address, title in rows:
            found.setdefault(address.partition("@")[0], []).append(title)
        return found


class World:
    """A newsletter with a daily and a weekly schedule, a reader on each, and one article."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self.database, self.keys = database, keys
        with database.write() as session:
            self.newsletter = make.newsletter(session)
            self.daily = make.schedule(session, self.newsletter, "daily")
            self.weekly = make.schedule(session, self.newsletter, "weekly", days="wed")
            for schedule in (self.daily, self.weekly):
                make.reader(session, keys, schedule, f"{schedule.name}@example.com")
        self.article("first")

    def article(self, title: str) -> None:
        with self.database.write() as session:
            url = f"https://news.example/{title}"
            make.article(session, self.newsletter, title=title, url=url, canonical_url=url)

    def lost(self, *more: Callable[[Session], object]) -> None:
        """Make an older database of it: as if no digest had been built, but for the copy of the journal."""
        with self.database.write() as session:
            session.execute(update(Subscription).values(first_digest_id=None))
            for table in (Delivery, EditionArticle, Edition, Candidate, Digest, JournalEntry):
                session.execute(delete(table))
            for step in more:
                step(session)
        assert catch_up(self.database, now=NOW + 2 * HOUR) is not None

    def resume(self, *, count_as_had: bool = True, at: datetime = NOW + 3 * HOUR) -> ResumeResult:
        with self.database.write() as session:
            return resume(session, count_as_had=count_as_had, now=at)


@pytest.fixture
def world(database: Database, keys: Keys) -> World:
    return World(database, keys)


def forget_article(session: Session) -> None:
    session.execute(delete(NewsletterArticle))
    session.execute(delete(Article))


def test_nobody_gets_a_piece_twice_and_all_get_the_next_one(world: World) -> None:
    database = world.database
    build(database, world.daily, TODAY, NOW + HOUR)
    world.lost()
    assert world.resume() == ResumeResult(digests=1, deliveries=1)
    world.article("second")
    # The slot of the gap has its digest.
    assert got(database, build(database, world.daily, TODAY, NOW + 4 * HOUR)) == {
        "daily": ["first"]
    }
    later = NOW + DAY + HOUR
    assert got(database, build(database, world.daily, TOMORROW, later)) == {"daily": ["second"]}
    weekly = build(database, world.weekly, TOMORROW, later)
    assert got(database, weekly) == {"weekly": ["first", "second"]}


def test_an_article_that_the_backup_does_not_know_is_added_and_counts_as_had(
    world: World,
) -> None:
    database = world.database
    build(database, world.daily, TODAY, NOW + HOUR)
    world.lost(forget_article)
    world.resume()
    world.article("second")
    later = NOW + DAY + HOUR
    assert got(database, build(database, world.daily, TOMORROW, later)) == {"daily": ["second"]}
    weekly = build(database, world.weekly, TOMORROW, later)
    assert got(database, weekly) == {"weekly": ["first", "second"]}


def test_what_was_counted_is_in_the_ledger_as_unknown_and_never_sent(world: World) -> None:
    build(world.database, world.daily, TODAY, NOW + HOUR)
    world.lost()
    world.resume()
    with world.database.read() as session:
        [digest] = session.scalars(select(Digest))
        [delivery] = session.scalars(select(Delivery))
        assert (digest.status, digest.slot) == (DigestStatus.SENT, TODAY)
        assert digest.reported_at is not None
        assert "after the backup" in str(digest.reason)
        assert delivery.status == DeliveryStatus.UNKNOWN
        assert delivery.dropped_at == NOW + 3 * HOUR
        subscription = session.get_one(Subscription, delivery.subscription_id)
        assert subscription.first_digest_id == digest.id


def test_sent_again_if_staff_want_that(world: World) -> None:
    build(world.database, world.daily, TODAY, NOW + HOUR)
    world.lost()
    assert world.resume(count_as_had=False) == ResumeResult()
    digest_id = build(world.database, world.daily, TODAY, NOW + 4 * HOUR)
    assert got(world.database, digest_id) == {"daily": ["first"]}
    with world.database.read() as session:
        assert set(session.scalars(select(Delivery.status))) == {DeliveryStatus.QUEUED}


def test_a_one_off_that_the_backup_does_not_know_counts_for_all_readers(
    world: World,
) -> None:
    database = world.database
    with database.write() as session:
        once = make.schedule(
            session,
            world.newsletter,
            "letter",
            kind=ScheduleKind.ONCE,
            at=None,
            once=TODAY,
            holds=Holds.DUE,
        )
    build(database, once, TODAY, NOW + HOUR)
    world.lost(lambda session: session.execute(delete(Schedule).where(Schedule.name == "letter")))
    assert world.resume() == ResumeResult(digests=1, deliveries=2)
    world.article("second")
    weekly = build(database, world.weekly, TOMORROW, NOW + DAY + HOUR)
    assert got(database, weekly) == {"weekly": ["second"]}
    with database.read() as session:
        made = session.scalars(select(Schedule).where(Schedule.name == "letter")).one()
        assert (made.kind, made.once) == (ScheduleKind.ONCE, TODAY)
        assert made.removed_at is not None


def test_a_digest_that_was_cancelled_before_anybody_got_it_only_occupies_its_slot(
    world: World,
) -> None:
    database = world.database
    digest_id = build(database, world.daily, TODAY, NOW + HOUR)
    with database.write() as session:
        assert slot_claims.cancel(session, digest_id, now=NOW + HOUR)
    world.lost()
    with database.read() as session:
        situation = read_situation(session, now=NOW + 3 * HOUR)
        assert situation is not None
        [sent] = situation.sent
        assert (sent.detail.status, sent.detail.readers) == ("cancelled", 0)
    assert world.resume() == ResumeResult(digests=1)
    tomorrow = build(database, world.daily, TOMORROW, NOW + DAY + HOUR)
    assert got(database, tomorrow) == {"daily": ["first"]}


def test_a_slot_that_was_skipped_is_not_built_again(world: World) -> None:
    database = world.database
    with database.write() as session:
        session.execute(delete(NewsletterArticle))
    build(database, world.daily, TODAY, NOW + HOUR)
    world.lost()
    assert world.resume() == ResumeResult(digests=1)
    with database.read() as session:
        assert session.scalars(select(Digest.status)).all() == [DigestStatus.SKIPPED]


def fenced(world: World, **values: Any) -> None:
    with world.database.write() as session:
        fence.put_up(session, backup_at=NOW, now=NOW + 2 * HOUR, **values)


def test_while_the_fence_is_up_no_slot_is_built_skipped_or_taken_over(world: World) -> None:
    fenced(world)
    with pytest.raises(Refused, match="mailer resume"):
        build(world.database, world.daily, TODAY, NOW + 3 * HOUR)
    with builder(world.database, NOW + 3 * HOUR) as one, pytest.raises(Refused):
        one.take_over()
    with world.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Digest)) == 0


def test_a_clock_that_was_behind_at_the_restore_lets_nothing_be_sent_twice(world: World) -> None:
    digest_id = build(world.database, world.daily, TODAY, NOW + HOUR)
    with world.database.write() as session:
        session.get_one(Digest, digest_id).created_at = NOW + 9 * HOUR
        notice_id = make.notice(session, world.keys, created_at=NOW + 9 * HOUR).id
    fenced(world)
    world.resume()
    with world.database.read() as session:
        assert session.get_one(Digest, digest_id).status == DigestStatus.SENT
        assert session.get_one(Notice, notice_id).status != DeliveryStatus.QUEUED


@pytest.mark.parametrize("count_as_had", [True, False])
def test_what_was_being_sent_at_the_backup_counts_as_had_unless_staff_want_it_again(
    world: World, count_as_had: bool
) -> None:
    database = world.database
    digest_id = build(database, world.daily, TODAY, NOW + HOUR)
    fenced(world)
    with database.read() as session:
        situation = read_situation(session, now=NOW + 3 * HOUR)
        assert situation is not None
        assert [(begun.id, begun.pending) for begun in situation.begun] == [(digest_id, 1)]
    world.resume(count_as_had=count_as_had)
    with database.read() as session:
        [delivery] = session.scalars(select(Delivery))
        digest = session.get_one(Digest, digest_id)
    if count_as_had:
        assert (delivery.status, digest.status) == (DeliveryStatus.UNKNOWN, DigestStatus.SENT)
        assert delivery.dropped_at is not None
    else:
        assert (delivery.status, digest.status) == (DeliveryStatus.QUEUED, DigestStatus.SENDING)


@pytest.mark.parametrize("is_in_journal", [True, False])
def test_a_digest_that_was_being_built_at_the_backup(world: World, is_in_journal: bool) -> None:
    database = world.database
    build(database, world.daily, TODAY, NOW + HOUR)

    def being_built(session: Session) -> None:
        make.digest(
            session,
            world.daily,
            slot=TODAY,
            due_at=NOW + HOUR,
            status=DigestStatus.BUILDING,
            builder_id=make.worker(session).id,
        )

    world.lost(being_built)
    if not is_in_journal:
        with database.write() as session:
            session.execute(delete(JournalEntry))
    world.resume()
    with database.read() as session:
        statuses = session.scalars(select(Digest.status)).all()
    assert statuses == ([DigestStatus.SENT] if is_in_journal else [])


def test_without_the_journal_all_that_came_in_until_now_counts_as_had(world: World) -> None:
    database = world.database
    fenced(world, without_journal=True)
    world.resume()
    world.article("second")
    today = build(database, world.daily, TODAY, NOW + 4 * HOUR)
    assert got(database, today) == {"daily": ["second"]}


def test_without_the_journal_a_feed_that_was_not_fetched_since_brings_backlog(world: World) -> None:
    since = NOW + 2 * HOUR
    with world.database.write() as session:
        for at in (NOW, since):
            make.feed(session, first_fetched_at=NOW, last_success_at=at, etag="v1")
    fenced(world, without_journal=True)
    world.resume()
    with world.database.read() as session:
        rows = session.execute(select(Feed.first_fetched_at, Feed.etag).order_by(Feed.id)).all()
    # Its next document is read whole, as the first one of a new feed.
    assert rows == [(None, None), (NOW, "v1")]


def test_notices_of_before_the_restore_are_ended_and_later_ones_wait(world: World) -> None:
    with world.database.write() as session:
        for minutes in (-1, 1):
            at = NOW + 2 * HOUR + timedelta(minutes=minutes)
            make.notice(session, world.keys, created_at=at, next_attempt_at=at)
    fenced(world)
    world.resume()
    with world.database.read() as session:
        statuses = session.scalars(select(Notice.status).order_by(Notice.created_at)).all()
    assert statuses == [DeliveryStatus.CANCELLED, DeliveryStatus.QUEUED]


def test_resuming_takes_the_fence_down_and_forgets_what_was_replayed(world: World) -> None:
    build(world.database, world.daily, TODAY, NOW + HOUR)
    world.lost()
    world.resume()
    with world.database.read() as session:
        assert read_situation(session, now=NOW) is None
        installation = session.get_one(Installation, 1)
        assert (installation.restored_at, installation.paused_at) == (None, None)
        replayed = select(func.count()).where(JournalEntry.replayed_at.is_not(None))
        assert session.scalar(replayed) == 0
    assert world.resume() == ResumeResult()


def test_staff_see_what_was_sent_what_is_due_and_who_is_lost(world: World) -> None:
    build(world.database, world.daily, TODAY, NOW + HOUR)
    with world.database.write() as session:
        slug = world.newsletter.slug
        record(session, [NewEntry(JournalKind.RETURNED, NOW, "a", slug)])
        record(session, [NewEntry(JournalKind.LEFT, NOW, "b", slug)])
    world.lost()
    with world.database.read() as session:
        situation = read_situation(session, now=NOW + 3 * HOUR)
    assert situation is not None
    assert situation.lost_readers == 1
    [sent] = situation.sent
    assert (sent.newsletter, sent.detail.schedule, sent.detail.slot) == ("daily", "daily", TODAY)
    assert [article.title for article in sent.detail.articles] == ["first"]
    assert [(due.schedule, due.is_late, due.articles, due.readers) for due in situation.due] == [
        ("daily", True, 1, 1),
        ("weekly", False, 1, 1),
    ]


def test_readers_of_a_schedule_that_was_removed_have_had_what_its_target_sent(world: World) -> None:
    database = world.database
    with database.write() as session:
        weekly, daily = (session.merge(row) for row in (world.weekly, world.daily))
        schedule_changes.remove(session, weekly, daily, now=NOW)
    build(database, world.daily, TODAY, NOW + HOUR)

    def not_removed(session: Session) -> None:
        session.execute(
            update(Schedule).where(Schedule.id == world.weekly.id).values(removed_at=None)
        )
        weekly = select(Subscriber.id).where(Subscriber.address == "weekly@example.com")
        session.execute(
            update(Subscription)
            .where(Subscription.subscriber_id.in_(weekly))
            .values(schedule_id=world.weekly.id)
        )

    world.lost(not_removed)
    world.resume()
    world.article("second")
    daily_digest = build(database, world.daily, TOMORROW, NOW + DAY + HOUR)
    assert got(database, daily_digest) == {"daily": ["second"], "weekly": ["second"]}


def test_who_came_back_twice_has_had_what_was_sent_in_between(world: World) -> None:
    database = world.database
    with database.write() as session:
        reader = make.reader(session, world.keys, world.daily, "ann@example.com")
        key_hash = session.get_one(Subscriber, reader.subscriber_id).key_hash
    build(database, world.daily, TODAY, NOW + HOUR)
    with database.write() as session:
        for kind, hours in (
            (JournalKind.RETURNED, 0),
            (JournalKind.LEFT, 1),
            (JournalKind.RETURNED, 2),
        ):
            at = NOW + hours * HOUR
            record(session, [NewEntry(kind, at, key_hash, world.newsletter.slug)])

    def had_left(session: Session) -> None:
        forget_article(session)
        session.execute(
            update(Subscription).where(Subscription.id == reader.id).values(left_at=NOW - DAY)
        )

    world.lost(had_left)
    world.resume()
    world.article("second")
    tomorrow = build(database, world.daily, TOMORROW, NOW + DAY + HOUR)
    assert got(database, tomorrow) == {"ann": ["second"], "daily": ["second"]}


@pytest.mark.parametrize("to", ["daily", "weekly"])
def test_who_changed_the_schedule_has_it_again_and_gets_nothing_twice(
    world: World, to: str
) -> None:
    database = world.database
    first, second = (world.weekly, world.daily) if to == "daily" else (world.daily, world.weekly)

    def chosen(session: Session, schedule: Schedule) -> None:
        session.execute(
            update(Subscription)
            .where(Subscription.subscriber_id == mover.subscriber_id)
            .values(schedule_id=schedule.id)
        )

    with database.write() as session:
        mover = make.reader(session, world.keys, first, "mover@example.com")
    wednesday = NOW + DAY + HOUR
    if to == "daily":
        # The mover had only what the daily schedule sent after the change.
        with database.write() as session:
            chosen(session, second)
    build(database, world.daily, TODAY, NOW + HOUR)
    with database.write() as session:
        chosen(session, second)
        key_hash = session.get_one(Subscriber, mover.subscriber_id).key_hash
        moved = NewEntry(JournalKind.MOVED, NOW, key_hash, world.newsletter.slug, detail=to)
        record(session, [moved])
    world.lost(lambda session: chosen(session, first))
    world.resume()
    world.article("second")
    daily = got(database, build(database, world.daily, TOMORROW, wednesday))
    weekly = got(database, build(database, world.weekly, TOMORROW, wednesday))
    assert (daily | weekly)["mover"] == ["second"]
    assert ("mover" in daily) == (to == "daily")
    assert weekly["weekly"] == ["first", "second"]
