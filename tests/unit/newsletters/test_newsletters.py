"""Newsletters: their slugs, what stays for ever, and what belongs to them."""

from dataclasses import replace

import pytest

from mailer.db import Database
from mailer.errors import AlreadyExists, NotFound, Refused
from mailer.newsletters import newsletters
from mailer.newsletters.profile import Profile
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW

PROFILE = Profile(
    title="The Daily",
    from_name="The Daily",
    from_address="daily@news.example",
    postal_address="1 Sample Street",
)


@pytest.mark.parametrize("slug", ["daily", "daily-news-2", "2", "a" * 48])
def test_a_good_slug(sqlite_database: Database, slug: str) -> None:
    with sqlite_database.write() as session:
        found = newsletters.add(session, slug, PROFILE, now=NOW)
        assert (found.slug, found.list_id) == (slug, f"{slug}.news.example")


@pytest.mark.parametrize(
    "slug", ["", "Daily", "daily news", "-daily", "daily-", "da--ily", "däily", "a" * 49, "../x"]
)
def test_a_bad_slug(sqlite_database: Database, slug: str) -> None:
    with pytest.raises(Refused, match="web addresses"), sqlite_database.write() as session:
        newsletters.add(session, slug, PROFILE, now=NOW)


def test_a_slug_is_taken_once(database: Database) -> None:
    with database.write() as session:
        newsletters.add(session, "daily", PROFILE, now=NOW)
    with pytest.raises(AlreadyExists, match="edit daily"), database.write() as session:
        newsletters.add(session, "daily", PROFILE, now=NOW)


def test_an_international_domain_makes_an_ascii_list_id(sqlite_database: Database) -> None:
    profile = replace(PROFILE, from_address="post@bücher.example")
    with sqlite_database.write() as session:
        found = newsletters.add(session, "daily", profile, now=NOW)
        assert found.list_id == "daily.xn--bcher-kva.example"


def test_the_list_id_stays_when_the_sender_changes(database: Database) -> None:
    with database.write() as session:
        newsletters.add(session, "daily", PROFILE, now=NOW)
    with database.write() as session:
        found = newsletters.find(session, "daily")
        profile = newsletters.profile_of(found)
        newsletters.change(session, found, replace(profile, from_address="another@other.example"))
    with database.read() as session:
        found = newsletters.find(session, "daily")
        assert (found.from_address, found.list_id) == (
            "another@other.example",
            "daily.news.example",
        )
        assert found.title == "The Daily"


def test_an_overview_counts_what_belongs_to_it(database: Database, keys: Keys) -> None:
    with database.write() as session:
        daily = factories.newsletter(session, "daily")
        morning = factories.schedule(session, daily, "morning")
        factories.schedule(session, daily, "evening")
        factories.schedule(session, daily, "gone", removed_at=NOW)
        feed = factories.feed(session, daily)
        factories.reader(session, keys, morning)
        factories.reader(session, keys, morning, "left@example.com", left_at=NOW)
        factories.newsletter(session, "weekly")
        url = feed.url
    with database.read() as session:
        daily_view, weekly_view = newsletters.overviews(session)
        assert newsletters.overviews(session, "weekly") == [weekly_view]
    assert daily_view.schedules == ["evening", "morning"]
    assert daily_view.default_schedule == "morning"
    assert daily_view.feeds == [url]
    assert daily_view.subscriptions == 1
    assert (weekly_view.schedules, weekly_view.default_schedule) == ([], None)


def test_a_newsletter_that_is_not_there(database: Database) -> None:
    with pytest.raises(NotFound, match="newsletter list"), database.read() as session:
        newsletters.overviews(session, "nothing")
