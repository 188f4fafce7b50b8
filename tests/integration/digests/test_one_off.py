"""One-offs: who gets them, what they hold, and that they are nobody's first digest."""

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.digests.editing.edits import EditChanges
from mailer.digests.editing.introduction import Intro
from mailer.digests.editing.one_off import add_once, rule_at
from mailer.digests.selection.plan import excluded, for_reader, plan_digest
from mailer.errors import BadSchedule, NotFound, Refused
from mailer.models import (
    Article,
    Delivery,
    DigestStatus,
    Edition,
    Holds,
    Newsletter,
    NewsletterArticle,
    Schedule,
    Subscription,
)
from mailer.tokens import Keys
from tests.integration.digests.test_builder import DAY, build, got, slot_of
from tests.support import factories as make
from tests.support.factories import NOW

LETTER = EditChanges(subject="Thank you", intro=Intro("<p>Thank you.</p>", "Thank you."))
SLOT = "2026-11-24T18:00"


class Room:
    """A newsletter with two schedules, a reader on each, and two articles."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self.database = database
        with database.write() as session:
            self.newsletter = make.newsletter(session)
            self.daily = make.schedule(session, self.newsletter)
            self.weekly = make.schedule(session, self.newsletter, "weekly")
            self.old = make.article(session, self.newsletter, published_at=NOW - 99 * DAY)
            self.new = make.article(session, self.newsletter, backlog=True)
            self.anna = make.reader(session, keys, self.daily, "anna@example.com")
            self.boris = make.reader(
                session, keys, self.weekly, "boris@example.com", start_article=10**6
            )

    def once(self, changes: EditChanges = EditChanges(), *articles: Article) -> Schedule:  # noqa: B008
        with self.database.write() as session:
            newsletter = session.get_one(Newsletter, self.newsletter.id)
            ids = [one.id for one in articles]
            rule = rule_at("2026-11-24 18:00", "UTC")
            return add_once(session, newsletter, rule, changes, articles=ids, now=NOW)

    def first_digests(self) -> list[int | None]:
        with self.database.read() as session:
            return list(
                session.scalars(select(Subscription.first_digest_id).order_by(Subscription.id))
            )


@pytest.fixture
def room(database: Database, keys: Keys) -> Room:
    return Room(database, keys)


def test_a_letter_goes_to_all_readers(room: Room, keys: Keys) -> None:
    with room.database.write() as session:
        make.reader(session, keys, room.daily, "left@example.com", left_at=NOW)
        make.reader(session, keys, room.daily, "resting@example.com", paused_at=NOW)
    schedule = room.once(LETTER)
    assert (schedule.holds, schedule.name) == (Holds.NONE, "once-2026-11-24-1800")
    with room.database.read() as session:
        schedule = session.get_one(Schedule, schedule.id)
        plan = plan_digest(session, schedule, slot_of(schedule, SLOT))
        assert [(one.articles, one.readers) for one in plan.choice.cohorts] == [((), 2)]
        assert excluded(session, schedule, plan) == {"paused": 1}
        assert for_reader(session, schedule, plan, "anna@example.com").cohort is not None
        assert for_reader(session, schedule, plan, "resting@example.com").reason == "paused"
    digest = build(room.database, schedule, SLOT)
    assert (digest.status, digest.subject) == (DigestStatus.SENDING, "Thank you")
    with room.database.read() as session:
        assert len(session.scalars(select(Edition)).all()) == 1
        readers = session.scalars(select(Delivery.subscriber_id).order_by(Delivery.id)).all()
        assert sorted(readers) == sorted([room.anna.subscriber_id, room.boris.subscriber_id])
    # What came before their start is still theirs.
    assert room.first_digests()[:2] == [None, None]


def test_chosen_articles_go_to_all_who_have_not_had_them(room: Room) -> None:
    with room.database.write() as session:
        before = make.digest(session, room.daily, due_at=NOW - DAY)
        make.delivery(session, make.edition(session, before, [room.new]), room.anna)
    schedule = room.once(EditChanges(), room.old, room.new)
    assert schedule.holds is Holds.CHOSEN
    digest = build(room.database, schedule, SLOT)
    # In the order given only as far as the first one leads; the old one is no matter of age here.
    assert got(room.database, digest) == {
        room.anna.subscriber_id: [room.old.id],
        room.boris.subscriber_id: [room.old.id, room.new.id],
    }
    assert room.first_digests() == [None, None]


def test_without_anything_it_holds_what_is_due(room: Room) -> None:
    with room.database.write() as session:
        fresh = make.article(session, room.newsletter)
    schedule = room.once(EditChanges(subject="Latest"))
    assert schedule.holds is Holds.DUE
    digest = build(room.database, schedule, SLOT)
    assert got(room.database, digest)[room.anna.subscriber_id] == [fresh.id]
    # The reader who came later is a newcomer, as in any digest.
    assert got(room.database, digest)[room.boris.subscriber_id] == [fresh.id, room.new.id]
    assert room.first_digests() == [digest.id, digest.id]
    # And the daily one repeats nothing.
    assert build(room.database, room.daily, "2026-11-25T07:00").status is DigestStatus.SKIPPED


def test_chosen_articles_that_were_withdrawn_are_left_out(room: Room) -> None:
    schedule = room.once(EditChanges(), room.old, room.new)
    with room.database.write() as session:
        session.get_one(Article, room.old.id).withdrawn_at = NOW
    digest = build(room.database, schedule, SLOT)
    assert set(map(tuple, got(room.database, digest).values())) == {(room.new.id,)}


def test_a_second_one_at_that_time_has_a_name_of_its_own(room: Room) -> None:
    assert room.once(LETTER).name == "once-2026-11-24-1800"
    assert room.once(LETTER).name == "once-2026-11-24-1800-2"


def test_what_cannot_be_sent_is_refused(room: Room) -> None:
    with room.database.write() as session:
        gone = make.article(session, room.newsletter, withdrawn_at=NOW)
        elsewhere = make.article(session)
        assert session.get(NewsletterArticle, (room.newsletter.id, elsewhere.id)) is None
        with pytest.raises(Refused, match="past"):
            add_once(
                session, room.newsletter, rule_at("2026-11-24 05:00", "UTC"), LETTER,
                articles=[], now=NOW,
            )  # fmt: skip
    with pytest.raises(NotFound, match="is not in daily"):
        room.once(EditChanges(), elsewhere)
    with pytest.raises(Refused, match="withdrawn or dropped"):
        room.once(EditChanges(), gone)
    for at in ("tomorrow", "2026-11-24", "2026-02-30 18:00"):
        with pytest.raises(BadSchedule):
            rule_at(at, "UTC")
    with pytest.raises(Refused, match="zone"):
        rule_at("2026-11-24 18:00", "Nowhere/City")
