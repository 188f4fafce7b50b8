"""What fetches do to the tables. The network is played by a function; the database is real."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mailer.errors import AlreadyExists, FeedError, FeedUnreadable, NotFound, Refused, SeveralFeeds
from mailer.feeds import articles, fetch_state, newsletter_feeds
from mailer.feeds.http.fetch import Fetched, FetchRequest
from mailer.models import Article, ArticleCategory, DeliveryStatus, Feed, FeedGuid, ImageSource
from mailer.scheduler.feed_polling import stale_feeds
from mailer.tokens import Keys
from tests.integration.feeds.web import INTERVAL, NOW, URL, Web, due, item
from tests.support import factories
from tests.support.statements import statements


def test_the_first_fetch_is_backlog_and_what_comes_later_is_due(web: Web) -> None:
    added = web.start(item("one"))
    assert (added.fetched, added.articles) == (True, 1)
    result = web.poll(item("two"), item("one"))
    assert (result.new, result.updated, result.unchanged, result.error) == (1, 0, 1, None)
    with web.database.read() as session:
        assert web.due(backlog=True) == ["one"]
        assert web.due() == ["two"]
        feed = session.scalars(select(Feed)).one()
        assert (feed.title, feed.etag, feed.first_fetched_at) == ("News", '"1"', NOW)
        assert feed.next_fetch_at == NOW + INTERVAL


def test_ids_follow_the_dates_and_the_order_where_there_are_none(web: Web) -> None:
    web.start(
        item("undated-b", at=None),
        item("undated-a", at=None),
        item("new"),
        item("ancient", at=datetime(1970, 1, 1, tzinfo=UTC)),
        item("old", at=NOW - timedelta(days=3)),
        item("middle", at=NOW - timedelta(days=2)),
    )
    with web.database.read() as session:
        assert web.titles() == ["old", "middle", "new", "ancient", "undated-a", "undated-b"]
        dates = session.scalars(select(Article.published_at).order_by(Article.id)).all()
    # What has no credible date has the one of its arrival.
    assert dates[3:] == [NOW, NOW, NOW]


def test_a_feed_that_cannot_be_fetched_first_is_not_stored(web: Web) -> None:
    with pytest.raises(FeedError):
        web.add()
    web.pages[URL] = b"<html></html>"
    with pytest.raises(FeedUnreadable):
        web.add()
    with pytest.raises(Refused, match="not an http or https address"):
        web.add("news.example/feed")
    with pytest.raises(Refused, match="must not hold a password"):
        web.add("https://desk:secret@news.example/feed")
    with web.database.read() as session:
        assert session.scalars(select(Feed)).all() == []
        assert session.scalars(select(Article)).all() == []


def page(*feeds: str) -> bytes:
    links = (f'<link rel="alternate" type="application/rss+xml" href="{feed}">' for feed in feeds)
    return f"<html><head>{''.join(links)}</head></html>".encode()


def test_a_sites_front_page_finds_its_feed(web: Web) -> None:
    front = "https://news.example/"
    web.pages[front] = page("/feed", "/comments/feed/")
    web.publish(item("one"))
    added = web.add(front, allow_private=True)
    assert (added.url, added.page, added.articles, added.fetched) == (URL, front, 1, True)
    assert web.asked[-1] == FetchRequest(URL, allow_private=True)
    added = web.add(front, to=web.weekly)
    assert (added.url, added.page, added.articles, added.fetched) == (URL, front, 0, False)
    (listed,) = web.listed()
    assert [one.slug for one in listed.newsletters] == ["daily", "weekly"]
    assert listed.allow_private


def test_a_front_page_that_leaves_a_choice_or_leads_nowhere_adds_nothing(web: Web) -> None:
    front = "https://news.example/"
    web.pages[front] = page("/feed", "/feed;id/")
    with pytest.raises(SeveralFeeds, match=r"'https://news\.example/feed;id/'") as several:
        web.add(front)
    assert several.value.feeds == (URL, "https://news.example/feed;id/")
    web.pages[front] = page("https://intranet.example/feed")
    with pytest.raises(
        FeedError, match=r"names https://intranet\.example/feed as its feed, but there"
    ):
        web.add(front, allow_private=True)
    # That was said of the page's host.
    assert web.asked[-1] == FetchRequest("https://intranet.example/feed", allow_private=False)
    assert web.listed() == []


def test_the_name_of_the_feed_is_nobodys(web: Web) -> None:
    web.publish(*(item(name, author=name) for name in ("NEWS", "Ada")), title="News")
    web.add()
    with web.database.read() as session:
        assert set(session.scalars(select(Article.author))) == {None, "Ada"}


def test_another_newsletter_gets_what_is_there_as_backlog(web: Web) -> None:
    web.start(item("one"))
    web.poll(item("two"), item("one"))
    asked = len(web.asked)
    assert web.add(to=web.weekly).fetched is False
    assert len(web.asked) == asked
    web.poll(item("three"))
    assert web.due() == ["two", "three"]
    assert web.due(web.weekly, backlog=True) == ["one", "two"]
    assert web.due(web.weekly) == ["three"]
    with pytest.raises(AlreadyExists, match="feed remove"):
        web.add(to=web.weekly)


def test_categories_choose_and_a_new_one_brings_backlog(web: Web) -> None:
    web.publish(item("goal", categories=["Sport"]), item("vote", categories=["Politics", "Town"]))
    web.add(categories=["Sport"])
    web.poll(
        item("match", categories=["Town", "Sport"]), item("law", categories=["Politics"]), item("x")
    )
    assert web.due(backlog=True) == ["goal"]
    assert web.due() == ["match"]
    web.add(categories=["Politics"])
    web.poll(item("budget", categories=["Politics"]), item("y", categories=["Town"]))
    with web.database.read() as session:
        assert web.due(backlog=True) == ["vote", "goal", "law"]
        assert web.due() == ["match", "budget"]
        feed = web.feed()
        assert newsletter_feeds.unknown_categories(session, feed, ["Sport", "sprot"]) == (
            ["sprot"],
            ["Politics", "Sport", "Town"],
        )
    # Without any, it takes them all from now on.
    web.add()
    web.poll(item("z"))
    assert set(web.due(backlog=True)) == {"goal", "vote", "x", "law", "y"}
    assert web.due() == ["match", "budget", "z"]
    (listed,) = web.listed()
    assert listed.newsletters == (newsletter_feeds.AttachedNewsletter("daily", ()),)


def test_a_category_that_comes_later_is_added_and_makes_it_due(web: Web) -> None:
    web.publish(item("one", categories=["Town"]))
    web.add(categories=["Sport"])
    web.poll(item("one", categories=["Sport"]))
    with web.database.read() as session:
        assert web.due() == ["one"]
        assert set(session.scalars(select(ArticleCategory.category))) == {"Sport", "Town"}


@pytest.mark.parametrize(
    "after",
    [
        item("one", title="One, corrected"),
        item("one", guid="other"),
        item("one-slug-changed", guid="g-one", title="one"),
        item("one", host="http://www.news.example"),
        item("one", host="https://moved.example"),
        item("one?utm_source=feed", guid="x", title="one"),
        item("one", at=NOW),
    ],
)
def test_a_changed_article_stays_the_same_article(web: Web, after: str) -> None:
    web.start(item("one"))
    result = web.poll(after)
    assert result.new == 0
    (again,) = web.refresh()
    assert (again.new, again.updated, again.unchanged) == (0, 0, 1)
    assert len(web.titles()) == 1


def test_a_guid_that_is_used_again_is_a_new_article(web: Web) -> None:
    web.start(item("monday", guid="g", at=NOW - timedelta(days=1)))
    assert web.poll(item("tuesday", guid="g")).new == 1
    assert web.refresh()[0].new == 0
    with web.database.read() as session:
        assert web.due() == ["tuesday"]
        known = session.scalars(select(FeedGuid)).one()
        assert known.guid == "g"
        assert session.get_one(Article, known.article_id).title == "tuesday"


def test_an_address_that_was_left_is_free_for_a_new_article(web: Web) -> None:
    web.start(item("weather", guid="m", title="Monday's weather"))
    web.poll(
        item("weather", guid="t", title="Tuesday's weather", at=NOW),
        item("weather-monday", guid="m", title="Monday's weather"),
    )
    web.refresh()
    with web.database.read() as session:
        assert web.titles() == ["Monday's weather", "Tuesday's weather"]
        assert web.due() == ["Tuesday's weather"]
        assert session.scalars(select(Article.url).order_by(Article.id)).all() == [
            "https://news.example/weather-monday",
            "https://news.example/weather",
        ]


def test_one_guid_on_all_entries_loses_none(web: Web) -> None:
    web.start(*(item(name, guid="same") for name in ("c", "b", "a")))
    assert web.refresh()[0].unchanged == 3
    assert sorted(web.titles()) == ["a", "b", "c"]


def test_edits_are_taken_over_until_an_edition_holds_the_article(web: Web) -> None:
    web.start(item("one"))
    later = NOW + timedelta(hours=1)
    web.now = later
    assert web.poll(item("one", title="One, corrected", text="More", at=NOW)).updated == 1
    with web.database.write() as session:
        article = session.scalars(select(Article)).one()
        assert (article.title, article.summary_html) == ("One, corrected", "More")
        assert (article.published_at, article.updated_at) == (NOW, later)
        assert article.first_seen_at == NOW
        schedule = factories.schedule(session, web.daily)
        factories.edition(session, factories.digest(session, schedule), [article])
    web.poll(item("one-moved", guid="g-one", title="One, corrected", text="Still more", at=NOW))
    with web.database.read() as session:
        article = session.scalars(select(Article)).one()
        assert article.summary_html == "More"
        assert article.url == "https://news.example/one"
        # Its address is still followed: it must not come as news from another feed.
        assert article.canonical_url == "https://news.example/one-moved"


def test_the_same_article_in_two_feeds_is_stored_once_and_the_first_feed_words_it(web: Web) -> None:
    sport = "https://news.example/sport/feed"
    web.publish(item("one", text="The whole", categories=["A"]))
    web.publish(item("one", guid="x", text="Part", categories=["B"]), url=sport)
    web.add()
    web.now = NOW + timedelta(minutes=1)
    assert web.add(sport, to=web.weekly).articles == 0
    results = web.refresh(URL, sport)
    assert [(one.new, one.updated) for one in results] == [(0, 0), (0, 0)]
    with web.database.read() as session:
        article = session.scalars(select(Article)).one()
        assert article.summary_html == "The whole"
        assert set(session.scalars(select(ArticleCategory.category))) == {"A", "B"}
        assert web.due(web.weekly, backlog=True) == ["one"]
        assert len(session.scalars(select(FeedGuid)).all()) == 2


def test_what_has_no_title_is_known_by_its_first_words(web: Web) -> None:
    web.start(item("one", title="", text="&lt;p&gt;" + "A lake. " * 30 + "&lt;/p&gt;"))
    assert web.refresh()[0].unchanged == 1
    (title,) = web.titles()
    assert title.startswith("A lake. A lake.")
    assert title.endswith(" …")
    assert len(title) < 85


def test_images_can_be_left_out(web: Web) -> None:
    picture = "&lt;img src='https://news.example/a.png'&gt;"
    web.publish(item("one", text=picture))
    web.add(images=ImageSource.NONE)
    with web.database.read() as session:
        assert session.scalars(select(Article.image_url)).one() is None
        (listed,) = web.listed()
        assert listed.images is ImageSource.NONE


def test_validators_are_sent_back_but_for_an_unconditional_fetch(web: Web) -> None:
    web.start(item("one"))
    assert (web.asked[-1].etag, web.asked[-1].last_modified) == (None, None)
    web.etag = '"2"'
    web.refresh()
    assert (web.asked[-1].etag, web.asked[-1].last_modified) == ('"1"', "Mon, 23 Nov 2026")
    web.refresh(unconditional=True)
    assert (web.asked[-1].etag, web.asked[-1].last_modified) == (None, None)
    web.pages[URL] = None
    (result,) = web.refresh()
    assert web.asked[-1].etag == '"2"'
    assert result.not_modified
    feed = web.feed()
    assert (feed.etag, feed.failures, web.titles()) == ('"2"', 0, ["one"])


def test_half_a_document_gives_its_half_but_no_validators(web: Web) -> None:
    web.start(item("one"))
    web.publish(item("three"), item("two"), item("one"))
    whole = web.pages[URL]
    assert isinstance(whole, bytes)
    web.etag = '"good"'
    web.pages[URL] = whole[: whole.index(b"/two") + 2]
    (result,) = web.refresh()
    assert result.new == 1
    assert any("ends inside" in text for text in result.warnings)
    assert web.feed().etag is None
    web.pages[URL] = whole
    assert web.refresh()[0].new == 1
    assert web.due() == ["three", "two"]


@pytest.mark.parametrize(
    "page",
    [
        FeedError("news.example answered 503"),
        FeedError("\x1b]0;PWNED\a\x1b[2J\0\u202e" + "x" * 1000),
        ZeroDivisionError("a defect of ours"),
        b"",
        b"<html>Log in</html>",
        b"Error establishing",
    ],
)
def test_a_failing_feed_keeps_what_it_has_and_is_asked_less_often(
    web: Web, page: bytes | Exception
) -> None:
    web.start(item("one"))
    web.pages[URL] = page
    for number in range(1, 4):
        web.now = NOW + timedelta(hours=number)
        (result,) = web.refresh()
        assert result.error
        feed = web.feed()
        assert (feed.failures, feed.error) == (number, result.error)
        assert result.error.isprintable()
        assert len(result.error) <= 500
        assert feed.failing_since == NOW + timedelta(hours=1)
        assert feed.next_fetch_at == web.now + fetch_state.pause_after(number, INTERVAL)
        assert (feed.etag, feed.last_success_at) == ('"1"', NOW)
        assert web.titles() == ["one"]
    assert web.poll(item("two"), item("one")).new == 1
    feed = web.feed()
    assert (feed.failures, feed.error, feed.failing_since) == (0, None, None)
    assert web.due() == ["two"]


def test_many_feeds_at_once_with_one_article_in_all_of_them(web: Web) -> None:
    urls = [f"https://news.example/feed-{number}" for number in range(8)]
    for url in urls:
        web.publish(url=url)
        web.add(url)
        web.publish(item("shared"), item("own-" + url[-1]), url=url)
    web.pages[urls[3]] = ZeroDivisionError("a defect of ours")
    web.pages[urls[5]] = b"<rss><a " + b"x" * 4_900_000
    results = web.refresh(*urls)
    assert [result.url for result in results] == urls
    failed = [result.url for result in results if result.error is not None]
    assert failed == [urls[3], urls[5]]
    assert "more than 400 MB of memory" in str(results[5].error)
    assert sum(result.new for result in results) == 7
    assert web.titles().count("shared") == 1
    assert len(web.due()) == 7


@pytest.mark.parametrize(
    "changes", [{}, {"text": "New"}, {"categories": ["Town", "Sport"]}, {"at": NOW}]
)
def test_a_refresh_asks_for_each_thing_once(web: Web, changes: dict[str, Any]) -> None:
    def page(count: int, **more: Any) -> list[str]:
        return [item(f"n{number}", **({"categories": ["Town"]} | more)) for number in range(count)]

    web.start(*page(40))
    ids = [web.feed().id]
    web.now += INTERVAL
    # Some are new, so many that the site could have moved.
    web.publish(*page(50 if changes else 40, **changes))
    with statements(web.database) as seen:
        (result,) = web.fetch(ids)
    assert (result.new, result.updated + result.unchanged) == (10 if changes else 0, 40)
    asked = Counter(one for one in seen if one.startswith("SELECT") and "pg_advisory" not in one)
    # The feed's own row is read before the fetch, and once more when its results are written.
    assert {times for one, times in asked.items() if " feed.url" not in one} == {1}
    assert sum(asked.values()) <= (7 if changes else 5)
    assert sum("pg_advisory" in one for one in seen) == (0 if web.database.is_sqlite else 1)


def test_an_unchanged_feed_costs_two_look_ups_of_its_row_and_an_update(web: Web) -> None:
    web.start(item("one"))
    ids = [web.feed().id]
    web.now += INTERVAL
    web.pages[URL] = None
    with statements(web.database) as seen:
        web.fetch(ids)
    verbs = [one.split()[0] for one in seen]
    assert [verb for verb in verbs if verb not in {"BEGIN", "SET"}] == [
        "SELECT",
        "SELECT",
        "UPDATE",
    ]


def test_a_large_feed_and_its_update(web: Web) -> None:
    web.publish(*(item(f"n{number}", categories=["A"]) for number in range(1200)))
    assert web.add().articles == 1200
    assert web.poll(*(item(f"n{number}", text="New") for number in range(1200))).updated == 1200


def test_due_feeds_and_the_feeds_of_a_schedule(web: Web) -> None:
    other = "https://news.example/other"
    web.publish()
    web.publish(url=other)
    web.add()
    web.now = NOW + timedelta(minutes=5)
    web.add(other, to=web.weekly)
    with web.database.write() as session:
        first, second = (
            newsletter_feeds.find(session, URL).id,
            newsletter_feeds.find(session, other).id,
        )
        schedule = factories.schedule(session, web.weekly)
        assert stale_feeds(session, schedule.id, NOW + INTERVAL, NOW + INTERVAL) == [second]
        assert newsletter_feeds.due_feeds(session, NOW + timedelta(minutes=14)) == []
        assert newsletter_feeds.due_feeds(session, NOW + timedelta(minutes=15)) == [first]
        assert newsletter_feeds.due_feeds(session, NOW + timedelta(hours=1)) == [first, second]


def test_a_feed_that_was_removed_while_it_was_fetched(web: Web) -> None:
    web.start(item("one"))
    feed_id = web.feed().id

    def fetch(wanted: FetchRequest) -> Fetched:
        with web.database.write() as session:
            newsletter_feeds.remove(session, newsletter_feeds.find(session, URL))
        return web(wanted)

    for _ in range(2):
        (result,) = web.fetch([feed_id], unconditional=True, fetch=fetch)
        assert result.error == "the feed was removed"
    assert web.fetch([], fetch=fetch) == []


def test_removing_takes_articles_back_unless_another_feed_gives_them(web: Web) -> None:
    other = "https://news.example/other"
    web.publish(item("shared"), item("own"))
    web.publish(item("shared"), url=other)
    for newsletter in (web.daily, web.weekly):
        web.add(to=newsletter)
    web.add(other)
    web.detach(web.daily)
    assert web.due(backlog=True) == ["shared"]
    assert sorted(web.due(web.weekly, backlog=True)) == ["own", "shared"]
    with web.database.write() as session:
        with pytest.raises(NotFound, match="takes no articles"):
            newsletter_feeds.detach(session, newsletter_feeds.find(session, URL), web.daily)
        newsletter_feeds.remove(session, newsletter_feeds.find(session, URL))
    with web.database.read() as session:
        assert web.due(web.weekly, backlog=True) == []
        assert [one.url for one in web.listed()] == [other]
        assert sorted(web.titles()) == ["own", "shared"]
        with pytest.raises(NotFound, match=r"there are https://news\.example/other"):
            newsletter_feeds.find(session, URL)
    # Back again it brings the same articles, not new ones.
    web.add(to=web.weekly)
    assert sorted(web.titles()) == ["own", "shared"]
    assert sorted(web.due(web.weekly, backlog=True)) == ["own", "shared"]


def test_detaching_the_last_newsletter_removes_the_feed(web: Web) -> None:
    web.start(item("one"))
    web.detach(web.daily)
    with web.database.read() as session:
        assert web.listed() == []
        with pytest.raises(NotFound, match="there is none yet"):
            newsletter_feeds.find(session, URL)


def test_an_article_by_staff_is_due_and_a_feed_does_not_reword_it(web: Web) -> None:
    article_id, is_new = web.put_in(
        url="http://www.news.example/one?utm_source=x",
        title=" By  staff ",
        summary="<p onclick=x>Ours</p>",
    )
    assert is_new
    web.now = NOW + timedelta(hours=1)
    web.publish(item("one"))
    assert web.add().articles == 0
    with web.database.write() as session:
        article = session.get_one(Article, article_id)
        assert (article.title, article.summary_html) == ("By staff", "<p>Ours</p>")
        assert article.published_at == NOW
        assert due(session, web.daily) == ["By staff"]
        with pytest.raises(AlreadyExists):
            articles.add_article(
                session, session.merge(web.daily), url=article.url, title="Again", now=NOW
            )


def test_staff_can_make_backlog_due(web: Web) -> None:
    web.start(item("one"))
    _, is_new = web.put_in(url="https://news.example/one", title="X")
    assert not is_new
    assert web.due() == ["one"]


@pytest.mark.parametrize(
    ("url", "title"), [("news.example", "T"), ("javascript:x", "T"), ("https://a.example/", " ")]
)
def test_bad_articles_are_refused(web: Web, url: str, title: str) -> None:
    with pytest.raises(Refused):
        web.put_in(url=url, title=title)


@pytest.mark.parametrize("status", list(DeliveryStatus))
def test_unsent_articles_are_those_nobody_has_had(
    web: Web, keys: Keys, status: DeliveryStatus
) -> None:
    with web.database.write() as session:
        sent = factories.article(session, web.daily, title="sent")
        factories.article(session, web.daily, web.weekly, title="waiting", backlog=True)
        schedule = factories.schedule(session, web.daily)
        digest = factories.digest(session, schedule)
        edition = factories.edition(session, digest, [sent])
        subscription = factories.reader(session, keys, schedule)
        factories.delivery(session, edition, subscription, status=status)
        gave_back = status in {"failed", "skipped", "cancelled"}
        found = articles.list_articles(session, unsent=True)
        assert [one.title for one in found] == ["waiting", "sent"][: 2 if gave_back else 1]
        assert found[0].newsletters == ("daily", "weekly")
        assert found[0].backlog == ("daily", "weekly")
        assert [one.title for one in articles.list_articles(session)] == ["waiting", "sent"]
        only = articles.list_articles(session, newsletter=web.weekly)
        assert [one.title for one in only] == ["waiting"]


def test_one_feed_refreshed_by_several_at_once_brings_each_article_once(web: Web) -> None:
    web.start()
    web.publish(*(item(f"n{number}") for number in range(50)))
    results = web.refresh(URL, URL, URL, URL)
    assert sorted(result.new for result in results) == [0, 0, 0, 50]
    assert len(web.due()) == 50
