"""A moved site is not news: what looks new but is known waits for staff, and nothing is lost meanwhile."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from mailer.address import parse
from mailer.errors import Refused
from mailer.models import Article, FeedGuid, HeldItem, Notice
from mailer.notices.alert import Alerts
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.integration.feeds.web import NOW, URL, Web, item
from tests.support.sample_mails import always

MOVED = "https://moved.example"


def old(number: int, **more: Any) -> str:
    return item(f"piece-{number}", at=NOW - timedelta(hours=number), **more)


def elsewhere(number: int, **more: Any) -> str:
    """The same article after its site has moved: another host, another path, another guid."""
    return item(
        f"p/{number}",
        guid=f"{MOVED}/?p={number}",
        title=more.pop("title", f"piece-{number}"),
        at=NOW - timedelta(hours=number),
        host=MOVED,
        **more,
    )


def start(web: Web) -> None:
    web.start(*(old(n) for n in range(8)))
    web.pages_asked()


def test_a_moved_site_waits_and_is_told_of_once(web: Web, keys: Keys) -> None:
    alerts = Alerts(Templates(), keys, (parse("desk@news.example"),), None, always("a"))
    start(web)
    web.publish(item("fresh", host=MOVED), *(elsewhere(n) for n in range(8)))
    for _ in range(2):
        (result,) = web.refresh(alerts=alerts)
        assert (result.new, result.updated, result.held) == (0, 0, 9)
    # Older pages of a site that has moved would be as new.
    assert web.pages_asked() == [URL, URL]
    with web.database.read() as session:
        assert web.due() == []
        (listed,) = web.listed()
        assert (listed.held, listed.held_at) == (9, NOW)
        (notice,) = session.scalars(select(Notice)).all()
        # With validators the server would say that nothing is new when it is back.
        assert web.feed().etag is None
    for part in (notice.text, notice.html):
        assert f"mailer feed accept {URL}" in part
        assert f"mailer feed discard {URL}" in part


def test_accepted_they_are_the_known_articles_and_only_what_is_new_is_due(web: Web) -> None:
    start(web)
    web.poll(*(elsewhere(n) for n in range(8)), item("fresh", host=MOVED))
    # While it waits, the feed goes on, and what falls out of it is kept.
    assert web.poll(item("fresher", host=MOVED), *(elsewhere(n) for n in range(6))).held == 7
    arrived = web.accept()
    assert (arrived.new, arrived.updated + arrived.unchanged) == (2, 8)
    with web.database.read() as session:
        assert sorted(web.due()) == ["fresh", "fresher"]
        assert len(web.titles()) == 10
        feed = web.feed()
        assert (feed.held_at, session.scalars(select(HeldItem)).all()) == (None, [])
        article = session.scalars(select(Article).where(Article.title == "piece-3")).one()
        assert article.canonical_url == f"{MOVED}/p/3"
        assert article.url == f"{MOVED}/p/3"
        guids = session.scalars(select(FeedGuid.guid).where(FeedGuid.article_id == article.id))
        assert set(guids) == {"g-piece-3", f"{MOVED}/?p=3"}
    result = web.poll(item("freshest", host=MOVED), *(elsewhere(n) for n in range(6)))
    assert (result.new, result.unchanged, result.held) == (1, 6, 0)


def test_accepted_an_item_that_got_another_address_meanwhile_is_due_once(web: Web) -> None:
    start(web)
    for name in "fresh", "fresh-news":
        web.now += timedelta(minutes=15)
        web.poll(item(name, guid="f", title="Fresh", host=MOVED), *(elsewhere(n) for n in range(8)))
    assert web.accept().new == 1
    assert web.due() == ["Fresh"]
    with web.database.read() as session:
        address = session.scalar(select(Article.canonical_url).where(Article.title == "Fresh"))
    assert address == f"{MOVED}/fresh-news"


def test_discarded_they_are_ignored_for_good(web: Web) -> None:
    start(web)
    web.poll(*(elsewhere(n) for n in range(8)))
    assert web.discard() == (8, 0)
    # One of them gets another address, and an article comes in that is no copy.
    result = web.poll(
        item("true-news"),
        item("other", guid=f"{MOVED}/?p=1", title="piece-1", host=MOVED),
        *(elsewhere(n) for n in range(8) if n != 1),
    )
    assert (result.new, result.held) == (1, 0)
    assert web.due() == ["true-news"]
    assert web.listed()[0].held == 0


def test_what_is_discarded_of_a_feed_that_numbers_its_entries_silences_nothing_else(
    web: Web,
) -> None:
    def page(first: int, host: str) -> None:
        # The guids are numbers from the top, so each stands for another article every time.
        web.publish(
            *(
                item(f"piece-{n}", guid=str(n - first), at=NOW - timedelta(hours=n), host=host)
                for n in range(first, first + 8)
            )
        )

    page(3, "https://news.example")
    web.add()
    page(2, MOVED)
    web.refresh()
    assert web.discard() == (8, 0)
    page(0, MOVED)
    (result,) = web.refresh()
    assert (result.new, result.held) == (2, 0)
    assert web.due() == ["piece-1", "piece-0"]


def test_a_site_that_is_back_is_held_no_more(web: Web) -> None:
    start(web)
    web.poll(*(elsewhere(n) for n in range(8)))
    assert web.poll().error is None
    assert web.listed()[0].held == 8
    result = web.poll(item("news"), *(old(n) for n in range(8)))
    assert (result.new, result.held) == (1, 0)
    assert web.due() == ["news"]
    assert web.listed()[0].held_at is None


def test_a_site_that_is_half_back_is_still_held(web: Web) -> None:
    start(web)
    web.poll(*(elsewhere(n) for n in range(8)))
    assert web.poll(*(old(n) for n in range(5)), elsewhere(5)).held == 6
    assert web.due() == []


def test_nothing_can_be_decided_where_nothing_is_held(web: Web) -> None:
    start(web)
    for decision in (web.accept, web.discard):
        with pytest.raises(Refused, match="is not held"):
            decision()


@pytest.mark.parametrize(
    ("entries", "is_held"),
    [
        # By title and date, or by path.
        ([elsewhere(n) for n in range(5)], True),
        ([item(f"piece-{n}", guid=f"x{n}", title="T", host=MOVED) for n in range(5)], True),
        # Four are too few, and half is not more than half.
        ([elsewhere(n) for n in range(4)], False),
        ([*(elsewhere(n) for n in range(5)), *(item(f"new-{n}") for n in range(5))], False),
        ([*(elsewhere(n) for n in range(5)), *(item(f"new-{n}") for n in range(4))], True),
        # An honest weekend: many new articles, some with titles that come every day.
        ([item(f"w-{n}", title=f"piece-{n}", guid=f"w{n}") for n in range(8)], False),
        ([item(f"w-{n}") for n in range(40)], False),
        # A feed that keeps its guids through the move, and one that only changes to https.
        ([old(n, host=MOVED) for n in range(8)], False),
        ([old(n, host="http://www.news.example", guid=f"y{n}") for n in range(8)], False),
    ],
)
def test_what_is_held(web: Web, entries: list[str], is_held: bool) -> None:
    start(web)
    result = web.poll(*entries)
    assert bool(result.held) is is_held
    assert result.error is None


def test_a_first_fetch_is_never_held(web: Web) -> None:
    start(web)
    web.publish(*(elsewhere(n) for n in range(8)), url=f"{MOVED}/feed")
    assert web.add(f"{MOVED}/feed", to=web.weekly).articles == 8
