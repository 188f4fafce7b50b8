"""Documents that are made to keep the feed library busy, and large ones that are not."""

import pytest

from mailer.errors import FeedUnreadable
from mailer.feeds.burden import (
    LONGEST_WORD,
    MOST_ATTRIBUTES,
    MOST_TAGS,
    MOST_TERMS,
    refuse_burden,
)
from mailer.feeds.document import read_text


def rss(inner: str) -> str:
    return f'<rss version="2.0"><channel>{inner}</channel></rss>'


def entry(inner: str) -> str:
    return rss(f"<item>{inner}</item>")


TERMS = "".join(f"<category>{n}</category>" for n in range(MOST_TERMS + 1))
KEYWORDS = ",".join(str(n) for n in range(MOST_TERMS + 2))
LONG = "a." * LONGEST_WORD
ATTRIBUTES = " ".join(f"a{n}='1'" for n in range(MOST_ATTRIBUTES + 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (rss("<x>" * (MOST_TAGS + 1)), "tags"),
        (rss("<item/>" * (MOST_TAGS + 1)), "tags"),
        (entry(f"<title b='>' {ATTRIBUTES}>T</title>"), "attributes"),
        (entry(TERMS), "categories"),
        (entry(TERMS.replace("category", "dc:subject")), "categories"),
        (entry(f"<itunes:keywords>{KEYWORDS}</itunes:keywords>"), "categories"),
        (entry(f"<media:keywords><![CDATA[{KEYWORDS}]]>"), "categories"),
        (entry(f"<author>{LONG}</author>"), "author"),
        (entry(f"<dc:creator><![CDATA[{LONG}]]></dc:creator>"), "author"),
        (entry(f"<author><name>{LONG[:400]}<b/>{LONG}</name></author>"), "author"),
        (entry(f"<author>{'&#97;' * 301}"), "author"),
    ],
)
def test_what_is_made_to_be_slow_is_refused(text: str, says: str) -> None:
    with pytest.raises(FeedUnreadable, match=says):
        refuse_burden(text)


@pytest.mark.parametrize(
    "text",
    [
        entry(f"<description><![CDATA[{'<p>' * (MOST_TAGS + 1)}]]></description>"),
        entry(
            f"<description>{'&lt;a href=&quot;x&quot; b=' + '&quot;y&quot;' * 900}</description>"
        ),
        rss("".join(f"<item><category>{n}</category></item>" for n in range(MOST_TERMS * 3))),
        entry(f"<dc:creator>{'Ada Sample, ' * 5000}</dc:creator>"),
        entry(f"<description>{'QUJD' * 9000}</description><author>Ada</author>"),
        entry(f"<img src='data:image/png;base64,{'QUJD' * 9000}' alt='a=b'/>"),
    ],
)
def test_what_is_only_large_is_not(text: str) -> None:
    refuse_burden(text)


@pytest.mark.parametrize("piece", ["<", "<![CDATA[", "<author>", "<keywords>", "<item>", "<a b='"])
def test_the_search_itself_takes_no_time_to_speak_of(piece: str) -> None:
    # The global time-out is the judge.
    text = rss(piece * (5_000_000 // len(piece)))
    with pytest.raises(FeedUnreadable):
        refuse_burden(text)
        raise FeedUnreadable


@pytest.mark.parametrize(
    "piece", ["<!--", "<!-- <rss ", "<html><!--", "<![CDATA[", "&#55357;", "<link", "]]>"]
)
def test_the_search_for_the_feed_takes_none_either(piece: str) -> None:
    body = (piece * (5_000_000 // len(piece))).encode()
    with pytest.raises(FeedUnreadable):
        read_text(body, "", None)
        raise FeedUnreadable
