"""A random life of a newsroom and its readers, lived by the program and by the model at once.

At every slot what is planned, what is built and what the model says must be one.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self

from sqlalchemy import func, select

from mailer.clock import Times
from mailer.db import Database
from mailer.digests.build.builder import Builder
from mailer.digests.schedules import slot_lookup
from mailer.digests.schedules.calendar import Rule, Slot, slots
from mailer.digests.schedules.due_slots import SUPERSEDED
from mailer.digests.selection import explain
from mailer.digests.selection.plan import excluded, plan_digest
from mailer.models import Delivery, Digest, EditionArticle, Schedule
from mailer.tokens import Keys
from tests.integration.digests.builders import build_due, render_plainly
from tests.integration.digests.forgetting import Forgetting
from tests.integration.digests.model import COUNTS_AS_HAD, Mail
from tests.integration.digests.newsroom import DAY, HOUR
from tests.support.factories import NOW


class Life(Forgetting):
    """One life, from one seed.

    Args:
        few_lists: lists are merged long before there are fifty, so that the model cannot tell which of
            the articles that are due a reader gets, only that they get some.
    """

    def __init__(
        self,
        database: Database,
        keys: Keys,
        seed: int,
        *,
        roomy: bool = False,
        few_lists: bool = False,
    ) -> None:
        super().__init__(database, keys, seed, roomy=roomy)
        self.few_lists = few_lists
        self.slots_passed = 0
        self.built: set[tuple[int, str]] = set()
        self.missed: set[tuple[int, str]] = set()
        times = Times(wall=lambda: self.now)
        self.builder = Builder(database, times, render=render_plainly, lease=timedelta(minutes=1))

    def __enter__(self) -> Self:
        self.builder.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.builder.__exit__(*error)

    def live(self, number: int) -> None:
        """Let that many slots go by, with whatever happens between them."""
        acts: list[Callable[[], None]] = [
            *[self.arrive] * 12, *[self.join] * 3, *[self.relay] * 5, *[self.switch] * 2,
            self.attach, self.edit, self.withdraw, self.add, self.drop, self.lead, self.once,
            self.leave, self.pause, self.cancel, *[self.purge] * 2, self.change_max_age,
        ]  # fmt: skip
        for _ in range(20):
            self.join()
        for schedule in self.schedules:
            for slot in slots(Rule.of(schedule), NOW, NOW + number * DAY):
                self.coming.append((slot.due_at, schedule.id, schedule, slot))
        heapq.heapify(self.coming)
        while self.slots_passed < number:
            until = self.coming[0][0]
            if self.now < until:
                self.now = min(self.now + self.random.randrange(1, 7) * HOUR, until)
                self.random.choice(acts)()
                continue
            _, _, schedule, slot = heapq.heappop(self.coming)
            self.now += self.random.choice([0, 0, 0, 0, 1, 30, 110]) * timedelta(minutes=1)
            if self.random.random() < 0.2:
                self.random.choice(acts)()
            self._at(schedule, slot)
            if self.random.random() < 0.03:
                self._early()
        self.check()

    def _at(self, schedule: Schedule, slot: Slot) -> None:
        """The slot has come: it is built, unless nobody is there, or it was built before its time."""
        self.slots_passed += 1
        if (schedule.id, slot.name) in self.built:
            return
        if self.random.random() < 0.05:
            self.missed.add((schedule.id, slot.name))
            return
        self._send(
            schedule, slot, lambda: build_due(self.builder, self.database, schedule.id, self.now)
        )

    def _early(self) -> None:
        """Staff send a digest before its slot."""
        schedule = self.random.choice(self.schedules)
        with self.database.read() as session:
            slot = slot_lookup.next_free_slot(session, schedule, now=self.now)
        assert slot is not None
        self.happened["early"] += 1
        self._send(schedule, slot, lambda: self.builder.build(schedule.id, slot))

    def _send(self, schedule: Schedule, slot: Slot, build: Callable[[], int | None]) -> None:
        """Plan and build that slot, and hold both against the model."""
        terms = self.terms[schedule.id]
        candidates = self.model.candidates(terms, slot.due_at)
        readers = self.model.on(terms)
        due = {one.person.id: self.model.due(one, terms, candidates) for one in readers}
        expected = {
            one.person.id: contents
            for one in readers
            if (contents := self.model.contents(one, terms, candidates)) is not None
        }
        left_out = self.model.excluded(terms, slot.due_at)
        newcomers = [one for one in readers if one.is_newcomer and not terms.is_by_hand]
        ends = None if self.few_lists else self.model.ends(terms, slot.due_at, due, expected)
        planned = self._planned(schedule, slot, left_out, ends)
        digest_id = build()
        assert digest_id is not None, f"slot {slot.name} of {schedule.id} was not due"
        mails = self._mails(digest_id, terms.newsletter)
        got = {person: mail.articles for person, mail in mails.items()}
        assert planned == got
        if self.few_lists:
            assert got.keys() == expected.keys()
            for person, articles in got.items():
                assert set(articles) <= set(due[person])
                assert terms.is_letter or terms.min_articles <= len(articles)
                assert len(articles) <= terms.max_articles
        else:
            assert got == expected
        if self.roomy and not terms.is_once:
            assert all(set(got.get(one, ())) == set(due[one]) for one in due)
        for one in self.model.people:
            if one.id in mails:
                one.mails.append(mails[one.id])
        for reader in newcomers:
            if reader.person.id in got:
                reader.first = digest_id
        self.model.candidates_before.setdefault(schedule.id, {})[digest_id] = {
            one.id for one in candidates
        }
        if got:
            # Edits are for the next digest that goes out.
            self.model.leads.pop(schedule.id, None)
        self.built.add((schedule.id, slot.name))
        self.happened["mails"] += len(got)
        self.happened["carried over"] += any(set(due[one]) - set(got.get(one, ())) for one in due)

    def _planned(
        self,
        schedule: Schedule,
        slot: Slot,
        left_out: Counter[str],
        ends: Counter[str] | None,
    ) -> dict[int, tuple[int, ...]]:
        with self.database.read() as session:
            mine = session.get_one(Schedule, schedule.id)
            plan = plan_digest(session, mine, slot)
            assert excluded(session, mine, plan) == left_out
            if ends is not None:
                told = explain.count_articles(session, mine, plan)
                assert {word: number for word, number in told.items() if number} == +ends
            lists = {
                (group.start, group.newcomer, plan.frame.encode(group.editions)): cohort.articles
                for cohort in plan.choice.cohorts
                for group in cohort.groups
            }
            rows = session.execute(plan.readers_statement).all()
        return {
            row.subscriber_id: lists[key]
            for row in rows
            if (key := (row.start, bool(row.newcomer), row.had)) in lists
        }

    def _mails(self, digest_id: int, newsletter: int) -> dict[int, Mail]:
        """What was built, by person."""
        with self.database.read() as session:
            rows = session.execute(
                select(Delivery.id, Delivery.subscriber_id, EditionArticle.article_id)
                .outerjoin(EditionArticle, EditionArticle.edition_id == Delivery.edition_id)
                .where(Delivery.digest_id == digest_id)
                .order_by(Delivery.id, EditionArticle.position)
            ).all()
        found: dict[int, Mail] = {}
        for mail_id, person, article in rows:
            mail = found.setdefault(person, Mail(mail_id, digest_id, newsletter, ()))
            assert mail.id == mail_id, f"two mails of digest {digest_id} to one person"
            if article is not None:
                mail.articles += (article,)
        return found

    def check(self) -> None:
        """Hold the database, as it is in the end, against what was promised and what was lived."""
        self.check_what_is_kept()
        with self.database.read() as session:
            rows = session.execute(select(Delivery.id, Delivery.status))
            statuses = {mail_id: status for mail_id, status in rows}  # noqa: C416
            twice = session.execute(
                select(Delivery.subscriber_id, EditionArticle.article_id)
                .join(EditionArticle, EditionArticle.edition_id == Delivery.edition_id)
                .where(Delivery.status.in_(COUNTS_AS_HAD))
                .group_by(Delivery.subscriber_id, EditionArticle.article_id)
                .having(func.count() > 1)
            ).all()
            digests = session.execute(select(Digest.schedule_id, Digest.slot, Digest.reason)).all()
        lived = {
            mail.id: mail.status
            for person in self.model.people
            for mail in person.mails
            if not mail.purged
        }
        other = {one: status for one, status in statuses.items() if lived.get(one) is not status}
        assert other == {}, {one: lived.get(one) for one in other}
        assert len(statuses) == len(lived)
        assert twice == []
        skipped = {(one, slot) for one, slot, reason in digests if reason == SUPERSEDED}
        assert {(one, slot) for one, slot, _ in digests} == self.built | skipped
        assert len(digests) == len(self.built) + len(skipped)
        assert skipped <= self.missed
