"""A random life of a newsroom and its readers, lived by the program and by the model at once.

Whatever is random comes from one seed, also the schedules' terms. Acts go through the functions that the
commands and pages call. At every slot what is planned, what is built and what the model says must be one.
"""

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from secrets import token_bytes
from typing import Any, Final, Self

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.clock import Times
from mailer.db import Database
from mailer.delivery import ledger, running
from mailer.delivery.change import Claim, Outcome
from mailer.digests import timetable
from mailer.digests.build import Builder
from mailer.digests.calendar import Rule, Slot, slots
from mailer.digests.candidates import had_text
from mailer.digests.plan import excluded, plan_digest
from mailer.digests.slots import SUPERSEDED
from mailer.feeds.articles import add_article, edit_article, withdraw_article
from mailer.models import (
    Article,
    Delivery,
    DeliveryStatus,
    Digest,
    EditionArticle,
    Newsletter,
    NewsletterArticle,
    Schedule,
    ScheduleKind,
    Subscriber,
    Subscription,
    SuppressionReason,
)
from mailer.permission.leave import leave
from mailer.permission.suppress import suppress
from mailer.subscriptions import preferences
from mailer.subscriptions.client import Client
from mailer.subscriptions.confirm import confirm
from mailer.subscriptions.offer import Publisher
from mailer.tokens import Keys
from tests import factories as make
from tests.factories import NOW
from tests.integration.digests.builders import render_plainly
from tests.integration.digests.model import COUNTS_AS_HAD, Mail, Model, Person, Piece, Reader, Terms

S = DeliveryStatus
CLIENT: Final = Client("/a-life")
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
ENDS: Final = [S.SENT] * 14 + [S.FAILED] * 2 + [S.DEFERRED] * 2 + [S.UNKNOWN] * 2
PENDING: Final = {S.QUEUED, S.DEFERRED}


class Life:
    """One life, from one seed.

    Args:
        roomy: every digest has room for whatever is due, so that nothing may be too old in the end but
            what came in too old.
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
        self.random = random.Random(seed)
        self.database = database
        self.keys = keys
        self.roomy = roomy
        self.few_lists = few_lists
        self.model = Model()
        self.now = NOW
        self.slots_passed = 0
        self.built: set[tuple[int, str]] = set()
        self.missed: list[tuple[int, str]] = []
        self.happened: Counter[str] = Counter()
        times = Times(wall=lambda: self.now)
        self.builder = Builder(database, times, render=render_plainly, lease=timedelta(minutes=1))
        with database.write() as session:
            self.worker = make.worker(session).id
            self.newsletters = [
                make.newsletter(session, "city"),
                make.newsletter(session, "region"),
            ]
            self.schedules = self._schedules(session, *self.newsletters)
        self.terms = {
            one.id: Terms(
                one.id,
                one.newsletter_id,
                one.max_age or timedelta(),
                one.min_articles,
                one.max_articles,
                one.newcomers,
            )
            for one in self.schedules
        }

    def __enter__(self) -> Self:
        self.builder.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.builder.__exit__(*error)

    def _schedules(self, session: Session, city: Newsletter, region: Newsletter) -> list[Schedule]:
        """A daily and a weekly of one newsletter, and one of another that shares articles with it."""
        choose = self.random.choice
        zone = choose(["Europe/Paris", "America/New_York", "Asia/Yerevan", "Australia/Lord_Howe"])
        at = choose(["06:00", "00:00", "02:30", "23:45"])

        def limits() -> dict[str, Any]:
            return {
                "zone": zone,
                "at": at,
                "active_from": NOW,
                "max_age": choose([8, 9, 14]) * DAY,
                "max_lateness": 6 * HOUR,
                "min_articles": 1 if self.roomy else choose([1, 1, 2, 3]),
                "max_articles": 100 if self.roomy else choose([3, 4, 6, 20]),
                "newcomers": choose([0, 2, 5]),
            }

        often: dict[str, Any] = choose(
            [
                {"days": choose([None, "mon,tue,wed,thu,fri"])},
                {"kind": ScheduleKind.CRON, "cron": "0 7,17 * * *"},
            ]
        )
        return [
            make.schedule(session, city, "daily", **limits() | often),
            make.schedule(session, city, "weekly", **limits(), days=choose(["mon", "thu", "sat"])),
            make.schedule(session, region, "daily", **limits()),
        ]

    # -- the newsroom ----------------------------------------------------------------------------------

    def arrive(self) -> None:
        """An article comes in: on time, late, dated back or ahead; for one newsletter or both."""
        some = self.random.choice([self.newsletters[:1], self.newsletters[1:], self.newsletters])
        hours = self.random.choice([0, -1, -2, -5, -30, -100, -400, 12, 30])
        backlog = self.random.random() < 0.08
        published = self.now + timedelta(hours=hours, minutes=self.random.randrange(60))
        with self.database.write() as session:
            row: Article = make.article(session, *some, backlog=backlog, published_at=published)
        self.model.pieces[row.id] = Piece(row.id, published, {one.id: backlog for one in some})

    def attach(self) -> None:
        """What was there comes into another newsletter, as backlog: a feed was attached to it."""
        piece = self._some_piece()
        if piece is None or len(piece.backlog) == 2:
            return
        [other] = [one.id for one in self.newsletters if one.id not in piece.backlog]
        with self.database.write() as session:
            session.add(
                NewsletterArticle(
                    newsletter_id=other, article_id=piece.id, backlog=True, added_at=self.now
                )
            )
        piece.backlog[other] = True

    def edit(self) -> None:
        """Staff write another headline, which makes it no other piece."""
        piece = self._some_piece()
        if piece is not None:
            with self.database.write() as session:
                edit_article(session, piece.id, title=f"Again {self.now}", now=self.now)

    def withdraw(self) -> None:
        piece = self._some_piece()
        if piece is not None:
            with self.database.write() as session:
                withdraw_article(session, piece.id, now=self.now)
            piece.withdrawn = True

    def add(self) -> None:
        """Staff put a known piece into a newsletter: due there, also where it was withdrawn or backlog."""
        piece = self._some_piece()
        newsletter = self.random.choice(self.newsletters)
        if piece is None or (piece.backlog.get(newsletter.id) is False and not piece.withdrawn):
            return
        with self.database.write() as session:
            url = session.get_one(Article, piece.id).url
            found, is_new = add_article(session, newsletter, url=url, title="x", now=self.now)
        assert (found, is_new) == (piece.id, False)
        piece.backlog[newsletter.id] = False
        piece.withdrawn = False

    # -- readers ---------------------------------------------------------------------------------------

    def join(self) -> None:
        """Somebody confirms a sign-up: somebody new, a reader of the other newsletter, or one who left."""
        schedule = self.random.choice(self.schedules)
        here = {
            one.person.id: one
            for one in self.model.readers
            if one.newsletter == schedule.newsletter_id
        }
        others = [
            number
            for number, person in enumerate(self.model.people)
            if person.id not in here or here[person.id].left
        ]
        number = len(self.model.people)
        if others and self.random.random() < 0.4:
            number = self.random.choice(others)
        with self.database.write() as session:
            signup = make.signup(
                session,
                self.keys,
                schedule,
                f"reader{number}@example.com",
                created_at=self.now,
                expires_at=self.now + DAY,
            )
            key_hash = signup.key_hash
        # A second later, for somebody may have left in this one.
        pressed = self.now + timedelta(seconds=1)
        with self.database.write() as session:
            confirm(session, Publisher(), signup.public_id, CLIENT, random=token_bytes, now=pressed)
            row = session.scalars(
                select(Subscription)
                .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
                .where(
                    Subscriber.key_hash == key_hash,
                    Subscription.newsletter_id == schedule.newsletter_id,
                )
            ).one()
        if number == len(self.model.people):
            self.model.people.append(Person(row.subscriber_id))
        person = self.model.people[number]
        assert person.id == row.subscriber_id
        # Whoever presses the button has got our mail: the address works.
        person.refused = False
        if person.id in here:
            self.model.readers.remove(here[person.id])
        self.model.readers.append(
            Reader(row.id, person, row.newsletter_id, schedule.id, self.model.newest)
        )

    def switch(self) -> None:
        """Daily to weekly, or back."""
        reader = self._somebody()
        if reader is None:
            return
        others = [
            one
            for one in self.schedules
            if one.newsletter_id == reader.newsletter and one.id != reader.schedule
        ]
        if not others:
            return
        with self.database.write() as session:
            place = self._place(session, reader)
            option = place.offer.option(others[0].name)
            assert option is not None
            preferences.change(session, place, option, CLIENT, now=self.now)
        reader.schedule = others[0].id

    def pause(self) -> None:
        """Somebody pauses, or resumes and starts afresh."""
        reader = self._somebody()
        # Few stay away for long.
        if reader is None or (not reader.paused and self.random.random() < 0.6):
            return
        act = preferences.resume if reader.paused else preferences.pause
        with self.database.write() as session:
            act(session, self._place(session, reader), CLIENT, now=self.now)
        if reader.paused:
            reader.start = self.model.newest
        reader.paused = not reader.paused

    def leave(self) -> None:
        reader = self._somebody()
        if reader is None:
            return
        with self.database.write() as session:
            row = session.get_one(Subscription, reader.id)
            leave(session, row, reason="reader", source="/a-life", now=self.now)
        reader.left = True

    # -- the relay -------------------------------------------------------------------------------------

    def relay(self) -> None:
        """The relay takes some of what waits: it accepts, puts off, refuses, or falls silent."""
        waiting = {
            mail.id: (mail, person)
            for person in self.model.people
            for mail in person.mails
            if mail.status in PENDING
        }
        with self.database.write() as session:
            claims, skipped = ledger.claim(session, self.worker, 100_000, self.now)
        claimed = {claim.row.id for claim in claims}
        places = {(one.person.id, one.newsletter): one for one in self.model.readers}
        for mail, person in waiting.values():
            allowed = places[person.id, mail.newsletter].may_be_mailed
            assert allowed == (mail.id in claimed), f"mail {mail.id} of person {person.id}"
            # What was claimed and is not tried is given back, and waits as if it had never been tried.
            mail.status = S.QUEUED if allowed else S.SKIPPED
        assert len(waiting) == len(claims) + skipped
        tried = [one for one in claims if self.random.random() < 0.8]
        with self.database.write() as session:
            granted = ledger.start(session, self.worker, [one.row for one in tried], self.now)
        assert granted == {one.row for one in tried}
        outcomes = [self._tried(claim, *waiting[claim.row.id]) for claim in tried]
        with self.database.write() as session:
            ledger.record(session, outcomes, self.now)
            ledger.release(session, self.worker)
            running.finish_digests(session, self.now)

    def _tried(self, claim: Claim, mail: Mail, person: Person) -> Outcome:
        end = self.random.choice(ENDS)
        in_doubt_first = end is S.UNKNOWN and not mail.resent
        again = end is S.DEFERRED or in_doubt_first
        mail.resent = mail.resent or in_doubt_first
        mail.status = S.QUEUED if in_doubt_first else end
        self.happened[end.value] += 1
        if end is S.FAILED and self.random.random() < 0.3:
            self._refuse(person)
        return Outcome(
            claim.row,
            self.worker,
            claim.attempts + 1,
            end,
            "dot",
            None,
            "so said the relay",
            self.now if again else None,
        )

    def _refuse(self, person: Person) -> None:
        """The relay has refused this address for good."""
        person.refused = True
        with self.database.write() as session:
            suppress(
                session,
                key_hash=session.get_one(Subscriber, person.id).key_hash,
                address=None,
                reason=SuppressionReason.BOUNCED,
                now=self.now,
            )

    def cancel(self) -> None:
        """Staff end a digest whose mails are not all out: what waits is given back."""
        if self.random.random() < 0.7:
            return
        digests = {
            mail.digest
            for person in self.model.people
            for mail in person.mails
            if mail.status in PENDING
        }
        if digests:
            chosen = self.random.choice(sorted(digests))
            with self.database.write() as session:
                assert running.cancel_digest(session, chosen, self.now)
            for person in self.model.people:
                for mail in person.mails:
                    if mail.digest == chosen and mail.status in PENDING:
                        mail.status = S.CANCELLED

    # -- slots -----------------------------------------------------------------------------------------

    def live(self, number: int) -> None:
        """Let that many slots go by, with whatever happens between them."""
        acts: list[Callable[[], None]] = [
            *[self.arrive] * 12, *[self.join] * 3, *[self.relay] * 5, *[self.switch] * 2,
            self.attach, self.edit, self.withdraw, self.add, self.leave, self.pause, self.cancel,
        ]  # fmt: skip
        for _ in range(20):
            self.join()
        for schedule, slot in self._slots(number):
            while self.now < slot.due_at:
                self.now = min(self.now + self.random.randrange(1, 7) * HOUR, slot.due_at)
                self.random.choice(acts)()
            self.now += self.random.choice([0, 0, 0, 0, 1, 30, 110]) * timedelta(minutes=1)
            if self.random.random() < 0.2:
                self.random.choice(acts)()
            self._at(schedule, slot)
            if self.random.random() < 0.03:
                self._early()
        self.check()

    def _slots(self, number: int) -> list[tuple[Schedule, Slot]]:
        until = NOW + number * DAY
        found = [
            (schedule, slot)
            for schedule in self.schedules
            for slot in slots(Rule.of(schedule), NOW, until)
        ]
        return sorted(found, key=lambda one: (one[1].due_at, one[0].id))[:number]

    def _at(self, schedule: Schedule, slot: Slot) -> None:
        """The slot has come: it is built, unless nobody is there, or it was built before its time."""
        self.slots_passed += 1
        if (schedule.id, slot.name) in self.built:
            return
        if self.random.random() < 0.05:
            self.missed.append((schedule.id, slot.name))
            return
        self._send(schedule, slot, lambda: self.builder.build_due(schedule.id))

    def _early(self) -> None:
        """Staff send a digest before its slot."""
        schedule = self.random.choice(self.schedules)
        with self.database.read() as session:
            slot = timetable.next_free_slot(session, schedule, now=self.now)
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
            if (contents := self.model.contents(one, terms, due[one.person.id]))
        }
        left_out = self.model.excluded(terms, slot.due_at)
        newcomers = [one for one in readers if one.is_newcomer]
        planned = self._planned(schedule, slot, left_out)
        digest_id = build()
        assert digest_id is not None, f"slot {slot.name} of {schedule.id} was not due"
        mails = self._mails(digest_id, terms.newsletter)
        got = {person: mail.articles for person, mail in mails.items()}
        assert planned == got
        if self.few_lists:
            assert got.keys() == expected.keys()
            for person, articles in got.items():
                assert set(articles) <= due[person]
                assert terms.min_articles <= len(articles) <= terms.max_articles
        else:
            assert got == expected
        if self.roomy:
            assert all(set(got.get(one, ())) == due[one] for one in due)
        for one in self.model.people:
            if one.id in mails:
                one.mails.append(mails[one.id])
        for reader in newcomers:
            if reader.person.id in got:
                reader.first = digest_id
        self.model.candidates_before[schedule.id] = {one.id for one in candidates}
        self.built.add((schedule.id, slot.name))
        self.happened["mails"] += len(got)
        self.happened["carried over"] += any(due[one] - set(got.get(one, ())) for one in due)

    def _planned(
        self, schedule: Schedule, slot: Slot, left_out: Counter[str]
    ) -> dict[int, tuple[int, ...]]:
        with self.database.read() as session:
            mine = session.get_one(Schedule, schedule.id)
            plan = plan_digest(session, mine, slot)
            assert excluded(session, mine, plan) == left_out
            lists = {
                (group.start, group.newcomer, had_text(group)): cohort.articles
                for cohort in plan.choice.cohorts
                for group in cohort.groups
            }
            rows = session.execute(plan.readers).all()
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
                .join(EditionArticle, EditionArticle.edition_id == Delivery.edition_id)
                .where(Delivery.digest_id == digest_id)
                .order_by(Delivery.id, EditionArticle.position)
            ).all()
        found: dict[int, Mail] = {}
        for mail_id, person, article in rows:
            mail = found.setdefault(person, Mail(mail_id, digest_id, newsletter, ()))
            assert mail.id == mail_id, f"two mails of digest {digest_id} to one person"
            mail.articles += (article,)
        return found

    # -- the end ---------------------------------------------------------------------------------------

    def check(self) -> None:
        """Hold the database, as it is in the end, against what was promised and what was lived."""
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
        lived = {mail.id: mail.status for person in self.model.people for mail in person.mails}
        other = {one: status for one, status in statuses.items() if lived.get(one) is not status}
        assert other == {}, {one: lived.get(one) for one in other}
        assert len(statuses) == len(lived)
        assert twice == []
        let_go = {(one, slot) for one, slot, reason in digests if reason == SUPERSEDED}
        assert {(one, slot) for one, slot, _ in digests} == self.built | let_go
        assert len(digests) == len(self.built) + len(let_go)
        assert let_go <= set(self.missed)

    def _some_piece(self) -> Piece | None:
        pieces = list(self.model.pieces.values())[-60:]
        return self.random.choice(pieces) if pieces else None

    def _somebody(self) -> Reader | None:
        here = [reader for reader in self.model.readers if not reader.left]
        return self.random.choice(here) if here else None

    def _place(self, session: Session, reader: Reader) -> preferences.Place:
        public_id = session.get_one(Subscription, reader.id).public_id
        found = preferences.place(session, Publisher(), public_id)
        assert found is not None
        return found
