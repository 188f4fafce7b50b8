"""Pieces that fell out of a feed's first page between two fetches are looked for on its older pages."""

from datetime import timedelta

import pytest

from mailer.errors import FeedError
from tests.integration.feeds.web import NOW, URL, Web, item


def page(number: int) -> str:
    return f"{URL}?paged={number}"


def test_pages_are_read_until_an_entry_is_known(web: Web) -> None:
    web.start(item("a"))
    web.pages_asked()
    web.publish(item("g"), item("f"))
    web.publish(item("e"), item("d"), url=page(2))
    web.publish(item("c"), item("b"), item("a"), url=page(3))
    web.publish(item("ancient"), url=page(4))
    (result,) = web.refresh()
    assert web.pages_asked() == [URL, page(2), page(3)]
    assert (result.new, result.unchanged, result.warnings) == (6, 1, ())
    # A later page is older, so its articles come first.
    assert set(web.due()) == set("bcdefg")
    # The next fetch knows its entries again.
    web.refresh()
    assert web.pages_asked() == [URL]


@pytest.mark.parametrize("has_known", [True, False])
def test_ten_pages_at_most(web: Web, has_known: bool) -> None:
    web.start(item("a"))
    web.pages_asked()
    web.publish(item("n1"))
    for number in range(2, 20):
        web.publish(item(f"n{number}"), url=page(number))
    if has_known:
        web.publish(item("a"), url=page(10))
    (result,) = web.refresh()
    assert web.pages_asked() == [URL, *(page(number) for number in range(2, 11))]
    assert result.new == (9 if has_known else 10)
    assert any("may be missing" in text for text in result.warnings) is not has_known


@pytest.mark.parametrize(
    "second", [FeedError("news.example answered 404"), b"<rss></rss>", b"<html></html>", "same"]
)
def test_where_there_are_no_pages_a_warning_tells(
    web: Web, second: FeedError | bytes | str
) -> None:
    web.start(item("a"))
    web.publish(item("b"))
    web.pages_asked()
    first = web.pages[URL]
    web.pages[page(2)] = first if isinstance(second, str) else second
    (result,) = web.refresh()
    assert web.pages_asked() == [URL, page(2)]
    assert (result.new, result.error) == (1, None)
    assert "no entry is known from before; articles in between may be missing" in result.warnings


def linked(next_url: str, *items: str) -> bytes:
    return (
        '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>News</title>'
        f'<atom:link rel="next" href="{next_url}"/>{"".join(items)}</channel></rss>'
    ).encode()


def test_links_are_followed_and_no_loop_is(web: Web) -> None:
    web.start(item("a"))
    second, third = f"{URL}/2", f"{URL}/3"
    web.pages |= {
        URL: linked(second, item("d")),
        second: linked(third, item("c")),
        third: linked(URL, item("b")),
    }
    web.pages_asked()
    (result,) = web.refresh()
    assert web.pages_asked() == [URL, second, third, URL]
    assert result.new == 3
    assert any("may be missing" in text for text in result.warnings)


def test_where_links_end_no_numbers_are_tried(web: Web) -> None:
    web.start(item("a"))
    web.pages[URL] = linked(f"{URL}/2", item("c"))
    web.publish(item("b"), url=f"{URL}/2")
    web.pages_asked()
    web.refresh()
    assert web.pages_asked() == [URL, f"{URL}/2"]


@pytest.mark.parametrize("has_dates", [True, False])
def test_what_an_archive_has_from_before_the_feed_is_no_news(web: Web, has_dates: bool) -> None:
    def on(name: str, day: int) -> str:
        return item(name, at=NOW - timedelta(days=day) if has_dates else None)

    web.start(on("a", 3))
    web.publish(on("d", 0))
    web.publish(on("c", 1), on("b", 2), on("a", 3), on("old", 9), on("older", 10), url=page(2))
    (result,) = web.refresh()
    assert (result.new, result.unchanged) == (3, 1)
    assert sorted(web.due()) == ["b", "c", "d"]


def test_what_stands_below_the_known_but_is_younger_is_news(web: Web) -> None:
    web.start(item("a", at=NOW - timedelta(days=3)))
    web.publish(item("c"))
    web.publish(item("a", at=NOW - timedelta(days=3)), item("b"), url=page(2))
    assert web.refresh()[0].new == 2


def test_a_feed_that_had_nothing_misses_nothing(web: Web) -> None:
    web.start()
    web.publish(item("a"))
    web.pages_asked()
    assert web.refresh()[0].warnings == ()
    assert web.pages_asked() == [URL]
