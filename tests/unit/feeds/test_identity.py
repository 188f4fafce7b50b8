from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailer.feeds.canonical import canonical_url
from mailer.feeds.identity import Known, feed_items, identify
from mailer.feeds.reading.entry import Entry
from mailer.models import Article

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def article(number: int, url: str, title: str, at: datetime = NOON) -> Article:
    return Article(id=number, canonical_url=url, title=title, published_at=at)


FAIR = article(1, "https://news.example/fair", "The fair")


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
    given |= values
    canonical = canonical_url(given["url"]) if given["url"] else ""
    return Entry(**given, canonical_url=canonical, headline=given["title"])


def identified(entries: list[Entry], by_guid: dict[str, Article]) -> list[Article | None]:
    """The articles that these entries are, where those in `by_guid` are all that is known."""
    by_url = {known.canonical_url: known for known in by_guid.values()}
    return [known for _, known in identify(feed_items(entries), Known(by_guid, by_url))]


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
    assert identified([entry(**changed)], {"g1": FAIR}) == [FAIR if is_same else None]


@pytest.mark.parametrize(
    ("known", "changed"),
    [
        # Untitled items do not agree on their titles, nor front pages on their paths.
        (article(1, "https://news.example/1", ""), {"title": ""}),
        (
            article(1, "https://news.example/", "The fair"),
            {"url": "https://other.example/"},
        ),
    ],
)
def test_what_both_lack_is_no_agreement(known: Article, changed: dict[str, Any]) -> None:
    assert identified([entry(**(OTHER | changed))], {"g1": known}) == [None]


def test_one_guid_on_two_items_tells_nothing() -> None:
    entries = [entry(), entry(**OTHER)]
    assert [item.guids for item in feed_items(entries)] == [
        ("https://news.example/fair",),
        ("https://news.example/storm",),
    ]
    assert identified(entries, {"g1": FAIR}) == [FAIR, None]


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
    assert identified([moved, new], {"g1": FAIR}) == [FAIR, None]
    assert identified([new, moved], {"g1": FAIR}) == [None, FAIR]


def test_guids_that_count_from_the_top_stand_for_other_items_each_time() -> None:
    # All have the day as their date, without a time.
    first = {"title": "The fair", "url": "https://news.example/fair"}
    second = {"title": "The storm", "url": "https://news.example/storm"}
    third = {"title": "The vote", "url": "https://news.example/vote"}
    fair, storm = (
        article(number, values["url"], values["title"])
        for number, values in enumerate([first, second], start=1)
    )
    entries = [entry(guid="1", **third), entry(guid="2", **first), entry(guid="3", **second)]
    assert identified(entries, {"1": fair, "2": storm}) == [None, fair, storm]


def test_a_day_that_several_items_have_tells_nothing() -> None:
    other = entry(guid="g2", url="https://news.example/x")
    assert identified([entry(**(OTHER | {"published": NOON})), other], {"g1": FAIR}) == [None, None]


def test_an_article_is_one_item_of_a_document_only() -> None:
    other = entry(guid="g2", url="https://news.example/fair-2")
    assert identified([other, entry()], {"g1": FAIR, "g2": FAIR}) == [None, FAIR]
