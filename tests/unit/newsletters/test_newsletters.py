"""Newsletters: what is valid, what stays for ever, and what an edit leaves alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.db import Database
from mailer.errors import AlreadyExists, BadAddress, BadMessage, MailerError, NotFound, Refused
from mailer.newsletters import newsletters
from mailer.newsletters.profile import NewsletterChanges, Profile, changed_profile
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW

GOOD = NewsletterChanges(
    title="The Daily",
    sender="The Daily <daily@news.example>",
    postal_address="1 Sample Street\n 12345  Sampletown \n",
)


def test_what_is_not_asked_for_has_a_default() -> None:
    assert changed_profile(GOOD) == Profile(
        title="The Daily",
        language="en",
        from_name="The Daily",
        from_address="daily@news.example",
        reply_to=None,
        postal_address="1 Sample Street\n12345 Sampletown",
        logo_url=None,
        color="#14507a",
        closed=False,
    )


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        (NewsletterChanges(title=""), "title"),
        (NewsletterChanges(title="two\nlines"), "title"),
        (NewsletterChanges(title="x" * 201), "title"),
        (NewsletterChanges(sender="daily@news.example"), "--from"),
        (NewsletterChanges(sender="<daily@news.example>"), "--from"),
        (NewsletterChanges(sender='"" <daily@news.example>'), "--from"),
        (NewsletterChanges(sender="The Daily <daily>"), "@-sign"),
        (NewsletterChanges(sender="A <a@b.example>, B <b@c.example>"), "--from"),
        (NewsletterChanges(sender="The\r\nBcc: x <daily@news.example>"), "name"),
        (NewsletterChanges(sender="The Daily 🗞 <daily@news.example>"), "pictograph"),
        (NewsletterChanges(sender="The Daily <день@news.example>"), "SMTPUTF8"),
        (NewsletterChanges(reply_to="nobody"), "@-sign"),
        (NewsletterChanges(postal_address="  "), "postal address"),
        (NewsletterChanges(postal_address="a\x00b"), "postal address"),
        (NewsletterChanges(logo_url="http://news.example/logo.png"), "https"),
        (NewsletterChanges(logo_url="https://user@news.example/logo.png"), "https"),
        (NewsletterChanges(logo_url='https://news.example/"onload=x'), "https"),
        (NewsletterChanges(logo_url="https:///logo.png"), "https"),
        (NewsletterChanges(color="red"), "#"),
        (NewsletterChanges(color="#12345"), "#"),
    ],
)
def test_what_is_not_valid_is_refused(wishes: NewsletterChanges, told: str) -> None:
    with pytest.raises((Refused, BadAddress, BadMessage), match=told):
        changed_profile(wishes, changed_profile(GOOD))


@pytest.mark.parametrize("missing", ["title", "sender", "postal_address"])
def test_what_the_law_wants_may_not_be_missing(missing: str) -> None:
    with pytest.raises(Refused, match="needs a title"):
        changed_profile(replace(GOOD, **{missing: None}))


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_is_typed_is_one_line_or_refused(title: str, sender: str) -> None:
    try:
        found = changed_profile(replace(GOOD, title=title, sender=f"{sender} <daily@news.example>"))
    except MailerError:
        return
    assert found.title.isprintable()
    assert found.from_name.isprintable()
    assert found.title
    assert found.from_name


def test_an_edit_changes_what_it_names_and_nothing_else() -> None:
    before = changed_profile(
        replace(GOOD, reply_to="desk@news.example", logo_url="https://news.example/l")
    )
    assert changed_profile(NewsletterChanges(), before) == before
    after = changed_profile(
        NewsletterChanges(reply_to="", logo_url="", closed=True, color="#ABCDEF"), before
    )
    assert after == replace(before, reply_to=None, logo_url=None, closed=True, color="#abcdef")


@pytest.mark.parametrize("slug", ["daily", "daily-news-2", "2", "a" * 48])
def test_a_good_slug(sqlite_database: Database, slug: str) -> None:
    with sqlite_database.write() as session:
        found = newsletters.add(session, slug, changed_profile(GOOD), now=NOW)
        assert (found.slug, found.list_id) == (slug, f"{slug}.news.example")


@pytest.mark.parametrize(
    "slug", ["", "Daily", "daily news", "-daily", "daily-", "da--ily", "däily", "a" * 49, "../x"]
)
def test_a_bad_slug(sqlite_database: Database, slug: str) -> None:
    with pytest.raises(Refused, match="web addresses"), sqlite_database.write() as session:
        newsletters.add(session, slug, changed_profile(GOOD), now=NOW)


def test_a_slug_is_taken_once(database: Database) -> None:
    with database.write() as session:
        newsletters.add(session, "daily", changed_profile(GOOD), now=NOW)
    with pytest.raises(AlreadyExists, match="edit daily"), database.write() as session:
        newsletters.add(session, "daily", changed_profile(GOOD), now=NOW)


def test_an_international_domain_makes_an_ascii_list_id(sqlite_database: Database) -> None:
    wishes = replace(GOOD, sender="Die Zeitung <post@bücher.example>")
    with sqlite_database.write() as session:
        found = newsletters.add(session, "daily", changed_profile(wishes), now=NOW)
        assert found.list_id == "daily.xn--bcher-kva.example"


def test_the_list_id_stays_when_the_sender_changes(database: Database) -> None:
    with database.write() as session:
        newsletters.add(session, "daily", changed_profile(GOOD), now=NOW)
    with database.write() as session:
        found = newsletters.find(session, "daily")
        wishes = NewsletterChanges(sender="Another <another@other.example>")
        newsletters.change(session, found, changed_profile(wishes, newsletters.profile_of(found)))
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
