"""A random life against a model in plain Python: who is due what, for sixty slots of three schedules.

The model is written from the words, reader by reader and article by article; the program groups and joins.
At every slot the plan, the build and the model must say the same.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from mailer.db import Database
from mailer.digests.calendar import Rule, Slot, slots
from mailer.digests.plan import excluded, plan_digest
from mailer.models import (
    HAD,
    Article,
    Delivery,
    DeliveryStatus,
    Digest,
    EditionArticle,
    NewsletterArticle,
    Schedule,
    Subscription,
)
from mailer.tokens import Keys
from tests import factories as make
from tests.factories import NOW
from tests.integration.digests.builders import builder

DAYS = 30
SLOTS = 60
OUTCOMES = (
    [DeliveryStatus.SENT] * 12
    + [DeliveryStatus.FAILED] * 2
    + [DeliveryStatus.UNKNOWN, DeliveryStatus.CANCELLED, DeliveryStatus.SKIPPED]
    + [DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED]
)


@dataclass
class Piece:
    """An article as the model knows it; `backlog` by newsletter."""

    id: int
    published: datetime
    backlog: dict[int, bool]
    withdrawn: bool = False


@dataclass
class Reader:
    """A subscription as the model knows it."""

    id: int
    subscriber: int
    newsletter: int
    schedule: int
    start: int
    first: int | None = None
    left: bool = False
    paused: bool = False


@dataclass
class Given:
    """A delivery as the model knows it."""

    id: int
    digest: int
    subscriber: int
    articles: tuple[int, ...]
    status: DeliveryStatus = DeliveryStatus.QUEUED


@dataclass
class Model:
    """What should have happened so far."""

    pieces: dict[int, Piece] = field(default_factory=dict)
    readers: list[Reader] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    last_candidates: dict[int, set[int]] = field(default_factory=dict)

    def had(self, subscriber: int) -> set[int]:
        return {
            article
            for one in self.given
            if one.subscriber == subscriber and one.status in HAD
            for article in one.articles
        }

    def candidates(self, schedule: Schedule, slot: Slot) -> list[Piece]:
        assert schedule.max_age is not None
        return [
            piece
            for piece in self.pieces.values()
            if schedule.newsletter_id in piece.backlog
            and not piece.withdrawn
            and slot.due_at - schedule.max_age < piece.published <= slot.due_at
        ]

    def is_newcomer(self, reader: Reader) -> bool:
        if reader.first is None:
            return True
        return any(
            one.digest == reader.first
            and one.subscriber == reader.subscriber
            and one.status not in HAD
            for one in self.given
        )

    def due(self, reader: Reader, schedule: Schedule, slot: Slot) -> set[int]:
        candidates = self.candidates(schedule, slot)
        due = {
            piece.id
            for piece in candidates
            if piece.id > reader.start and not piece.backlog[schedule.newsletter_id]
        }
        if self.is_newcomer(reader):
            earlier = [piece for piece in candidates if piece.id <= reader.start]
            earlier.sort(key=lambda piece: (piece.published, piece.id), reverse=True)
            due |= {piece.id for piece in earlier[: schedule.newcomers]}
        return due - self.had(reader.subscriber)

    def list_for(self, reader: Reader, schedule: Schedule, slot: Slot) -> tuple[int, ...]:
        """What the reader gets at that slot, in the order of print; nothing where they get none."""
        due = self.due(reader, schedule, slot)
        if len(due) < schedule.min_articles:
            return ()

        def age(article: int) -> tuple[datetime, int]:
            return (self.pieces[article].published, article)

        waited = self.last_candidates.get(schedule.id, set())
        first = sorted((a for a in due if a in waited and a > reader.start), key=age, reverse=True)
        then = sorted(due - set(first), key=age, reverse=True)
        return tuple(sorted((first + then)[: schedule.max_articles], key=age, reverse=True))

    def expected(self, schedule: Schedule, slot: Slot) -> dict[int, tuple[int, ...]]:
        lists = {
            reader.subscriber: self.list_for(reader, schedule, slot)
            for reader in self.readers
            if reader.schedule == schedule.id and not reader.left and not reader.paused
        }
        return {subscriber: articles for subscriber, articles in lists.items() if articles}


class Life:
    """A random life, lived by the program and by the model at once."""

    def __init__(self, database: Database, keys: Keys, seed: int) -> None:
        self.random = random.Random(seed)
        self.database = database
        self.keys = keys
        self.model = Model()
        self.people = 0
        with database.write() as session:
            self.newsletters = [
                make.newsletter(session, "city"),
                make.newsletter(session, "region"),
            ]
            city, region = self.newsletters
            limits = {"max_age": timedelta(days=9), "max_articles": 4, "zone": "Europe/Paris"}
            self.schedules = [
                make.schedule(session, city, "daily", newcomers=3, **limits),
                make.schedule(
                    session, city, "weekly", days="thu", min_articles=2, newcomers=0, **limits
                ),
                make.schedule(session, region, "daily", newcomers=2, **limits),
            ]

    def arrive(self, now: datetime) -> None:
        """An article comes in: on time, dated back, or dated ahead; for one newsletter or both."""
        wanted = self.random.choice([self.newsletters[:1], self.newsletters[1:], self.newsletters])
        hours = self.random.choice([-1, -2, -5, -40, -300, 12, 30])
        backlog = self.random.random() < 0.1
        with self.database.write() as session:
            row: Article = make.article(
                session, *wanted, backlog=backlog, published_at=now + timedelta(hours=hours)
            )
        self.model.pieces[row.id] = Piece(
            row.id, row.published_at, {newsletter.id: backlog for newsletter in wanted}
        )

    def attach(self, now: datetime) -> None:
        """An article that was there before comes into another newsletter, as backlog."""
        some = [piece for piece in self.model.pieces.values() if len(piece.backlog) == 1]
        if not some:
            return
        piece = self.random.choice(some)
        [other] = [one.id for one in self.newsletters if one.id not in piece.backlog]
        with self.database.write() as session:
            session.add(
                NewsletterArticle(
                    newsletter_id=other, article_id=piece.id, backlog=True, added_at=now
                )
            )
        piece.backlog[other] = True

    def withdraw(self, now: datetime) -> None:
        if not self.model.pieces:
            return
        piece = self.random.choice(list(self.model.pieces.values()))
        with self.database.write() as session:
            session.get_one(Article, piece.id).withdrawn_at = now
        piece.withdrawn = True

    def join(self, _: datetime) -> None:
        """Somebody new subscribes to one newsletter, or to both."""
        self.people += 1
        chosen = self.random.sample(self.schedules, self.random.choice([1, 1, 2]))
        if len({schedule.newsletter_id for schedule in chosen}) < len(chosen):
            chosen = chosen[:1]
        start = max(self.model.pieces, default=0)
        with self.database.write() as session:
            person = make.subscriber(session, self.keys, f"reader{self.people}@example.com")
            for schedule in chosen:
                row = make.subscription(session, person, schedule, start_article=start)
                self.model.readers.append(
                    Reader(row.id, person.id, row.newsletter_id, schedule.id, start)
                )

    def switch(self, _: datetime) -> None:
        reader = self._somebody()
        if reader is None or reader.newsletter != self.newsletters[0].id:
            return
        reader.schedule = self.random.choice(self.schedules[:2]).id
        with self.database.write() as session:
            session.get_one(Subscription, reader.id).schedule_id = reader.schedule

    def leave(self, now: datetime) -> None:
        reader = self._somebody()
        if reader is None or self.random.random() < 0.5:
            return
        reader.left = True
        with self.database.write() as session:
            session.get_one(Subscription, reader.id).left_at = now

    def pause(self, now: datetime) -> None:
        """Somebody pauses, or resumes and starts afresh."""
        reader = self._somebody()
        if reader is None:
            return
        reader.paused = not reader.paused
        with self.database.write() as session:
            row = session.get_one(Subscription, reader.id)
            row.paused_at = now if reader.paused else None
            if not reader.paused:
                row.start_article = reader.start = max(self.model.pieces, default=0)

    def settle(self, _: datetime) -> None:
        """The relay answers: what is pending gets one outcome or another."""
        with self.database.write() as session:
            for one in self.model.given:
                if one.status in {DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED}:
                    one.status = self.random.choice(OUTCOMES)
                    session.get_one(Delivery, one.id).status = one.status

    def send(self, schedule: Schedule, slot: Slot) -> None:
        """Plan and build that slot, and hold both against the model."""
        expected = self.model.expected(schedule, slot)
        assert self._planned(schedule, slot) == expected
        candidates = {piece.id for piece in self.model.candidates(schedule, slot)}
        newcomers = [
            reader
            for reader in self.model.readers
            if reader.schedule == schedule.id and self.model.is_newcomer(reader)
        ]
        with builder(self.database, slot.due_at) as one:
            digest_id = one.build(schedule.id, slot)
        assert digest_id is not None
        built = self._built(digest_id)
        assert {one.subscriber: one.articles for one in built} == expected
        self.model.given += built
        self.model.last_candidates[schedule.id] = candidates
        for reader in newcomers:
            if reader.subscriber in expected:
                reader.first = digest_id

    def _planned(self, schedule: Schedule, slot: Slot) -> dict[int, tuple[int, ...]]:
        with self.database.read() as session:
            plan = plan_digest(session, schedule, slot)
            left_out = sum(excluded(session, schedule, plan).values())
            subscriptions = session.scalar(
                select(func.count())
                .select_from(Subscription)
                .where(
                    Subscription.newsletter_id == schedule.newsletter_id,
                    Subscription.left_at.is_(None),
                )
            )
            assert plan.due + left_out == subscriptions
            lists = {
                (group.start, group.newcomer, ",".join(map(str, group.editions))): cohort.articles
                for cohort in plan.choice.cohorts
                for group in cohort.groups
            }
            rows = session.execute(plan.readers).all()
            return {
                row.subscriber_id: lists[key]
                for row in rows
                if (key := (row.start, bool(row.newcomer), row.had)) in lists
            }

    def _built(self, digest_id: int) -> list[Given]:
        with self.database.read() as session:
            rows = session.execute(
                select(Delivery.id, Delivery.subscriber_id, EditionArticle.article_id)
                .join(EditionArticle, EditionArticle.edition_id == Delivery.edition_id)
                .where(Delivery.digest_id == digest_id)
                .order_by(Delivery.id, EditionArticle.position)
            ).all()
        found: dict[int, Given] = {}
        for delivery, subscriber, article in rows:
            one = found.setdefault(delivery, Given(delivery, digest_id, subscriber, ()))
            one.articles += (article,)
        return list(found.values())

    def _somebody(self) -> Reader | None:
        here = [reader for reader in self.model.readers if not reader.left]
        return self.random.choice(here) if here else None


def _all_slots(schedules: list[Schedule]) -> list[tuple[Slot, Schedule]]:
    found = [
        (slot, schedule)
        for schedule in schedules
        for slot in slots(Rule.of(schedule), NOW, NOW + timedelta(days=DAYS))
    ]
    return sorted(found, key=lambda one: (one[0].due_at, one[1].id))[:SLOTS]


@pytest.mark.parametrize("seed", [1, 2])
def test_plan_build_and_model_agree_through_a_random_life(
    database: Database, keys: Keys, seed: int
) -> None:
    life = Life(database, keys, seed)
    for _ in range(6):
        life.join(NOW)
    acts = [life.arrive] * 9 + [life.join] * 3 + [
        life.attach, life.withdraw, life.switch, life.switch, life.leave, life.pause,
        life.settle, life.settle, life.settle,
    ]  # fmt: skip
    now = NOW
    for slot, schedule in _all_slots(life.schedules):
        while now < slot.due_at:
            now = min(now + timedelta(hours=3), slot.due_at)
            life.random.choice(acts)(now)
        life.send(schedule, slot)

    got = Counter(
        (one.subscriber, article)
        for one in life.model.given
        if one.status in HAD
        for article in one.articles
    )
    assert set(got.values()) == {1}
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Digest)) == SLOTS
    # The life was rich enough to mean something.
    assert len(got) > 150
    assert {one.status for one in life.model.given} >= {
        DeliveryStatus.FAILED,
        DeliveryStatus.UNKNOWN,
        DeliveryStatus.CANCELLED,
    }


def test_a_weekly_beside_a_daily_repeats_nothing_when_readers_switch(
    database: Database, keys: Keys
) -> None:
    life = Life(database, keys, 7)
    daily, weekly, _ = life.schedules
    for _ in range(8):
        life.join(NOW)
    now = NOW
    for slot, schedule in _all_slots([daily, weekly]):
        while now < slot.due_at:
            now = min(now + timedelta(hours=4), slot.due_at)
            life.arrive(now)
            life.switch(now)
        life.send(schedule, slot)
    got = Counter((one.subscriber, article) for one in life.model.given for article in one.articles)
    assert set(got.values()) == {1}


def test_no_article_is_forgotten(database: Database, keys: Keys) -> None:
    """With room in every digest, each article ends as had, before the start, backlog, or too old."""
    life = Life(database, keys, 11)
    daily = life.schedules[0]
    with database.write() as session:
        session.get_one(Schedule, daily.id).max_articles = 100
    daily.max_articles = 100
    now = NOW
    for _ in range(5):
        life.join(now)
    last = now
    for slot, schedule in _all_slots([daily]):
        while now < slot.due_at:
            now = min(now + timedelta(hours=3), slot.due_at)
            life.random.choice([life.arrive, life.arrive, life.join, life.withdraw])(now)
        life.send(schedule, slot)
        last = slot.due_at
    assert daily.max_age is not None
    for reader in life.model.readers:
        if reader.schedule != daily.id:
            continue
        had = life.model.had(reader.subscriber)
        for piece in life.model.pieces.values():
            if daily.newsletter_id not in piece.backlog or piece.id in had:
                continue
            arrived_too_old = piece.published <= last - daily.max_age
            assert (
                piece.id <= reader.start
                or piece.backlog[daily.newsletter_id]
                or piece.withdrawn
                or piece.published > last
                or arrived_too_old
            )
