"""A hostile feed costs little: what takes long is done in the child, and what is kept has bounds."""

import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import select

from mailer.feeds import canonical, moved, refresh, store
from mailer.feeds.http.fetch import Fetched
from mailer.feeds.reading import sanitise
from mailer.feeds.refresh import take_in
from mailer.feeds.store import Refreshed
from mailer.models import HeldItem
from tests.integration.feeds.web import INTERVAL, NOW, URL, Web, item

ENTRIES = 60


def hostile(number: int) -> str:
    """An entry that takes long: no title, and an address of the largest length, all of it escaped."""
    return item(
        f"{number:05}" + "%41" * 600 + f"?a{number}", title="", text="&lt;b&gt;a&lt;/b&gt; " * 600
    )


def test_who_stores_a_feed_neither_finds_canonical_urls_nor_reads_markup(web: Web) -> None:
    web.start(item("a"))
    web.publish(*(hostile(number) for number in range(ENTRIES)))
    body = web.pages[URL]
    assert isinstance(body, bytes)
    fetched = Fetched(URL, body, "application/rss+xml", None, None)
    document = web.context().parse(fetched)
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        module = frame.f_globals.get("__name__")
        if event == "call" and module in {canonical.__name__, sanitise.__name__}:
            calls[frame.f_code.co_name] += 1

    with web.database.write() as session:
        feed = session.merge(web.feed())
        sys.setprofile(count)
        try:
            result = take_in(session, feed, fetched, document, None, now=NOW, interval=INTERVAL)
        finally:
            sys.setprofile(None)
    assert isinstance(result, Refreshed)
    assert result.new == ENTRIES
    # The path is cut out of an address that is canonical already.
    assert calls.keys() <= {"path_of", "is_same_host", "host_of"}
    assert calls["path_of"] <= 4 * (ENTRIES + 1)


def pages(web: Web, number: int) -> None:
    web.start(item("known"))
    web.publish(item("n1", text="x" * 400))
    for page in range(2, number + 1):
        web.publish(item(f"n{page}", text="x" * 400), url=f"{URL}?paged={page}")
    web.pages_asked()


@pytest.mark.parametrize(
    ("bound", "most", "read"),
    [("MOST_TEXT", 1500, 3), ("MOST_ENTRIES", 3, 3), ("MOST_ENTRIES", 10, 10)],
)
def test_older_pages_are_read_up_to_so_many_entries_and_so_much_text(
    web: Web, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, read: int
) -> None:
    monkeypatch.setattr(refresh, bound, most)
    pages(web, 20)
    (result,) = web.refresh()
    assert result.new == read
    # The page that is too long is not kept.
    assert len(web.pages_asked()) == min(read + 1, refresh.MOST_PAGES)
    is_told = any("page 4 and older ones were not read" in text for text in result.warnings)
    assert is_told is (read == 3)
    assert any("articles in between may be missing" in text for text in result.warnings)


def elsewhere(*numbers: int) -> list[str]:
    return [
        item(f"p/{n}", guid=f"m{n}", title=f"a{n}", host="https://moved.example") for n in numbers
    ]


def test_so_much_is_held_and_the_rest_is_read_again_once_staff_have_decided(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.start(*(item(f"a{n}") for n in range(8)))
    assert web.poll(*elsewhere(*range(6))).warnings == ()
    with web.database.read() as session:
        held = sum(map(len, session.scalars(select(HeldItem.content))))
    monkeypatch.setattr(store, "MOST_HELD", held + held // 4)
    for _ in range(2):
        result = web.poll(*elsewhere(*range(6)), *(item(f"new-{n}") for n in range(3)))
        assert (result.new, result.held) == (0, 7)
        (warning,) = result.warnings
        assert warning.startswith("too much is held: 2 entries are left out")
    assert web.listed()[0].held == 7
    assert web.accept().new == 1
    result = web.poll(*elsewhere(*range(6)), *(item(f"new-{n}") for n in range(3)))
    assert (result.new, result.held, result.warnings) == (2, 0, ())


def test_of_what_was_discarded_the_latest_is_remembered(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.start(*(item(f"a{n}") for n in range(16)))
    web.poll(*elsewhere(*range(8)))
    assert web.discard() == (8, 0)
    with web.database.read() as session:
        discarded = sum(map(len, session.scalars(select(HeldItem.content))))
    monkeypatch.setattr(moved, "MOST_HELD", discarded + discarded // 2 + discarded // 16)
    web.now += INTERVAL
    web.poll(*elsewhere(*range(8, 16)))
    number, forgotten = web.discard()
    assert (number, forgotten) == (8, 4)
    result = web.poll(*elsewhere(*range(8, 16)))
    assert (result.new, result.held) == (0, 0)
