"""Editions that would be longer than mail programs show: fewer articles, and the rest waits."""

from collections.abc import Collection, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.digests.build.editions import Render, render_editions
from mailer.digests.build.render import MAX_HTML_BYTES, edition_renderer
from mailer.digests.schedules.calendar import Slot
from mailer.digests.selection.plan import plan_digest
from mailer.errors import MessageTooLong
from mailer.message.content import Content
from mailer.models import Article, Digest, Edition, Edits, Newsletter, Schedule
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.integration.digests.builders import builder, render_plainly
from tests.integration.digests.test_builder import got, slot_of
from tests.support import factories as make
from tests.support.factories import NOW

RENDER = edition_renderer(
    Templates(), base_url="https://news.example", publisher=None, privacy_url=None, random=bytes
)


def newsroom(database: Database, keys: Keys, *lengths: int) -> tuple[Schedule, list[Article], int]:
    """A daily with one reader and articles of these lengths of address, the newest first."""
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter)
        articles = [
            make.article(
                session,
                newsletter,
                url=f"https://news.example/{number}/".ljust(length, "0"),
                image_url=f"https://news.example/{number}.jpg?".ljust(length, "0"),
                published_at=NOW - timedelta(hours=number),
            )
            for number, length in enumerate(lengths, 1)
        ]
        return schedule, articles, make.reader(session, keys, schedule).subscriber_id


def test_what_has_no_room_comes_next(database: Database, keys: Keys) -> None:
    schedule, articles, reader = newsroom(database, keys, *[1990] * 20)
    expected = [one.id for one in articles]
    for name in ("2026-11-24T07:00", "2026-11-25T07:00"):
        with database.read() as session:
            plan, [(cohort, content)] = render_editions(
                plan_digest(session, schedule, slot_of(schedule, name)),
                session.get_one(Newsletter, schedule.newsletter_id),
                RENDER,
            )
        with builder(database, NOW + timedelta(hours=1), render=RENDER) as one:
            digest_id = one.build(schedule.id, slot_of(schedule, name))
        with database.read() as session:
            mailed = got(database, session.get_one(Digest, digest_id))[reader]
            html = session.scalars(select(Edition.html).where(Edition.digest_id == digest_id)).one()
        assert mailed == list(cohort.articles) == expected[: len(mailed)]
        assert len(html.encode()) <= MAX_HTML_BYTES
        assert html.split("<body")[1] == content.html.split("<body")[1]
        expected = expected[len(mailed) :]
        assert plan.choice.carried_over == set(expected)
        assert (plan.choice.room is None) == (not expected)
    assert expected == []


def weighing(limit: int) -> Render:
    """Renders like the tests' renderer, and no list whose articles have more letters than this."""

    def render(
        newsletter: Newsletter,
        slot: Slot,
        articles: Sequence[Article],
        more: int,
        edits: Edits | None,
        headlines: Collection[int],
    ) -> Content:
        weight = sum(5 if one.id in headlines else len(one.url) for one in articles)
        if weight > limit:
            raise MessageTooLong
        return render_plainly(newsletter, slot, articles, more, edits)

    return render


@pytest.mark.parametrize(
    ("lengths", "limit", "kept"),
    [
        ([50, 50, 50], 150, 3),
        ([50, 50, 50], 149, 2),
        # One that is too long for a mail by itself is a headline, wherever it stands.
        ([50, 500, 50], 110, 3),
        ([500, 50, 50], 104, 2),
        ([500, 500, 500], 14, 2),
    ],
)
def test_as_many_are_kept_as_have_room(
    sqlite_database: Database, keys: Keys, lengths: list[int], limit: int, kept: int
) -> None:
    schedule, articles, _ = newsroom(sqlite_database, keys, *lengths)
    with sqlite_database.read() as session:
        plan, [(cohort, content)] = render_editions(
            plan_digest(session, schedule, slot_of(schedule)),
            session.get_one(Newsletter, schedule.newsletter_id),
            weighing(limit),
        )
    ids = [one.id for one in articles]
    assert list(cohort.articles) == ids[:kept]
    assert plan.choice.carried_over == set(ids[kept:])
    assert f"and {3 - kept} more" in content.text


def test_where_not_even_a_headline_has_room_it_is_said(
    sqlite_database: Database, keys: Keys
) -> None:
    schedule, _, _ = newsroom(sqlite_database, keys, 50)
    with builder(sqlite_database, NOW, render=weighing(1)) as one, pytest.raises(MessageTooLong):
        one.build(schedule.id, slot_of(schedule))
