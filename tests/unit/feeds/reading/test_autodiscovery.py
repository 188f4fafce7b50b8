import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.feeds.reading.autodiscovery import feeds_of

URL = "https://news.example/start/"


def link(href: str, kind: str = "application/rss+xml", more: str = "") -> str:
    return f'<link rel="alternate" type="{kind}" href="{href}"{more}>'


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (link("/feed"), ["/feed"]),
        (link("feed.xml"), ["/start/feed.xml"]),
        ('<base href="/sub/">' + link("feed.xml"), ["/sub/feed.xml"]),
        (link("/feed?a=1&amp;b=2"), ["/feed?a=1&b=2"]),
        (
            "<LINK HREF='/a' TYPE='Application/Atom+XML; charset=utf-8' REL='home Alternate'/>",
            ["/a"],
        ),
        ("<link href=/j rel=alternate type=application/feed+json>", ["/j"]),
        # Each once, in their order.
        (link("/rss") + link("/atom", "application/atom+xml") + link("/rss"), ["/rss", "/atom"]),
        # Those of comments, as WordPress names them, and by their title.
        (link("/feed/") + link("/comments/feed/"), ["/feed/"]),
        (link("/?feed=rss2") + link("/?feed=comments-rss2"), ["/?feed=rss2"]),
        (link("/fair/feed/", more=' title="Fair » Comments Feed"') + link("/feed/"), ["/feed/"]),
        (link("/feed/commentary") + link("/feed"), ["/feed/commentary", "/feed"]),
        (link("/comments/feed/"), ["/comments/feed/"]),
        # What is no feed of the page.
        (link("/wp-json/", "application/json"), []),
        (link("/hy/", "text/html"), []),
        ('<link rel="stylesheet" type="application/rss+xml" href="/feed">', []),
        (link("javascript:alert(1)") + link("file:///etc/passwd") + link(""), []),
        ("<!-- " + link("/old") + " --><script>'" + link("/shown") + "'</script>", []),
        ("x" * 600_000 + link("/late"), []),
    ],
)
def test_the_feeds_that_a_page_names(head: str, expected: list[str]) -> None:
    found = feeds_of(f"<!doctype html><html><head>{head}</head></html>", URL)
    assert found == [f"https://news.example{path}" for path in expected]


def test_what_is_no_page_names_none() -> None:
    assert feeds_of(f"<feed>{link('/other')}</feed>", URL) == []


@given(st.text("<>linkbase/ hre='\"tyalnx!-", max_size=200))
def test_any_page_can_be_looked_at(head: str) -> None:
    assert all(feed.startswith("http") for feed in feeds_of("<html>" + head, URL))
