"""Pictures from the articles' own pages: each page is asked for once, on the feed's own site."""

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.errors import FeedError
from mailer.feeds.page_pictures import is_same_site
from mailer.models import Article, Feed, ImageSource
from tests.integration.feeds.web import URL, Web, item
from tests.support import factories

PAGE = "https://news.example/one"
WITH_PICTURE = b'<html><meta property="og:image" content="/og.jpg"></html>'
IN_THE_FEED = "&lt;img src='https://news.example/feed.png'&gt;"


def images(database: Database) -> list[str | None]:
    with database.read() as session:
        return list(session.scalars(select(Article.image_url).order_by(Article.id)))


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (WITH_PICTURE, "https://news.example/og.jpg"),
        (b"<html></html>", "https://news.example/feed.png"),
        (FeedError("news.example answered 500"), "https://news.example/feed.png"),
    ],
)
def test_the_page_is_asked_once_whatever_comes_of_it(
    web: Web, page: bytes | FeedError, expected: str
) -> None:
    web.publish(item("one", text=IN_THE_FEED))
    web.pages[PAGE] = page
    web.add(images=ImageSource.PAGE, allow_private=True)
    assert web.asked[-1].allow_private
    assert web.pages_asked() == [URL, PAGE]
    assert images(web.database) == [expected]
    assert web.poll(item("one", title="Changed", text=IN_THE_FEED)).updated == 1
    assert web.pages_asked() == [URL]
    assert images(web.database) == [expected]


def test_pages_of_other_sites_and_of_what_is_out_are_not_asked(web: Web) -> None:
    web.start(item("one"), item("two", host="https://elsewhere.example"))
    with web.database.write() as session:
        digest = factories.digest(session, factories.schedule(session, session.merge(web.daily)))
        one = session.scalars(select(Article).where(Article.title == "one")).one()
        factories.edition(session, digest, [one])
    with web.database.write() as session:
        other = factories.newsletter(session, "other")
    web.add(images=ImageSource.PAGE, to=other)
    web.pages_asked()
    web.refresh()
    assert web.pages_asked() == [URL]


def test_a_page_that_brings_us_down_costs_the_feed_nothing(web: Web) -> None:
    web.publish(item("one"))
    web.pages["https://news.example/one"] = ZeroDivisionError("a defect of ours")
    web.add()
    with web.database.write() as session:
        session.scalars(select(Feed)).one().image_source = ImageSource.PAGE
    (result,) = web.refresh()
    assert (result.unchanged, result.error) == (1, None)


def test_twenty_pages_at_a_time(web: Web) -> None:
    web.publish(*(item(f"n{number}") for number in range(25)))
    web.add(images=ImageSource.PAGE)
    assert len(web.pages_asked()) == 21
    web.pages[URL] = None
    web.refresh()
    assert len(web.pages_asked()) == 6
    web.refresh()
    assert web.pages_asked() == [URL]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("https://news.example/a", "http://www.news.example/feed", True),
        ("https://news.example/a", "https://feeds.news.example/feed", True),
        ("https://blog.news.example/a", "https://news.example/feed", True),
        ("https://badnews.example/a", "https://news.example/feed", False),
        ("https://other.example/a", "https://news.example/feed", False),
        ("https://news.example:8443/a", "https://news.example/feed", True),
    ],
)
def test_is_same_site(one: str, other: str, expected: bool) -> None:
    assert is_same_site(one, other) is expected
