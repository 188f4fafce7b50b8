"""Where the older pages of a feed are."""

import pytest

from mailer.feeds.reading.entry import Document, Entry
from mailer.feeds.reading.pagination import next_page

ENTRY = Entry(
    "g", "https://news.example/1", "https://news.example/1", "T", "T", None, "", None, (), None
)


@pytest.mark.parametrize(
    ("next_url", "url", "expected"),
    [
        (None, "https://news.example/feed/", "https://news.example/feed/?paged=2"),
        (None, "https://news.example/?feed=rss2#x", "https://news.example/?feed=rss2&paged=2"),
        (None, "https://news.example/?paged=7&a=", "https://news.example/?a=&paged=2"),
        ("https://news.example/old", "https://news.example/feed", "https://news.example/old"),
    ],
)
def test_next_page(next_url: str | None, url: str, expected: str) -> None:
    assert next_page(Document("T", (ENTRY,), (), next_url=next_url), url, 2) == expected
