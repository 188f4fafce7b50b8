from datetime import UTC, datetime, timedelta
from io import BytesIO

import feedparser

from mailer.demo.articles import harbour_log, load_articles
from mailer.demo.newsroom import ENTRIES_IN_FEED, Newsroom
from mailer.demo.static import PICTURES

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
ORIGIN = "http://127.0.0.1:8001"


def test_stories_are_complete_and_have_addresses_of_their_own() -> None:
    stories = load_articles()
    assert len(stories) >= 12
    assert len({story.slug for story in stories}) == len(stories)
    for story in stories:
        assert story.title
        assert story.author
        assert story.categories
        assert story.summary
        assert story.paragraphs
        assert "\n" not in story.summary + "".join(story.paragraphs)


def test_every_picture_that_an_article_names_is_there() -> None:
    of_stories = [article.picture for article in load_articles() if article.picture]
    of_logs = {harbour_log(number, NOW).picture for number in range(40)} - {None}
    files = {path.stem: path.read_bytes() for path in PICTURES.iterdir()}
    assert files.keys() == set(of_stories) >= of_logs
    assert len(set(files.values())) == len(of_stories) >= 13
    for picture in files.values():
        # The pages give the size of a picture before it is there.
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        assert picture[16:24] == (1200).to_bytes(4, "big") + (600).to_bytes(4, "big")


def test_opening_articles_lie_in_the_past_and_in_order() -> None:
    newsroom = Newsroom(ORIGIN)
    newsroom.open_with(7, NOW)
    published = [article.published for article in newsroom.articles()]
    assert published == sorted(published, reverse=True)
    assert published[0] < NOW
    assert published[-1] > NOW - timedelta(days=3)


def test_a_feed_reader_finds_what_was_published_newest_first() -> None:
    newsroom = Newsroom(ORIGIN)
    newsroom.open_with(3, NOW)
    newest = newsroom.publish(NOW)
    feed = feedparser.parse(BytesIO(newsroom.feed()))
    assert feed.bozo == 0
    assert [entry.link for entry in feed.entries] == [
        newsroom.address(article) for article in newsroom.articles()
    ]
    entry = feed.entries[0]
    assert entry.title == newest.title
    assert [tag.term for tag in entry.tags] == list(newest.categories)
    assert entry.published_parsed[:5] == (2026, 11, 24, 10, 0)
    assert newest.summary in entry.summary
    assert entry.enclosures[0].href == newsroom.picture_address(newest)
    assert len({entry.id for entry in feed.entries}) == 4


def test_the_feed_keeps_growing_after_the_last_story_and_shows_only_the_newest() -> None:
    newsroom = Newsroom(ORIGIN)
    articles = [newsroom.publish(NOW + timedelta(seconds=n)) for n in range(40)]
    assert len({article.slug for article in articles}) == 40
    assert articles[-1].title.startswith("Harbour log")
    feed = feedparser.parse(BytesIO(newsroom.feed()))
    assert len(feed.entries) == ENTRIES_IN_FEED
    assert feed.entries[0].title == articles[-1].title
