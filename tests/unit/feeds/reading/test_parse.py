import codecs
import contextlib
import io
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.errors import FeedUnreadable
from mailer.feeds.canonical import canonical_url
from mailer.feeds.reading import xml_feed
from mailer.feeds.reading.entry import Document, Entry, FeedWarnings, RawEntry, finish, headline
from mailer.feeds.reading.parse import parse

DATA = Path(__file__).parents[3] / "data" / "feeds"
NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
SAMPLES = sorted(path.name for path in DATA.iterdir())


def read(name: str, base_url: str | None = None) -> Document:
    return parse((DATA / name).read_bytes(), base_url=base_url, now=NOW)


def rss(items: str, head: str = "") -> bytes:
    return (
        f'{head}<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<channel><title>Sample</title><link>https://s.example/</link>{items}</channel></rss>"
    ).encode()


def atom(entry: str, attributes: str = "") -> bytes:
    return f"<feed xmlns='http://www.w3.org/2005/Atom' {attributes}><entry>{entry}</entry></feed>".encode()


def item(title: str = "Fair", link: str = "https://s.example/fair", more: str = "") -> str:
    return f"<item><title>{title}</title><link>{link}</link>{more}</item>"


def only(body: bytes, **more: str) -> Entry:
    (entry,) = parse(body, now=NOW, **more).entries
    return entry


def test_wordpress() -> None:
    document = read("wordpress.rss", "https://post.example/feed/")
    assert document.title == "The Sampletown Post – News & views"
    assert document.warnings == ("entry 3: no title",)
    assert document.whole
    budget, headlines, photo = document.entries
    assert budget == Entry(
        guid="https://old-post.example/?p=102",
        url="https://post.example/2026/11/budget/",
        canonical_url="https://post.example/2026/11/budget",
        title="The council’s budget – in “plain” numbers",
        headline="The council’s budget – in “plain” numbers",
        published=datetime(2026, 11, 24, 7, 30, tzinfo=UTC),
        summary_html="<p>The council met on Monday and went through the budget line by line […]</p>",
        author="Ada Sample",
        categories=("Politics", "Town & country"),
        image="https://post.example/uploads/hall.jpg",
    )
    assert headlines.title == "How we use <br> in headlines"
    assert headlines.image == "https://post.example/uploads/press.jpg"
    assert headlines.summary_html == (
        "A look behind the <strong>scenes</strong>. "
        '<a href="https://post.example/about">About us</a>'
    )
    assert (photo.title, photo.image) == ("", "https://post.example/uploads/lake.png")


@pytest.mark.parametrize("name", SAMPLES)
def test_each_entry_has_its_canonical_url_and_its_headline(name: str) -> None:
    # Found only once, here: articles are stored by the first, and shown by the second.
    for entry in read(name, "https://www.sample.example/feed/").entries:
        assert entry.canonical_url == (canonical_url(entry.url) if entry.url else "")
        assert entry.headline == headline(entry.title, entry.summary_html, entry.url)


def test_atom() -> None:
    document = read("atom.xml")
    assert document.title == "Sample & Daughters"
    bridge, cartoon = document.entries
    assert bridge == Entry(
        guid="tag:atom.example,2026:2",
        url="https://atom.example/news/bridge",
        canonical_url="https://atom.example/news/bridge",
        title="A new bridge & an old one",
        headline="A new bridge & an old one",
        published=datetime(2026, 11, 24, 4, 0, tzinfo=UTC),
        summary_html="<p>It is 5 &lt; 6 metres wide</p>",
        author="Bo Sample, Cy Sample",
        categories=("Public works",),
        image=None,
    )
    # In Atom a title is plain text unless it says otherwise (RFC 4287 section 3.1.1).
    assert cartoon.title == "Tom &amp; Jerry, literally"
    assert cartoon.url == "https://atom.example/news/cartoon"
    assert cartoon.published == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert cartoon.summary_html == (
        '<p>Read <a href="https://atom.example/news/more">more</a>, 1 &lt; 2</p>'
    )


def test_rdf_in_latin_1() -> None:
    document = read("rdf.xml")
    assert document.title == "Le Modèle"
    summer, winter = document.entries
    assert summer == Entry(
        guid="https://rdf.example/ete",
        url="https://rdf.example/ete",
        canonical_url="https://rdf.example/ete",
        title="L'été",
        headline="L'été",
        published=datetime(2026, 11, 23, 9, 0, tzinfo=UTC),
        summary_html="Il fait <strong>chaud</strong>",
        author="D. Sample",
        categories=("Météo",),
        image=None,
    )
    assert winter.url == "https://rdf.example/hiver"


def test_json_feed() -> None:
    document = read("feed.json")
    assert document.title == "JSON Sample"
    seven, eight, bare = document.entries
    assert seven == Entry(
        guid="7",
        url="https://json.example/seven",
        canonical_url="https://json.example/seven",
        title="Seven < eight",
        headline="Seven < eight",
        published=datetime(2026, 11, 24, 3, 30, tzinfo=UTC),
        summary_html="<p>It is<br>small &amp; true.</p>",
        author="Eve Sample",
        categories=("Numbers",),
        image="https://json.example/pic.jpg",
    )
    assert eight.url == "https://json.example/eight"
    assert eight.author == "The desk"
    assert eight.summary_html == "<p>Only <strong>content</strong></p>"
    assert eight.image == "https://json.example/eight.jpg"
    # What tells nothing of itself is an entry all the same; no article is made of it.
    assert (bare.url, bare.title) == (None, "")
    assert bare.guid.startswith("sha256:")
    assert "entry 4: not an object: left out" in document.warnings


def test_old_rss_with_a_document_type_that_defines_entities() -> None:
    document = read("rss-0.91.xml")
    assert document.title == "Old époque"
    assert "entity definitions were ignored" in document.warnings
    (entry,) = document.entries
    assert entry.url == "https://old.example/a?x=1&y=2"
    assert entry.title == "News of &sample; &file;"
    assert entry.summary_html == "A …"


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Sat, 31 Dec 1994 23:59:59 GMT", None),
        ("Sun, 01 Jan 1995 00:00:00 GMT", datetime(1995, 1, 1, tzinfo=UTC)),
        ("Wed, 25 Nov 2026 10:00:00 GMT", datetime(2026, 11, 25, 10, 0, tzinfo=UTC)),
        ("Wed, 25 Nov 2026 10:00:01 GMT", None),
        ("1795514400", datetime(2026, 11, 24, 10, 0, tzinfo=UTC)),
        ("mardi 24 novembre", None),
    ],
)
def test_dates_must_be_credible(published: str, expected: datetime | None) -> None:
    document = parse(rss(item(more=f"<pubDate>{published}</pubDate>")), now=NOW)
    assert document.entries[0].published == expected
    assert any("unusable date" in text for text in document.warnings) is (expected is None)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("AT&amp;T", "AT&T"),
        ("<![CDATA[AT&T]]>", "AT&T"),
        ("<![CDATA[AT&amp;T]]>", "AT&T"),
        ("&lt;b&gt;Bold&lt;/b&gt; move", "Bold move"),
        ("<![CDATA[<b>Bold</b> move]]>", "Bold move"),
        ("The &amp;lt;br&amp;gt; tag", "The &lt;br&gt; tag"),
        ("5 &lt; 6", "5 < 6"),
        ("&#1344;&#1377;&#1397;", "Հայ"),
        ("&eacute;t&eacute;", "été"),
    ],
)
def test_titles_are_decoded_once(raw: str, expected: str) -> None:
    assert only(rss(item(raw))).title == expected


@pytest.mark.parametrize("override", ["\u202e", "&#8238;", "&amp;#x202E;"])
def test_no_text_turns_around_what_stands_beside_it(override: str) -> None:
    text = f"a{override}b\u200f"
    more = (
        f"<author>{text}</author><category>{text}</category>"
        f"<description>&lt;p&gt;{text}&lt;/p&gt;</description>"
    )
    document = parse(rss(item(text, more=more)).replace(b"Sample", text.encode()), now=NOW)
    (entry,) = document.entries
    assert (document.title, entry.title, entry.author, entry.categories, entry.summary_html) == (
        "ab\u200f", "ab\u200f", "ab\u200f", ("ab\u200f",), "<p>ab\u200f</p>",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("link", "base_url", "expected"),
    [
        ("/fair", "https://feed.example/rss", "https://feed.example/fair"),
        ("/fair", None, "https://s.example/fair"),
        ("https://s.example/a?x=1&amp;y=2", None, "https://s.example/a?x=1&y=2"),
        ("javascript:alert(1)", None, None),
        ("file:///etc/passwd", None, None),
        ("  https://s.example/a  ", None, "https://s.example/a"),
    ],
)
def test_links(link: str, base_url: str | None, expected: str | None) -> None:
    document = parse(rss(item(link=link, more="<guid>g</guid>")), base_url=base_url, now=NOW)
    assert document.entries[0].url == expected
    assert any("unusable link" in text for text in document.warnings) is (expected is None)


def test_a_permalink_guid_is_a_link_and_another_is_not() -> None:
    permalink = "<item><guid>https://s.example/7</guid></item>"
    assert only(rss(permalink)).url == "https://s.example/7"
    assert only(rss(permalink.replace("<guid>", '<guid isPermaLink="false">'))).url is None
    # An empty link leaves it to the guid.
    with_link = permalink.replace("<guid>", "<link/><guid>")
    assert only(rss(with_link)).url == "https://s.example/7"


@pytest.mark.parametrize("guid", ["abc", "tag:s.example,2026:1", "7"])
def test_a_guid_that_is_no_address_is_no_link(guid: str) -> None:
    body = rss(f"<item><title>T</title><guid>{guid}</guid></item>")
    document = parse(body, base_url="https://s.example/feed", now=NOW)
    assert (document.entries[0].url, document.entries[0].guid) == (None, guid)
    body = atom(f"<title>T</title><id>{guid}</id>")
    assert only(body, base_url="https://s.example/feed").url is None


def test_a_title_for_catalogues_is_one_only_where_there_is_no_other() -> None:
    other = "<dc:title>Fair, The</dc:title>"
    assert only(rss(f"<item>{other}{item().removeprefix('<item>')}")).title == "Fair"
    assert only(rss(f"<item>{other}<link>https://s.example/1</link></item>")).title == "Fair, The"


def test_a_caption_is_no_summary_unless_there_is_nothing_else() -> None:
    media = 'xmlns:media="http://search.yahoo.com/mrss/"'
    caption = (
        "<media:content url='a.jpg'><media:description>Caption</media:description></media:content>"
    )
    both = f"<item {media}>{caption}<link>https://s.example/1</link><description>Own</description></item>"
    about = "<description>About us</description>"
    assert only(rss(about + both)).summary_html == "Own"
    alone = f"<item {media}>{caption}<link>https://s.example/1</link></item>"
    assert only(rss(about + alone)).summary_html == "Caption"


def test_a_repeated_guid_is_told_of() -> None:
    body = rss(
        item(more="<guid>g</guid>") + item(link="https://s.example/2", more="<guid>g</guid>")
    )
    document = parse(body, now=NOW)
    assert [entry.url for entry in document.entries] == [
        "https://s.example/fair",
        "https://s.example/2",
    ]
    assert "guid 'g' appears 2 times" in document.warnings


def test_only_so_many_repeated_guids_are_told_of() -> None:
    entries = [item(more=f"<guid>g{number}</guid>") for number in range(600)]
    warnings = parse(rss("".join(entries * 2)), now=NOW).warnings
    assert len(warnings) == 501
    assert "more oddities" in warnings[-1]


def test_what_cannot_be_a_key_is_made_one() -> None:
    entry = only(rss(item(more=f"<guid>{'g' * 9000}</guid><category>{'c' * 9000}</category>")))
    assert len(entry.guid) < 100
    assert len(entry.categories[0]) == 200


def test_only_so_many_categories_of_an_entry_are_kept() -> None:
    names = [f"c{number}" for number in range(60)]
    entry = only(rss(item(more="".join(f"<category>{name}</category>" for name in names))))
    assert entry.categories == tuple(names[:50])


RUSSIAN = rss(item("Новости"), '<?xml version="1.0" encoding="{}"?>')


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (RUSSIAN.replace(b"{}", b"utf-8"), "application/rss+xml; charset=utf-8"),
        (RUSSIAN.replace(b"{}", b"utf-8"), "text/xml"),
        (RUSSIAN.replace(b"{}", b"utf-8"), "text/xml; charset=iso-8859-1"),
        (RUSSIAN.replace(b"{}", b"iso-8859-1"), ""),
        (RUSSIAN.replace(b"{}", b"nonsense"), "text/html; charset=punycode"),
        (codecs.BOM_UTF8 + RUSSIAN.replace(b"{}", b"utf-8"), ""),
        (RUSSIAN.replace(b"{}", b"windows-1251").decode().encode("cp1251"), ""),
        (RUSSIAN.replace(b"{}", b"koi8-r").decode().encode("koi8-r"), "text/xml"),
        (RUSSIAN.replace(b"{}", b"utf-8").decode().encode("cp1251"), "text/xml; charset=cp1251"),
        (RUSSIAN.replace(b"{}", b"utf-16").decode().encode("utf-16"), ""),
        (RUSSIAN.replace(b"{}", b"utf-16").decode().encode("utf-16-be"), ""),
        (RUSSIAN.replace(b"{}", b"utf-32").decode().encode("utf-32"), ""),
        (b"\n\r\n " + RUSSIAN.replace(b"{}", b"utf-8"), ""),
        (b"<br />\n<b>Notice</b>: x in <b>y</b><br />\n" + RUSSIAN.replace(b"{}", b"utf-8"), ""),
        (RUSSIAN.replace(b"{}", b"utf-8").replace(b"<item>", b"<item>\x0b\x00"), ""),
    ],
)
def test_letters_are_read_whatever_the_document_says(body: bytes, content_type: str) -> None:
    document = parse(body, content_type=content_type, now=NOW)
    assert [entry.title for entry in document.entries] == ["Новости"]
    assert document.whole


def test_broken_letters_cost_no_entry() -> None:
    document = parse(rss(item("Fa\u00ef"), '<?xml version="1.0" encoding="utf-8"?>')
                     .replace("ï".encode(), b"\xef"), now=NOW)  # fmt: skip
    assert document.entries[0].title == "Faï"
    assert document.warnings[0] == "not utf-8; read as windows-1252"


@pytest.mark.parametrize(
    ("last", "is_told"),
    [("exam", False), ("ple/2</link>", True), ("About th", True), ("e storm</desc", True)],
)
def test_a_cut_off_document_gives_what_is_whole(last: str, is_told: bool) -> None:
    about = "<description>About the storm</description>"
    whole = rss("".join(item(f"No {n}", f"https://s.example/{n}", about) for n in range(3)))
    cut = whole[: whole.rindex(last.encode()) + len(last)]
    document = parse(cut, now=NOW)
    # Half an address would be an article of its own, so the last entry counts from its link on.
    assert [entry.title for entry in document.entries] == ["No 0", "No 1", "No 2"][: 2 + is_told]
    assert document.entries[-1].url == f"https://s.example/{1 + is_told}"
    assert not document.whole
    assert any("the document ends inside an entry" in warning for warning in document.warnings)


@pytest.mark.parametrize("rest", ["<guid>https://s.exa", "<guid isPermaLink='false'>4", "<title>N"])
def test_half_a_guid_or_title_is_no_entry(rest: str) -> None:
    begun = "<item><link>https://s.example/2</link>" + (
        rest if "title" in rest else f"<title>Two</title>{rest}"
    )
    cut = rss(item("One")).replace(b"</channel></rss>", begun.encode())
    assert [entry.title for entry in parse(cut, now=NOW).entries] == ["One"]


def test_a_slip_in_one_entry_costs_nothing() -> None:
    document = parse(rss(item("Salt & pepper") + item("Two", "https://s.example/2")), now=NOW)
    assert [entry.title for entry in document.entries] == ["Salt & pepper", "Two"]
    assert document.whole
    assert document.warnings[0] == "characters that XML does not allow as they stand were put right"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("AT&T", "AT&T"),
        ("a&b=c;d", "a&b=c;d"),
        ("x&#11;y&#x1F;z&#0;", "xyz"),
        ("&#x1F600;&#233;", "😀é"),
        ("caf&eacute; &mdash; &nonsense;", "café — &nonsense;"),
        ("<![CDATA[R&D &amp; more]]>", "R&D & more"),
        ("&#xD800;", ""),
    ],
)
def test_ampersands(raw: str, expected: str) -> None:
    assert only(rss(item(raw))).title == expected


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is empty"),
        (b" \n\x00", "is empty"),
        (b"hello", "not RSS, Atom or JSON Feed"),
        (b"\x89PNG\r\n\x1a\n", "not RSS, Atom or JSON Feed"),
        (b"<html><body>Log in</body></html>", "web page"),
        (b"<!DOCTYPE html><title>x</title><svg><rdf:RDF></rdf:RDF></svg>", "web page"),
        (b'<html><link rel="alternate" type="application/rss+xml" href="/f?a&amp;b">',
         "give the address of its feed: 'https://s.example/f?a&b'"),
        (b"<opml></opml>", "not RSS, Atom or JSON Feed"),
        (b'{"items": [', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"data": []}', "not a JSON Feed"),
        (b"[1]", "not a JSON Feed"),
        (b"/etc/hostname", "not RSS, Atom or JSON Feed"),
    ],
)  # fmt: skip
def test_what_is_no_feed(body: bytes, says: str) -> None:
    with pytest.raises(FeedUnreadable, match=says.replace("?", r"\?")):
        parse(body, base_url="https://s.example/", now=NOW)


def test_an_empty_feed_is_a_feed() -> None:
    assert parse(rss(""), now=NOW) == Document("Sample", (), ())


def test_entity_bombs_never_reach_the_parser() -> None:
    levels = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
    head = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY e0 "ha">{levels}]>'
    assert only(rss(item("&e12;"), head)).title == "&e12;"


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_is_opened_or_connected_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = (DATA / name).read_bytes()

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was opened")

    for where, what in ((io, "open"), (os, "open"), (socket, "socket"), (socket, "getaddrinfo")):
        monkeypatch.setattr(where, what, refuse)
    monkeypatch.setattr("builtins.open", refuse)
    assert parse(body, base_url=f"file:///{name}", now=NOW).entries


def assert_sound(document: Document) -> None:
    for entry in document.entries:
        assert entry.guid
        assert "\x00" not in "".join(
            (entry.guid, entry.title, entry.summary_html, *entry.categories)
        )
        json.dumps([entry.guid, entry.title, entry.summary_html]).encode()
        f"{entry}".encode()
        assert entry.url is None or entry.url.startswith(("http://", "https://"))
        assert entry.image is None or entry.image.startswith(("http://", "https://"))
        assert "javascript:" not in entry.summary_html.lower().split("<a href=")[-1][:15]


@given(st.binary(max_size=400))
def test_no_bytes_crash_it(body: bytes) -> None:
    with contextlib.suppress(FeedUnreadable):
        assert_sound(parse(body, now=NOW))


@given(
    st.sampled_from(SAMPLES),
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 30),
            st.binary(max_size=12)
            | st.sampled_from(
                [b"<", b">", b"]]>", b"<![CDATA[", b"&", b"&#0;", b"&#xD800;", b"&#99999999;", b"<!--",
                 b"<item>", b"</item>", b"<entry>", b"<svg>", b"</channel>", b"<!DOCTYPE x [", b"\x00",
                 b"<image>", b"</image>", b"<source>", b"<textinput>", b' base="http://[" ', b"\xff\xfe",
                 b"<media:thumbnail/>", b"<link/>", b"null", b"{}", b"[]", b'"\\ud800"', b"1e999"]
            ),
        ),
        min_size=1,
        max_size=6,
    ),
    st.floats(0.2, 1),
)  # fmt: skip
def test_no_damage_crashes_it(
    name: str, damages: list[tuple[float, int, bytes]], kept: float
) -> None:
    body = (DATA / name).read_bytes()
    for place, length, wedge in damages:
        at = int(place * len(body))
        body = body[:at] + wedge + body[at + length :]
    with contextlib.suppress(FeedUnreadable):
        assert_sound(parse(body[: int(len(body) * kept)], now=NOW))


@pytest.mark.parametrize(
    "part", [b"<x>", b"<", b"<item a='", b"<item><title>&", b"&", b"<![CDATA["]
)
def test_hostile_documents_end(part: bytes) -> None:
    # The global time-out is the judge; a tenth of the largest document keeps the test quick.
    with contextlib.suppress(FeedUnreadable):
        parse(rss("").replace(b"</channel></rss>", part * (500_000 // len(part))), now=NOW)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("It&#146;s", "It’s"),
        ("It\x92s", "It’s"),
        ("&#55357;&#56832; and &#xD83D;&#xDE00;", "😀 and 😀"),
        ("&#55357; alone", "alone"),
        ("a ]]> b", "a ]]> b"),
        ("How we use &lt;br&gt; in headlines", "How we use <br> in headlines"),
        ("One line&lt;br&gt;and another", "One line and another"),
    ],
)
def test_letters_that_were_written_in_odd_ways(raw: str, expected: str) -> None:
    document = parse(rss(item(raw)), now=NOW)
    assert [entry.title for entry in document.entries] == [expected]
    assert document.whole


@pytest.mark.parametrize(
    "around",
    [
        "<!--[if IE]><html><![endif]-->{}",
        "<html><body>{}",
        "<!DOCTYPE html><html><head></head><body>{}</body></html>",
    ],
)
def test_a_feed_inside_a_page_is_read_where_it_is_beyond_doubt(around: str) -> None:
    body = around.format(rss(item()).decode()).encode()
    document = parse(body, now=NOW)
    assert [entry.title for entry in document.entries] == ["Fair"]
    assert "text before the feed was ignored" in document.warnings or "<!--" in around
    for vague in ("<feed>", "<entry class='x'>", "<channel>", "<rss>"):
        with pytest.raises(FeedUnreadable, match="web page"):
            parse(f"<html><body>{vague}</body></html>".encode(), now=NOW)


def test_what_an_activity_is_about_is_no_link_of_the_entry() -> None:
    entry = (
        "<title>T</title><link href='/t'/><id>i</id>"
        "<activity:object><title>O</title><link rel='alternate' href='/o'/></activity:object>"
    )
    body = atom(entry, "xmlns:activity='http://activitystrea.ms/spec/1.0/'")
    assert only(body, base_url="https://s.example/f").url == "https://s.example/t"


JSON_FEED = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Sample",
        "home_page_url": "https://j.example/",
        "items": [{"id": str(n), "url": f"/{n}", "title": f"T{n}"} for n in range(3)],
    }
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (JSON_FEED[:-20], 2),
        (JSON_FEED.replace("}]", "},]"), 3),
        (JSON_FEED.replace('"T1"', "T1"), 1),
        (JSON_FEED + "<!-- cached -->", 3),
    ],
)
def test_what_is_whole_of_a_broken_json_feed_is_read(text: str, number: int) -> None:
    document = parse(text.encode(), now=NOW)
    assert [entry.url for entry in document.entries] == [
        f"https://j.example/{n}" for n in range(number)
    ]
    assert document.title == "Sample"
    assert not document.whole
    assert "not valid JSON; what can be read of it was read" in document.warnings


def test_control_characters_stand_in_json_as_they_are() -> None:
    document = parse(JSON_FEED.replace("T1", "T\t1\n").encode(), now=NOW)
    assert document.entries[1].title == "T 1"
    assert document.whole


NAMES = (
    "links dc:pos dc:point Authors atom:links contributors enclosures media_content media_thumbnail "
    "title_detail summary_detail author_detail published_parsed tags "
    "image id link_detail items href keys get source"
)


@pytest.mark.parametrize("name", NAMES.split())
@pytest.mark.parametrize(
    "form", ["<{0}>x</{0}>", "<{0}/>", "<{0} a='b'>x</{0}>", "<{0}><author>A</author></{0}>"]
)
def test_no_name_of_an_element_is_a_trap(name: str, form: str) -> None:
    odd = form.format(name)
    date = "<pubDate>Tue, 24 Nov 2026 06:00:00 GMT</pubDate>"
    for items in (
        item(more=f"{odd}<author>Ada</author>{date}<enclosure url='/e' type='a/b'/>"),
        f"<item>{odd}{item(more=date).removeprefix('<item>')}",
        odd + item(),
    ):
        entry = only(
            rss(items).replace(b"<rss ", b"<rss xmlns:atom='http://www.w3.org/2005/Atom' ")
        )
        assert (entry.title, entry.url) == ("Fair", "https://s.example/fair")


def test_an_entry_that_nobody_can_read_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def trap(raw: RawEntry, now: datetime, warn: FeedWarnings) -> Entry:
        if raw.title == "Trap":
            raise AttributeError("'str' object has no attribute 'get'")
        return finish(raw, now, warn)

    monkeypatch.setattr(xml_feed, "finish", trap)
    document = parse(rss(item("Trap") + item()), now=NOW)
    assert [entry.title for entry in document.entries] == ["Fair"]
    assert "entry 1: cannot be read: left out" in document.warnings


def test_plain_content_is_no_markup() -> None:
    content = "<content type='text'>1 &lt; 2 &lt;b&gt;\n\nx</content>"
    assert (
        only(atom(f"<title>T</title><link href='/t'/>{content}")).summary_html
        == "<p>1 &lt; 2 &lt;b&gt;</p><p>x</p>"
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("&amp;lt;p&amp;gt;Hi &amp;amp;amp; bye&amp;lt;/p&amp;gt;", "<p>Hi &amp; bye</p>"),
        ("&amp;lt;a href='/x'&amp;gt;Hi&amp;lt;/a&amp;gt;", '<a href="https://s.example/x">Hi</a>'),
        ("Use &amp;lt;b&amp;gt; for bold", "Use &lt;b&gt; for bold"),
        ("&amp;lt;main&amp;gt; is new", "&lt;main&gt; is new"),
        (
            "&amp;lt;p&amp;gt;&amp;lt;script&amp;gt;x&amp;lt;/script&amp;gt;y&amp;lt;/p&amp;gt;",
            "<p>y</p>",
        ),
    ],
)
def test_markup_that_was_escaped_twice_is_markup(raw: str, expected: str) -> None:
    assert only(rss(item(more=f"<description>{raw}</description>"))).summary_html == expected


@pytest.mark.parametrize(
    "links",
    [
        "<link href='/t'/><link rel='self' href='/s'/>",
        "<link rel='' href='/t'/><link rel='self' href='/s'/>",
        "<link rel='alternate' href='/t'/><link rel='self' href='/s'/>",
        "<link rel='http://www.iana.org/assignments/relation/alternate' href='/t'/><link rel='self'/>",
        # The text of a link to something else is no page.
        "<link rel='alternate' href='/t'/><link rel='enclosure'>/picture.jpg</link>",
    ],
)
def test_the_page_of_an_entry_in_every_way_to_write_it(links: str) -> None:
    body = atom(f"<title>T</title><id>i</id>{links}")
    assert only(body, base_url="https://s.example/f").url == "https://s.example/t"
