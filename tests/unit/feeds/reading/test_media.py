"""Which picture an entry of RSS or Atom is shown with."""

from datetime import UTC, datetime

import pytest

from mailer.feeds.reading.parse import parse

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
WORDS = "<description>&lt;img src='/text.jpg'&gt; Words</description>"
COUNTER = "https://pixel.wp.com/b.gif?v=1"
PORTRAIT = "https://secure.gravatar.com/avatar/x?s=96"


def media(address: str, more: str = "") -> str:
    return f"<media:content url='{address}' {more}/>"


def thumbnail(address: str, more: str = "") -> str:
    return f"<media:thumbnail url='{address}' {more}/>"


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (media("/a.jpg") + WORDS, "a.jpg"),
        (media("/a", "medium='image'") + WORDS, "a"),
        (media("/a", "type='image/png'") + WORDS, "a"),
        (media("/a") + WORDS, "text.jpg"),
        (media("/v.mp4", "type='video/mp4'") + thumbnail("/t.jpg") + WORDS, "t.jpg"),
        # The same picture in several widths, and a gallery.
        (media("/s.jpg", "width='140'") + media("/l.jpg", "width='460'"), "l.jpg"),
        (media("/1.jpg", "width='600'") + media("/2.jpg", "width='900'"), "1.jpg"),
        (media("/1.jpg") + media("/2.jpg", "width='900'"), "1.jpg"),
        ("<enclosure url='/e.jpg' type='image/jpeg' length='1'/>" + WORDS, "e.jpg"),
        ("<enclosure url='/e.jpg'/>" + WORDS, "e.jpg"),
        ("<enclosure url='/e.mp3' type='audio/mpeg'/>" + WORDS, "text.jpg"),
        ("<itunes:image href='/i.jpg'/>", "i.jpg"),
        ("<image><url>/own.png</url></image>", "own.png"),
        # A small one only where there is no other.
        (thumbnail("/t.jpg", "width='72'") + WORDS, "text.jpg"),
        (thumbnail("/t.jpg", "width='72px'"), "t.jpg"),
        (thumbnail("/t.jpg", "width='240'") + WORDS, "t.jpg"),
        (thumbnail("/t.jpg", "width='many'") + WORDS, "t.jpg"),
        # Neither an author's portrait nor what counts readers.
        (media(PORTRAIT, "medium='image'") + WORDS, "text.jpg"),
        (f"<description>&lt;img src='{COUNTER}'&gt;&lt;img src='/b.jpg'&gt;</description>", "b.jpg"),
        (f"<description>&lt;img src='{COUNTER}'&gt;</description>", None),
    ],
)  # fmt: skip
def test_the_picture_of_an_entry(inside: str, expected: str | None) -> None:
    body = (
        '<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"'
        ' xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel><title>C</title>'
        f"<item><title>T</title><link>https://s.example/1</link>{inside}</item></channel></rss>"
    )
    (entry,) = parse(body.encode(), base_url="https://s.example/feed", now=NOW).entries
    assert entry.image == (expected and f"https://s.example/{expected}")
