"""Staff's edits: seen by plan, used up by the next build, given back where nothing goes out."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.digests.build import slot_claims
from mailer.digests.editing import edits
from mailer.digests.editing.edits import EditChanges, clear, dropped, edit
from mailer.digests.editing.introduction import Intro
from mailer.digests.selection.article_queries import load_edits
from mailer.digests.selection.plan import articles_of, plan_digest
from mailer.errors import BadTemplate, NotFound, Refused
from mailer.feeds.articles import withdraw_article
from mailer.message.content import Content
from mailer.models import (
    Article,
    Digest,
    DigestStatus,
    DroppedArticle,
    Edits,
    Newsletter,
    Schedule,
    WorkerRole,
)
from mailer.tokens import Keys
from tests.integration.digests.builders import builder, render_plainly
from tests.integration.digests.test_builder import build, got, slot_of
from tests.support import factories as make
from tests.support.factories import NOW

DAY = timedelta(days=1)
WORDS = Intro("<p>Good morning.</p>", "Good morning.")


@pytest.fixture
def newsroom(database: Database, keys: Keys) -> tuple[Newsletter, Schedule, list[Article]]:
    """A newsletter with two articles a digest, three articles, the newest last, and one reader."""
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter, max_articles=2)
        articles = [
            make.article(session, newsletter, published_at=NOW - timedelta(hours=hours))
            for hours in (9, 5, 2)
        ]
        make.reader(session, keys, schedule)
        return newsletter, schedule, articles


Newsroom = tuple[Newsletter, Schedule, list[Article]]


def change(database: Database, room: Newsroom, **changes: object) -> Edits:
    with database.write() as session:
        newsletter = session.get_one(Newsletter, room[0].id)
        schedule = session.get_one(Schedule, room[1].id)
        return edit(session, newsletter, schedule, EditChanges(**changes), now=NOW)  # type: ignore[arg-type]


def planned(database: Database, schedule: Schedule) -> list[int]:
    with database.read() as session:
        plan = plan_digest(session, session.get_one(Schedule, schedule.id), slot_of(schedule))
        return [one.id for cohort in plan.choice.cohorts for one in articles_of(plan, cohort)]


def coming(database: Database, schedule: Schedule) -> Edits | None:
    with database.read() as session:
        return load_edits(session, schedule.id, None)


def test_the_next_build_uses_them_up(database: Database, newsroom: Newsroom) -> None:
    _, schedule, (oldest, middle, newest) = newsroom
    change(database, newsroom, subject=" The  fair\nopens ", intro=WORDS, lead=oldest.id)
    change(database, newsroom, drop=[newest.id])
    assert planned(database, schedule) == [oldest.id, middle.id]
    seen: list[Edits | None] = []

    def render(*given: object) -> Content:
        seen.append(given[4])  # type: ignore[arg-type]
        return render_plainly(*given)  # type: ignore[arg-type]

    digest = build(database, schedule, render=render)
    assert list(got(database, digest).values()) == [[oldest.id, middle.id]]
    assert digest.subject == "The fair opens"
    [edits] = seen
    assert edits is not None
    assert (edits.intro_html, edits.intro_text) == (WORDS.html, WORDS.text)
    assert coming(database, schedule) is None
    # The dropped one is withheld for good, and from every schedule of the newsletter.
    assert planned(database, schedule) == []
    assert build(database, schedule, "2026-11-25T07:00").status is DigestStatus.SKIPPED


def test_another_schedule_s_digest_leaves_them_alone(
    database: Database, keys: Keys, newsroom: Newsroom
) -> None:
    newsletter, schedule, (oldest, middle, newest) = newsroom
    with database.write() as session:
        other = make.schedule(session, newsletter, "weekly", max_articles=2)
        reader = make.reader(session, keys, other, "other@example.com")
    change(database, newsroom, subject="The fair opens", intro=WORDS, lead=oldest.id)
    digest = build(database, other)
    assert got(database, digest) == {reader.subscriber_id: [newest.id, middle.id]}
    assert digest.subject == "The Daily 2026-11-24T07:00"
    assert build(database, schedule).subject == "The fair opens"
    assert build(database, schedule, "2026-11-25T07:00").subject != "The fair opens"


def test_what_is_withdrawn_while_a_digest_is_built_is_not_in_it(
    database: Database, newsroom: Newsroom
) -> None:
    _, schedule, (oldest, middle, newest) = newsroom
    with database.write() as session:
        dead = make.worker(session, WorkerRole.BUILDER, stopped_at=NOW)
        slot_claims.claim_slot(
            session, session.get_one(Schedule, schedule.id), slot_of(schedule),
            builder_id=dead.id, live_builders=lambda _: (), now=NOW,
        )  # fmt: skip
        withdraw_article(session, newest.id, now=NOW)
    with builder(database, NOW) as one:
        digest_id = one.take_over()
    with database.read() as session:
        digest = session.get_one(Digest, digest_id)
    assert list(got(database, digest).values()) == [[middle.id, oldest.id]]


def test_what_is_typed_later_adds_to_what_was_typed(database: Database, newsroom: Newsroom) -> None:
    _, _, (oldest, middle, _) = newsroom
    first = change(database, newsroom, subject="One", lead=oldest.id)
    second = change(database, newsroom, subject="Two", intro=WORDS, drop=[middle.id])
    assert first.id == second.id
    assert (second.subject, second.lead_id) == ("Two", oldest.id)
    with database.read() as session:
        assert dropped(session, second) == [middle.id]


def test_clearing_takes_back_what_was_dropped_with_them(
    database: Database, newsroom: Newsroom
) -> None:
    _, schedule, (oldest, middle, newest) = newsroom
    change(database, newsroom, lead=oldest.id, drop=[newest.id])
    with database.write() as session:
        assert clear(session, session.get_one(Schedule, schedule.id))
        assert not clear(session, session.get_one(Schedule, schedule.id))
    assert planned(database, schedule) == [newest.id, middle.id]


def test_after_the_build_nothing_is_taken_back(database: Database, newsroom: Newsroom) -> None:
    _, schedule, (_, _, newest) = newsroom
    change(database, newsroom, drop=[newest.id])
    build(database, schedule)
    with database.write() as session:
        assert not clear(session, session.get_one(Schedule, schedule.id))
        assert session.scalars(select(DroppedArticle.article_id)).all() == [newest.id]


def test_a_build_that_fails_gives_them_back(database: Database, newsroom: Newsroom) -> None:
    _, schedule, (oldest, _, newest) = newsroom
    change(database, newsroom, subject="One", intro=WORDS, lead=oldest.id, drop=[newest.id])

    def broken(*_: object) -> Content:
        change(database, newsroom, subject="Two")
        raise BadTemplate("digest.html, line 3: no end")

    with pytest.raises(BadTemplate):
        build(database, schedule, render=broken)
    found = coming(database, schedule)
    assert found is not None
    assert (found.subject, found.intro_html, found.lead_id) == ("Two", WORDS.html, oldest.id)
    with database.read() as session:
        assert dropped(session, found) == [newest.id]
        assert len(session.scalars(select(Edits)).all()) == 1


def test_a_digest_that_is_cancelled_while_it_is_built_gives_them_back(
    database: Database, newsroom: Newsroom
) -> None:
    _, schedule, (oldest, _, newest) = newsroom
    change(database, newsroom, subject="One", intro=WORDS, lead=oldest.id, drop=[newest.id])

    def meanwhile(*given: Any) -> Content:
        with database.write() as session:
            [digest_id] = session.scalars(select(Digest.id))
            assert slot_claims.cancel(session, digest_id, now=NOW)
            assert not slot_claims.cancel(session, digest_id, now=NOW)
        return render_plainly(*given)

    build(database, schedule, render=meanwhile)
    found = coming(database, schedule)
    assert found is not None
    assert (found.subject, found.intro_html, found.lead_id) == ("One", WORDS.html, oldest.id)
    following = build(database, schedule, "2026-11-25T07:00")
    assert following.subject == "One"
    # What went out is over: its edits stay with it.
    with database.write() as session:
        assert slot_claims.cancel(session, following.id, now=NOW)
    assert coming(database, schedule) is None


def test_where_nobody_is_due_the_digest_after_gets_them(
    database: Database, newsroom: Newsroom
) -> None:
    _, schedule, articles = newsroom
    change(database, newsroom, subject="One", drop=[one.id for one in articles])
    assert build(database, schedule).status is DigestStatus.SKIPPED
    found = coming(database, schedule)
    assert found is not None
    assert found.subject == "One"


def test_a_lead_that_was_had_leads_for_those_alone_who_have_not(
    database: Database, keys: Keys, newsroom: Newsroom
) -> None:
    _, schedule, (oldest, middle, newest) = newsroom
    with database.write() as session:
        other = make.reader(session, keys, schedule, "other@example.com")
        before = make.digest(session, schedule, due_at=NOW - DAY)
        make.delivery(session, make.edition(session, before, [oldest]), other)
        other.first_digest_id = before.id
    change(database, newsroom, lead=oldest.id)
    digest = build(database, schedule)
    assert got(database, digest)[other.subscriber_id] == [newest.id, middle.id]
    assert sorted(got(database, digest).values()) == sorted(
        [[oldest.id, newest.id], [newest.id, middle.id]]
    )


def test_what_cannot_be_done_is_refused(database: Database, newsroom: Newsroom) -> None:
    newsletter, _, (oldest, *_) = newsroom
    with database.write() as session:
        elsewhere = make.article(session, make.newsletter(session, "other"))
        old = make.article(session, newsletter, published_at=NOW - 99 * DAY)
        gone = make.article(session, newsletter, withdrawn_at=NOW)
    for lead, error in (
        (elsewhere.id, NotFound),
        (99999, NotFound),
        (old.id, Refused),
        (gone.id, Refused),
    ):
        with pytest.raises(error, match="mailer"):
            change(database, newsroom, lead=lead)
    with pytest.raises(NotFound):
        change(database, newsroom, drop=[elsewhere.id])
    with pytest.raises(Refused, match="cannot lead and be dropped"):
        change(database, newsroom, lead=oldest.id, drop=[oldest.id])
    with pytest.raises(Refused, match="subject"):
        change(database, newsroom, subject=" ")
    with pytest.raises(Refused, match="shorten"):
        change(database, newsroom, intro=Intro("x" * (edits.LONGEST_INTRO + 1), "x"))
    assert coming(database, newsroom[1]) is None


def test_an_article_that_is_dropped_leads_no_more(database: Database, newsroom: Newsroom) -> None:
    _, schedule, (oldest, middle, newest) = newsroom
    change(database, newsroom, lead=oldest.id)
    assert change(database, newsroom, drop=[oldest.id]).lead_id is None
    assert planned(database, schedule) == [newest.id, middle.id]
