"""A hostile feed costs the process that stores it little: its strange texts are worked on in the child."""

import sys
from collections import Counter
from types import FrameType
from typing import Any

from mailer.feeds import canonical
from mailer.feeds.http.fetch import Fetched
from mailer.feeds.reading import sanitise
from mailer.feeds.refresh import take_in
from mailer.feeds.store import Refreshed
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
