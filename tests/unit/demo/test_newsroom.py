from datetime import UTC, datetime, timedelta
from io import BytesIO

import feedparser

from mailer.demo.articles import harbour_log, load_articles
from mailer.demo.newsroom import ENTRIES_IN_FEED, Newsroom
from mailer.demo.pictures import HEIGHT, WIDTH, draw

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


def test_every_scene_that_a_story_names_can_be_drawn() -> None:
    scenes = {story.scene for story in load_articles()}
    scenes |= {harbour_log(number, NOW).scene for number in range(40)}
    for scene in scenes - {None}:
        picture = draw(scene, "seed")
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        assert picture[16:24] == WIDTH.to_bytes(4, "big") + HEIGHT.to_bytes(4, "big")


def test_the_same_seed_gives_the_same_picture() -> None:
    assert draw("boats", "one") == draw("boats", "one")
    assert draw("boats", "one") != draw("boats", "two")


def test_opening_pieces_lie_in_the_past_and_in_order() -> None:
    newsroom = Newsroom(ORIGIN)
    newsroom.open_with(7, NOW)
    published = [piece.published for piece in newsroom.pieces()]
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
        newsroom.address(piece) for piece in newsroom.pieces()
    ]
    entry = feed.entries[0]
    assert entry.title == newest.story.title
    assert [tag.term for tag in entry.tags] == list(newest.story.categories)
    assert entry.published_parsed[:5] == (2026, 11, 24, 10, 0)
    assert newest.story.summary in entry.summary
    assert entry.enclosures[0].href == newsroom.picture_address(newest)
    assert len({entry.id for entry in feed.entries}) == 4


def test_the_feed_keeps_growing_after_the_last_story_and_shows_only_the_newest() -> None:
    newsroom = Newsroom(ORIGIN)
    pieces = [newsroom.publish(NOW + timedelta(seconds=n)) for n in range(40)]
    assert len({piece.story.slug for piece in pieces}) == 40
    assert pieces[-1].story.title.startswith("Harbour log")
    feed = feedparser.parse(BytesIO(newsroom.feed()))
    assert len(feed.entries) == ENTRIES_IN_FEED
    assert feed.entries[0].title == pieces[-1].story.title


def test_a_piece_is_found_by_its_address_only_when_it_is_out() -> None:
    newsroom = Newsroom(ORIGIN)
    slug = load_articles()[0].slug
    assert newsroom.piece(slug) is None
    piece = newsroom.publish(NOW)
    assert newsroom.piece(slug) == piece
