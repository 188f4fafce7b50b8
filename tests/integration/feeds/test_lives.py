"""What happens to articles at their source, and what readers get: each article once."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.integration.feeds.web import NOW, URL, Web, item

Pages = list[list[str]]

DAY = timedelta(days=1)
SITE = "https://news.example"


def ten(**more: str) -> list[str]:
    """A feed's page, as WordPress serves it: its guids keep the first address of each article."""
    return [
        item(
            f"2026/piece-{n}/",
            guid=f"http://news.example/?p={n}",
            title=f"Piece {n}",
            at=NOW - n * DAY,
            **more,
        )
        for n in range(1, 11)
    ]


def fair(**more: object) -> str:
    given = {"guid": f"{SITE}/?p=90", "title": "The fair", "at": NOW - timedelta(minutes=7)}
    return item(str(more.pop("path", "fair/")), **(given | more))  # type: ignore[arg-type]


def without_guid(text: str) -> str:
    return text[: text.index("<guid")] + text[text.index("</guid>") + len("</guid>") :]


def changed(*replaced: tuple[str, str]) -> Callable[[str], str]:
    def change(text: str) -> str:
        for old, new in replaced:
            text = text.replace(old, new)
        return text

    return change


LIVES: dict[str, tuple[Pages, list[str]]] = {
    "the guid becomes an address of https": (
        [[fair()], [fair(guid="http://news.example/?p=90")], [fair()]],
        ["The fair"],
    ),
    "guid and address are one, and both get a slash less": (
        [[without_guid(fair())], [without_guid(fair(path="fair"))]],
        ["The fair"],
    ),
    "there is no guid, and the address gets parameters": (
        [[without_guid(fair())], [without_guid(fair(path="fair/?utm_source=rss&amp;utm_medium=feed"))]],
        ["The fair"],
    ),
    "a session stands in the address": (
        [
            [without_guid(fair(path="fair/?PHPSESSID=a1"))],
            [without_guid(fair(path="fair/;jsessionid=B2"))],
        ],
        ["The fair"],
    ),
    "the link leads to the page for phones": (
        [[fair()], [fair(path="fair/amp/")], [fair(path="fair/?amp=1")]],
        ["The fair"],
    ),
    "the title is mended and the slug with it": (
        [[fair()], [fair(path="the-fair-of-may/", title="The fair of May")]],
        ["The fair of May"],
    ),
    "permalinks are switched on": (
        [[fair(path="?p=90")], [fair(path="2026/11/24/fair/")], [fair(path="fair/")]],
        ["The fair"],
    ),
    "an old article is published again": (
        [[fair(at=NOW - 9 * DAY)], [fair(at=NOW)], [fair(title="The fair, again", at=NOW + DAY / 2)]],
        ["The fair, again"],
    ),
    "a live blog changes its title all day": (
        [[fair(title=f"Live: the fair, part {n}")] for n in range(10)],
        ["Live: the fair, part 9"],
    ),
    "the weather comes daily under one title": (
        [
            [item(f"weather-{n}", title="Weather", at=NOW + n * DAY / 4) for n in range(day, -1, -1)]
            for day in range(3)
        ],
        ["Weather"] * 3,
    ),
    "a guid is used again for another piece": (
        [[fair()], [fair(path="vote/", title="The vote", at=NOW)]],
        ["The fair", "The vote"],
    ),
    "the feed is in another order": (
        [[fair(), item("b"), item("c")], [item("c"), fair(), item("b")]],
        ["The fair", "b", "c"],
    ),
    "the feed is empty for a while": ([[fair()], [], [fair(), item("b")]], ["The fair", "b"]),
    "an article is deleted at its source": ([[fair(), item("b")], [item("b")]], ["The fair", "b"]),
    "one article stands in the feed twice": (
        [[fair(), fair(guid="tag:news.example,2026:90", title="The fair, in the section")]],
        ["The fair"],
    ),
    "guids count from the top": (
        [
            [item("a", guid="1", at=NOW), item("b", guid="2", at=NOW)],
            [item("c", guid="1", at=NOW), item("a", guid="2", at=NOW), item("b", guid="3", at=NOW)],
            [item("d", guid="1", at=NOW), item("c", guid="2", at=NOW), item("a", guid="3", at=NOW)],
        ],
        ["a", "b", "c", "d"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("life", LIVES)
def test_an_article_is_due_once(web: Web, life: str) -> None:
    polls, expected = LIVES[life]
    web.start(*ten())
    for poll in polls:
        result = web.poll(*poll, *ten())
        assert (result.error, result.held) == (None, 0)
        web.now += timedelta(minutes=15)
    assert sorted(web.due()) == sorted(expected)


def test_a_feed_whose_guids_count_from_the_top_corrects_its_articles(web: Web) -> None:
    web.start(item("a", guid="1"), item("b", guid="2"))
    for new in "c", "d":
        web.now += timedelta(minutes=15)
        names = sorted({"a", "b", "c", new}, reverse=True)
        names = [name for name in names if name <= new]
        web.poll(*(item(name, guid=str(n)) for n, name in enumerate(names, start=1)))
    result = web.poll(
        *(item(name, guid=str(n), title=name.upper()) for n, name in enumerate("dcba", start=1))
    )
    assert (result.new, result.updated) == (0, 4)
    assert sorted(web.titles()) == ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    "change",
    [
        changed(("https://news.example", "http://www.news.example")),
        changed(("/2026/piece", "/piece")),
        changed(("https://news.example", "https://moved.example")),
        changed(("https://news.example/2026", "https://moved.example/archive")),
        changed(("http://news.example/?p=", "https://news.example/?p=")),
        # The library of a moved site has put its new address into the guids, too.
        changed(("news.example", "moved.example")),
        changed(("Piece", "The piece")),
        changed(("+00:00", "+01:00")),
    ],
)
def test_a_whole_site_may_change_and_nothing_is_news(
    web: Web, change: Callable[[str], str]
) -> None:
    web.start(*ten())
    result = web.poll(*(change(text) for text in ten()))
    assert (result.new, result.error) == (0, None)
    assert web.due() == []


def test_a_server_that_gives_its_first_page_for_all_is_asked_once(web: Web) -> None:
    web.start(item("a"))
    web.publish(item("c"), item("b"))
    web.publish(item("c"), item("b"), url=f"{URL}?paged=2")
    web.pages_asked()
    (result,) = web.refresh()
    assert web.pages_asked() == [URL, f"{URL}?paged=2"]
    assert result.new == 2
    assert any("may be missing" in text for text in result.warnings)


def test_two_feeds_with_their_own_guids_give_an_article_once(web: Web) -> None:
    other = f"{SITE}/section/feed"
    web.publish(*ten())
    web.publish(*ten(), url=other)
    web.add()
    web.add(other)
    web.publish(fair(), *ten())
    web.publish(fair(guid="section-90", path="fair?utm_source=section", title="Fair"), url=other)
    for url in (URL, other, URL):
        web.refresh(url)
    assert web.due() == ["The fair"]
