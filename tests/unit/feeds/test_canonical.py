from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.feeds.canonical import MAX_URL_LENGTH, absolute_url, canonical_url, path_of

SAME = "https://news.example/2026/fair?id=7"


@pytest.mark.parametrize(
    "url",
    [
        "https://news.example/2026/fair?id=7",
        "http://news.example/2026/fair?id=7",
        "https://www.news.example/2026/fair?id=7",
        "HTTPS://WWW.News.Example/2026/fair?id=7",
        "https://news.example:443/2026/fair?id=7",
        "http://news.example:80/2026/fair?id=7",
        "https://news.example./2026/fair?id=7",
        "https://news.example/2026/fair?id=7#comments",
        "https://news.example/2026/fair?utm_source=rss&id=7&utm_medium=feed",
        "https://news.example/2026/fair?id=7&fbclid=abc",
        "https://news.example/2026/fair?gclid=x&id=7&mc_cid=1&mc_eid=2",
        "https://news.example/2026/fair?id=7&UTM_Campaign=x&",
        "https://reader:secret@news.example/2026/fair?id=7",
        "https://news.example/2026/f%61ir?id=7",
        "https://news.example/2026/fair/?id=7",
        "https://news.example/2026/fair?id=7&amp;utm_source=rss",
        "https://news.example/2026/fair;jsessionid=A1?id=7&PHPSESSID=b2",
        "https://news.example/2026/fair?xtor=RSS-1&id=7",
    ],
)
def test_one_article_has_one_canonical_url(url: str) -> None:
    found = absolute_url(url)
    assert found is not None
    assert canonical_url(found) == SAME


@pytest.mark.parametrize(
    "url",
    [
        "https://news.example/2026/fair?id=8",
        "https://news.example/2026/Fair?id=7",
        "https://news.example/2026/fair",
        "https://other.example/2026/fair?id=7",
        "https://news.example:8443/2026/fair?id=7",
        "https://news.example/2026/fair?id=7&page=2",
        "https://news.example/2026/fair?id=7&amp=1",
        "https://news.example/2026/fair?utm=1&id=7",
    ],
)
def test_other_articles_have_other_urls(url: str) -> None:
    found = absolute_url(url)
    assert found is not None
    assert canonical_url(found) != SAME


@pytest.mark.parametrize(
    ("link", "base", "expected"),
    [
        ("/fair", "https://news.example/feed", "https://news.example/fair"),
        ("fair", "https://news.example/blog/feed", "https://news.example/blog/fair"),
        ("?p=7", "https://news.example/", "https://news.example/?p=7"),
        ("//cdn.example/a", "https://news.example/", "https://cdn.example/a"),
        (" https://news.example/a\n", None, "https://news.example/a"),
        ("https://news.example/\n   a\r\n?b=1", None, "https://news.example/a?b=1"),
        ("https://news.example/a b", None, "https://news.example/a%20b"),
        ("https://news.example/50%", None, "https://news.example/50%25"),
        ("https://news.example/%D5%A1", None, "https://news.example/%D5%A1"),
        ("https://news.example/ա", None, "https://news.example/%D5%A1"),
        ("https://Новости.example/", None, "https://xn--b1amnebsh.example/"),
        ("http://[::1]:8000/a", None, "http://[::1]:8000/a"),
        ("/fair", None, None),
        ("", "https://news.example/feed", None),
        ("javascript:alert(1)", "https://news.example/", None),
        ("java\nscript:alert(1)", "https://news.example/", None),
        ("data:text/html,x", "https://news.example/", None),
        ("file:///etc/passwd", None, None),
        ("ftp://news.example/", None, None),
        ("https://", None, None),
        ("https://news.example:99999/", None, None),
        ("https://[::1/", None, None),
        ('https://news"onmouseover=x.example/', None, None),
        ("https://news.example/" + "a" * MAX_URL_LENGTH, None, None),
    ],
)
def test_absolute_url(link: str, base: str | None, expected: str | None) -> None:
    assert absolute_url(link, base) == expected


@pytest.mark.parametrize(
    ("canonical", "expected"),
    [
        ("https://old.example/2026/fair/", "2026/fair"),
        ("https://new.example/2026/fair", "2026/fair"),
        ("https://new.example/?p=7", "?p=7"),
        ("https://new.example/", ""),
    ],
)
def test_place_is_what_stays_when_a_site_moves(canonical: str, expected: str) -> None:
    assert path_of(canonical) == expected


@given(st.text(max_size=80), st.sampled_from([None, "https://news.example/a/", "nonsense"]))
def test_any_text_is_an_address_or_none(link: str, base: str | None) -> None:
    url = absolute_url(link, base)
    if url is not None:
        assert urlsplit(url).scheme in {"http", "https"}
        assert url.isascii()
        assert absolute_url(url) == url
        assert canonical_url(canonical_url(url)) == canonical_url(url)


@given(st.text(max_size=60))
def test_any_path_and_query_is_made_canonical_once(rest: str) -> None:
    url = absolute_url("https://news.example/" + rest)
    if url is not None:
        assert canonical_url(canonical_url(url)) == canonical_url(url)


@given(
    st.from_regex(
        r"https?://[a-z0-9-]{1,5}(\.[a-z0-9-]{1,5}){0,2}(:80)?(/[a-zA-Z0-9;.%~!$&'()*+,=:@/?#-]{0,20})?",
        fullmatch=True,
    )
)
def test_a_plain_address_is_what_the_long_way_makes_of_it(link: str) -> None:
    # An invisible letter in it leads the long way.
    assert absolute_url(link) == absolute_url(link + "\x01")
    assert absolute_url(link, "https://news.example/a") == absolute_url(
        "\x01" + link, "https://news.example/a"
    )
