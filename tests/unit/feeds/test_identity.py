from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailer.feeds.identity import KnownArticle, feed_items, identify
from mailer.feeds.reading.entry import Entry

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FAIR = KnownArticle(1, "https://news.example/fair", "The fair", NOON)


def entry(**values: Any) -> Entry:
    given = {
        "guid": "g1",
        "url": "https://news.example/fair",
        "title": "The fair",
        "published": NOON,
        "summary_html": "",
        "author": None,
        "categories": (),
        "image": None,
    }
    return Entry(**(given | values))


OTHER = {
    "title": "The storm",
    "url": "https://news.example/storm",
    "published": NOON + timedelta(days=1),
}


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        ({}, True),
        ({"guid": "g2"}, True),
        ({"guid": "g2", "title": "Another", "published": None}, True),
        ({"url": "http://www.news.example/fair?utm_source=rss#top"}, True),
        ({"url": "https://news.example/the-fair"}, True),
        ({"url": "https://new.example/fair", "title": "The fair, again", "published": None}, True),
        (OTHER | {"title": "The fair"}, True),
        (OTHER | {"published": NOON}, True),
        (OTHER, False),
        (OTHER | {"guid": "g2", "title": "The fair"}, False),
        (OTHER | {"title": ""}, False),
        ({"guid": "g2", "url": "https://news.example/fair-2"}, False),
    ],
)
def test_one_entry(changed: dict[str, Any], is_same: bool) -> None:
    found = feed_items([entry(**changed)])
    ((_, known),) = identify(found, {"g1": FAIR}, {FAIR.canonical_url: FAIR})
    assert (known == FAIR) is is_same


def test_untitled_items_do_not_agree_on_their_titles() -> None:
    untitled = KnownArticle(1, "https://news.example/1", "", NOON)
    found = feed_items([entry(**(OTHER | {"title": ""}))])
    assert identify(found, {"g1": untitled}, {untitled.canonical_url: untitled})[0][1] is None


def test_front_pages_do_not_agree_on_their_paths() -> None:
    front = KnownArticle(1, "https://news.example/", "The fair", NOON)
    found = feed_items([entry(**(OTHER | {"url": "https://other.example/"}))])
    assert identify(found, {"g1": front}, {front.canonical_url: front})[0][1] is None


def test_one_guid_on_two_items_tells_nothing() -> None:
    found = feed_items([entry(), entry(**OTHER)])
    assert [item.guids for item in found] == [
        ("https://news.example/fair",),
        ("https://news.example/storm",),
    ]
    assert [known for _, known in identify(found, {"g1": FAIR}, {FAIR.canonical_url: FAIR})] == [
        FAIR,
        None,
    ]


def test_one_address_twice_is_one_item_with_both_guids_and_all_categories() -> None:
    (item,) = feed_items(
        [entry(categories=("a", "b")), entry(guid="g2", title="Later", categories=("b", "c"))]
    )
    assert item.guids == ("g1", "g2")
    assert item.categories == ("a", "b", "c")
    assert item.entry.title == "The fair"


def test_an_entry_without_an_address_is_no_item() -> None:
    assert feed_items([entry(url=None)]) == []


def test_a_new_item_may_take_the_address_that_another_left() -> None:
    moved = entry(url="https://news.example/fair-of-may")
    new = entry(guid="g2", title="The fair of June", published=NOON + timedelta(days=30))
    for order in ([moved, new], [new, moved]):
        identified = {
            item.guids[0]: known
            for item, known in identify(feed_items(order), {"g1": FAIR}, {FAIR.canonical_url: FAIR})
        }
        assert identified == {"g1": FAIR, "g2": None}


def test_guids_that_count_from_the_top_stand_for_other_items_each_time() -> None:
    # All have the day as their date, without a time.
    first = {"title": "The fair", "url": "https://news.example/fair"}
    second = {"title": "The storm", "url": "https://news.example/storm"}
    third = {"title": "The vote", "url": "https://news.example/vote"}
    fair, storm = (
        KnownArticle(n, one["url"], one["title"], NOON)
        for n, one in enumerate([first, second], start=1)
    )
    now = feed_items(
        [entry(guid="1", **third), entry(guid="2", **first), entry(guid="3", **second)]
    )
    identified = identify(
        now, {"1": fair, "2": storm}, {fair.canonical_url: fair, storm.canonical_url: storm}
    )
    assert [known for _, known in identified] == [None, fair, storm]


def test_a_day_that_several_items_have_tells_nothing() -> None:
    found = feed_items(
        [entry(**(OTHER | {"published": NOON})), entry(guid="g2", url="https://news.example/x")]
    )
    identified = identify(found, {"g1": FAIR}, {FAIR.canonical_url: FAIR})
    assert [known for _, known in identified] == [None, None]


def test_an_article_is_one_item_of_a_document_only() -> None:
    both = {"g1": FAIR, "g2": FAIR}
    still = entry()
    other = entry(guid="g2", url="https://news.example/fair-2")
    identified = identify(feed_items([other, still]), both, {FAIR.canonical_url: FAIR})
    assert [known for _, known in identified] == [None, FAIR]
