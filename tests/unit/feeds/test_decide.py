"""What becomes of a document's items, decided without a database."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailer.feeds.decide import Decision, decide, decide_accepted, down_to_known
from mailer.feeds.identity import FeedItem, Known
from mailer.feeds.reading.entry import Entry, headline
from mailer.models import Article, Feed, ImageSource

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BEFORE = NOW - timedelta(days=1)
SITE, MOVED = "https://news.example", "https://moved.example"


NOTHING = Known()


def feed(**values: Any) -> Feed:
    given = {"title": "News", "image_source": ImageSource.FEED, "first_fetched_at": BEFORE}
    return Feed(**(given | values))


def item(number: int, site: str = SITE, **values: Any) -> FeedItem:
    """An item an hour older than the one before."""
    path, guids = values.pop("path", f"a{number}"), values.pop("guids", (f"g{number}",))
    given = {
        "guid": guids[0],
        "url": f"{site}/{path}",
        "title": f"Title {number}",
        "published": BEFORE - timedelta(hours=number),
        "summary_html": "Text",
        "author": "Ada",
        "categories": (),
        "image": None,
    }
    given |= values
    canonical, title = (
        f"{site}/{path}",
        headline(given["title"], given["summary_html"], given["url"]),
    )
    entry = Entry(**given, canonical_url=canonical, headline=title)
    return FeedItem(canonical, entry, guids, entry.categories)


def article(number: int, **values: Any) -> Article:
    """The article that `item` with this number is."""
    given = {
        "id": number + 1,
        "canonical_url": f"{SITE}/a{number}",
        "url": f"{SITE}/a{number}",
        "title": f"Title {number}",
        "published_at": BEFORE - timedelta(hours=number),
        "summary_html": "Text",
        "author": "Ada",
        "image_url": None,
    }
    return Article(**(given | values))


def known(*articles: Article, **values: Any) -> Known:
    """All that is known are these articles, by the guids and addresses of `item`."""
    by_guid = {f"g{one.id - 1}": one for one in articles}
    return Known(by_guid, {one.canonical_url: one for one in articles}, **values)


def decided(
    items: Sequence[FeedItem],
    stored: Known = NOTHING,
    row: Feed | None = None,
    *,
    has_older_page: bool = False,
) -> Decision:
    return decide(row or feed(), items, stored, has_older_page=has_older_page, now=NOW)


def addresses(articles: Sequence[Article]) -> list[str]:
    return [one.canonical_url.removeprefix(f"{SITE}/") for one in articles]


def test_what_is_known_and_as_before_changes_nothing() -> None:
    decision = decided([item(1), item(2)], known(article(1), article(2)))
    assert decision == Decision(unchanged=2)


def test_new_articles_come_from_the_oldest_on_and_those_without_a_date_last() -> None:
    items = [item(9, published=None), item(8, published=None), item(1), item(3), item(2)]
    decision = decided(items)
    assert addresses(decision.new) == ["a3", "a2", "a1", "a8", "a9"]
    assert [one.published_at for one in decision.new][-2:] == [NOW, NOW]
    assert {guid: one.canonical_url[-2:] for guid, one in decision.guids.items()} == {
        f"g{number}": f"a{number}" for number in (9, 8, 1, 3, 2)
    }


@pytest.mark.parametrize(
    ("entry", "row", "stored"),
    [
        (
            {},
            {},
            {"title": "Title 1", "author": "Ada", "published_at": BEFORE - timedelta(hours=1)},
        ),
        ({"author": "NEWS"}, {}, {"author": None}),
        ({"image": "https://x/i"}, {}, {"image_url": "https://x/i"}),
        ({"image": "https://x/i"}, {"image_source": ImageSource.NONE}, {"image_url": None}),
        ({"title": "", "summary_html": "<p>Rain.</p>"}, {}, {"title": "Rain."}),
        ({"title": "", "summary_html": "word " * 30}, {}, {"title": "word " * 16 + "…"}),
        ({"title": "", "summary_html": ""}, {}, {"title": f"{SITE}/a1"}),
    ],
)
def test_what_a_new_article_takes_from_its_entry(
    entry: dict[str, Any], row: dict[str, Any], stored: dict[str, Any]
) -> None:
    (new,) = decided([item(1, **entry)], row=feed(**row)).new
    assert {name: getattr(new, name) for name in stored} == stored
    assert (new.first_seen_at, new.updated_at) == (NOW, NOW)


PAGE = {"image_source": ImageSource.PAGE}
READ = {"page_read_at": BEFORE}


@pytest.mark.parametrize(
    ("entry", "row", "before", "is_fixed", "changes"),
    [
        ({"title": "New"}, {}, {}, False, {"title": "New"}),
        ({"published": NOW, "summary_html": "More"}, {}, {}, False,
         {"published_at": NOW, "summary_html": "More"}),
        ({"published": None}, {}, {}, False, {}),
        # What an edition has, staff edited or another feed brought stays as it is worded.
        ({"title": "New"}, {}, {}, True, {}),
        # Its address is followed even then.
        ({"title": "New", "path": "b"}, {}, {"title": "New"}, True, {"canonical_url": f"{SITE}/b"}),
        ({"path": "b"}, {}, {}, False, {"canonical_url": f"{SITE}/b", "url": f"{SITE}/b"}),
        # The picture of the page is better than the feed's.
        ({"image": "f"}, PAGE, {"image_url": "p"} | READ, False, {}),
        ({"image": "f"}, PAGE, {"image_url": None} | READ, False, {"image_url": "f"}),
        ({"image": "f"}, PAGE, {"image_url": "p"}, False, {"image_url": "f"}),
        ({"image": "f"}, {}, {"image_url": "p"} | READ, False, {"image_url": "f"}),
    ],
)  # fmt: skip
def test_what_changes_of_a_known_article(
    entry: dict[str, Any],
    row: dict[str, Any],
    before: dict[str, Any],
    is_fixed: bool,
    changes: dict[str, Any],
) -> None:
    one = article(1, **before)
    decision = decided([item(1, **entry)], known(one, fixed=[2] if is_fixed else []), feed(**row))
    expected = [(one, changes | {"updated_at": NOW})] if changes else []
    assert (decision.changed, decision.unchanged) == (expected, 1 - len(expected))
    assert decision.new == []


def test_an_address_that_was_left_is_free_for_a_new_article() -> None:
    left = item(1, path="elsewhere")
    new = item(5, path="a1")
    decision = decided([new, left], known(article(1)))
    assert [values["canonical_url"] for _, values in decision.changed] == [f"{SITE}/elsewhere"]
    assert addresses(decision.new) == ["a1"]


def test_a_guid_that_is_used_again_stands_for_the_new_article() -> None:
    old = article(1)
    decision = decided([item(1, path="b", title="Other", published=NOW)], known(old))
    (new,) = decision.new
    assert (decision.guids, decision.stale_guids) == ({"g1": new}, ["g1"])


def test_another_feeds_article_gets_this_feeds_guid_and_categories() -> None:
    one = article(1)
    stored = Known({}, {one.canonical_url: one}, fixed={2}, categories={2: {"Town"}})
    decision = decided([item(1, title="Other", categories=("Town", "Sport", "Art"))], stored)
    assert decision == Decision(
        unchanged=1, guids={"g1": one}, categories=[(one, "Art"), (one, "Sport")]
    )


def moved(*numbers: int) -> list[FeedItem]:
    """The same articles after their site has moved: another host, another path, another guid."""
    return [item(n, MOVED, path=f"p{n}", guids=(f"m{n}",)) for n in numbers]


OLD = [article(number) for number in range(8)]


@pytest.mark.parametrize(
    ("items", "row", "is_held"),
    [
        (moved(*range(5)), {}, True),
        # Four are too few, and half is not more than half.
        (moved(*range(4)), {}, False),
        ([*moved(*range(5)), *(item(n) for n in range(20, 25))], {}, False),
        ([*moved(*range(5)), *(item(n) for n in range(20, 24))], {}, True),
        # By path alone; but neither by title nor by date alone.
        ([item(n, MOVED, guids=(f"m{n}",), title="T") for n in range(5)], {}, True),
        ([item(n, MOVED, path=f"p{n}", guids=(f"m{n}",), title="T") for n in range(5)], {}, False),
        (
            [item(n, MOVED, path=f"p{n}", guids=(f"m{n}",), published=NOW) for n in range(5)],
            {},
            False,
        ),
        # The first document of a feed is never held.
        (moved(*range(5)), {"first_fetched_at": None}, False),
        # Once it is held, it stays so until half is known again, and nothing looks like the other half.
        ([item(0), item(1), item(2), *moved(3)], {"held_at": BEFORE}, True),
        (moved(0), {"held_at": BEFORE}, True),
        ([], {"held_at": BEFORE}, True),
        ([item(20), item(0)], {"held_at": BEFORE}, False),
        ([item(20), item(21), item(0)], {"held_at": BEFORE}, True),
    ],
)
def test_what_is_held(items: list[FeedItem], row: dict[str, Any], is_held: bool) -> None:
    decision = decided(items, known(*OLD, alike=OLD, has_entries=True), feed(**row))
    if is_held:
        assert decision == Decision(held=items)
    else:
        assert (decision.held, len(decision.new) + decision.unchanged) == ([], len(items))
        assert decision.releases is ("held_at" in row)


def test_an_article_that_is_in_the_document_is_not_what_another_item_looks_like() -> None:
    items = [*(item(n) for n in range(5)), *moved(*range(5))]
    assert decided(items, known(*OLD, alike=OLD, has_entries=True)).held == []


def test_accepted_items_are_the_articles_that_they_look_like() -> None:
    held = [*moved(*range(5)), item(20, MOVED)]
    decision = decide_accepted(feed(held_at=BEFORE), held, known(alike=OLD), NOW)
    assert [one for one, _ in decision.changed] == OLD[:5]
    assert decision.changed[3][1]["canonical_url"] == f"{MOVED}/p3"
    assert [one.canonical_url for one in decision.new] == [f"{MOVED}/a20"]
    assert [decision.guids[f"m{number}"] for number in range(5)] == OLD[:5]
    assert decision.releases


def test_one_accepted_item_is_enough_to_be_the_article_that_it_looks_like() -> None:
    decision = decide_accepted(feed(held_at=BEFORE), moved(1), known(*OLD[2:], alike=OLD), NOW)
    assert ([one for one, _ in decision.changed], decision.new) == ([OLD[1]], [])


def test_an_accepted_item_that_got_another_address_while_it_was_held_is_one_article() -> None:
    latest, former = item(20, path="b"), item(20, path="a")
    # With a guid alone they are two.
    other = item(21, guids=latest.guids)
    decision = decide_accepted(feed(held_at=BEFORE), [latest, former, other], NOTHING, NOW)
    assert addresses(decision.new) == ["a21", "b"]


@pytest.mark.parametrize(
    ("values", "has_older_page", "row", "is_wanted"),
    [
        ({}, True, {}, True),
        # A feed that had nothing misses nothing, nor does one whose first document this is.
        ({"has_entries": False}, True, {}, False),
        ({}, True, {"first_fetched_at": None}, False),
        # There is no older page.
        ({}, False, {}, False),
        # One is known, by its guid or by its address.
        ({"by_guid": {"g11": article(1)}}, True, {}, False),
        ({"by_url": {f"{SITE}/a11": article(1)}}, True, {}, False),
        # Older pages of a site that has moved would look as new.
        ({"alike": [article(n) for n in range(10, 15)]}, True, {}, False),
    ],
)
def test_an_older_page_is_wanted_if_nothing_is_known(
    values: dict[str, Any], has_older_page: bool, row: dict[str, Any], is_wanted: bool
) -> None:
    items = [item(n, guids=(f"g{n}",)) for n in range(10, 15)]
    decision = decided(
        items, Known(**({"has_entries": True} | values)), feed(**row), has_older_page=has_older_page
    )
    assert decision.wants_older_page is is_wanted
    if is_wanted:
        assert decision == Decision(wants_older_page=True)
    assert not decided([], Known(has_entries=True), has_older_page=True).wants_older_page


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        # Below the known there is only what is older than it.
        ([item(2), item(5), item(6)], [2]),
        ([item(2), item(5, published=None)], [2]),
        # What stands below it, but is younger, is news, and so is what stands above it.
        ([item(2), item(3, published=NOW)], [2, 3]),
        ([item(4), item(2), item(5)], [4, 2]),
        ([item(2, published=None), item(1)], [2]),
        # It is known by its address alone, or by its guid alone.
        ([item(2, guids=("x",)), item(5)], [2]),
        ([item(2, path="b", title="Other"), item(5)], [2]),
        # Nothing is known.
        ([item(4), item(5, url=None)], [4, 5]),
    ],
)
def test_of_an_older_page_counts_what_is_not_older_than_the_known(
    page: list[FeedItem], expected: list[int]
) -> None:
    kept = down_to_known([one.entry for one in page], known(article(2)))
    assert [one.entry for one in page if one.entry in kept] == list(kept)
    assert [int(one.title.removeprefix("Title ").replace("Other", "2")) for one in kept] == expected


@pytest.mark.parametrize(
    ("one", "is_new"),
    [
        (item(1, title="Other", guids=("x",), published=NOW), False),
        # Under another address the guid must be the same, and title, path or date.
        (item(1, path="b"), False),
        (item(1, MOVED, title="Other", published=NOW), False),
        (item(1, path="b", title="Other"), False),
        (item(1, path="b", title="Other", published=NOW), True),
        (item(1, path="b", guids=("x",)), True),
    ],
)
def test_what_staff_discarded_is_ignored(one: FeedItem, is_new: bool) -> None:
    decision = decided([one, item(2)], Known(discarded=[item(1)]))
    assert addresses(decision.new) == ["a2", *([one.canonical_url[len(SITE) + 1 :]] * is_new)]


def test_without_a_date_a_discarded_item_is_not_known_by_it() -> None:
    stored = Known(discarded=[item(1, published=None)])
    assert decided([item(1, path="b", title="Other", published=None)], stored).new
