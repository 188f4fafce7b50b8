"""Feeds that are put together from oddities: whatever they are wrapped in, the same entries are read.

What each entry says is known here, so nothing is compared with another reader's mistakes.
"""

import codecs
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.feeds.canonical import canonical_url
from mailer.feeds.reading.parse import parse
from tests.support.factories import NOW

TITLES = [
    ("The fair opens", "The fair opens"),
    ("Tom &amp; Jerry", "Tom & Jerry"),
    ("Salt & pepper", "Salt & pepper"),
    ("AT&T", "AT&T"),
    ("It&#8217;s &lt;b&gt;bold&lt;/b&gt;", "It’s bold"),
    ("<![CDATA[Raw & <i>italic</i>]]>", "Raw & italic"),
    ("&eacute;t&eacute;&nbsp;x &mdash;", "été x —"),
    ("5 &lt; 6 &gt; 4", "5 < 6 > 4"),
    ("Новости дня", "Новости дня"),
    ("新聞", "新聞"),
    ("&amp;#8220;Hi&amp;#8221;", "“Hi”"),
    ("a&#11;b\x0bc", "abc"),
    ("  two\n lines ", "two lines"),
    ("", ""),
]
LINKS = [
    ("https://s.example/{}", "https://s.example/{}"),
    ("/rel/{}", "https://s.example/rel/{}"),
    ("rel/{}", "https://s.example/rel/{}"),
    ("//s.example/{}", "https://s.example/{}"),
    ("https://s.example/?a=1&amp;b={}", "https://s.example/?a=1&b={}"),
    ("https://s.example/?a=1&b={}", "https://s.example/?a=1&b={}"),
    ("\n https://s.example/{} \n", "https://s.example/{}"),
    ("<![CDATA[https://s.example/c/{}]]>", "https://s.example/c/{}"),
    ("https://s.example/a b/{}", "https://s.example/a%20b/{}"),
    ("https://s.example/ü/{}", "https://s.example/%C3%BC/{}"),
]
MORE = [
    "",
    "<pubDate>Tue, 24 Nov 2026 06:00:00 GMT</pubDate>",
    "<pubDate>whenever</pubDate>",
    "<description>&lt;p&gt;x&lt;script&gt;alert(1)&lt;/script&gt;</description>",
    "<media:content url='/m.jpg' medium='image'><media:title>M</media:title></media:content>",
    "<media:group><media:title>G</media:title></media:group>",
    "<itunes:title>I</itunes:title>",
    "<source url='https://o.example/feed'>Other</source>",
    "<image><title>P</title><url>/u.png</url><link>https://s.example/image</link></image>",
    "<atom:link rel='self' href='https://s.example/self'/>",
    "<enclosure url='/e.mp3' type='audio/mpeg' length='1'/>",
    "<content:encoded><![CDATA[<a href='x'>y</a><title>no</title>]]></content:encoded>",
    "<comments>https://s.example/comments</comments>",
    "<category>A</category>",
]
NAMESPACES = (
    'xmlns:media="http://search.yahoo.com/mrss/" xmlns:atom="http://www.w3.org/2005/Atom"'
    ' xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'
    ' xmlns:content="http://purl.org/rss/1.0/modules/content/"'
)


def declared(encoding: str, meant: str | None = None) -> Callable[[str], bytes]:
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n'
    return lambda text: (head + text).encode(meant or encoding, "xmlcharrefreplace")


WRAPPINGS: list[Callable[[str], bytes]] = [
    declared("utf-8"),
    declared("us-ascii", "utf-8"),
    declared("iso-8859-1", "utf-8"),
    declared("nonsense", "utf-8"),
    declared("iso-8859-1"),
    declared("windows-1251"),
    declared("gb2312"),
    declared("Shift_JIS"),
    declared("utf-16"),
    lambda text: codecs.BOM_UTF8 + declared("utf-8")(text),
    lambda text: b"\n\n " + codecs.BOM_UTF8 + declared("utf-8")(text),
    lambda text: b"\n \t" + declared("utf-8")(text),
    lambda text: b"<br />\n<b>Warning</b>: in <b>/x.php</b><br />\n" + declared("utf-8")(text),
    lambda text: declared("utf-8")("<!-- <rss> and <feed> -->\n" + text),
    lambda text: declared("utf-8")("<!DOCTYPE rss PUBLIC '-//X//DTD' 'http://x/'>\n" + text),
    lambda text: declared("utf-8")("<?xml-stylesheet href='/a.xsl'?>" + text),
    lambda text: declared("utf-8")(text + "\n<!-- cached --><script>x</script>"),
    lambda text: text.encode(),
    lambda text: text.replace("\n", "\r\n").encode(),
]

Pair = tuple[str, str]
parts = st.lists(
    st.tuples(
        st.sampled_from(TITLES), st.sampled_from(LINKS), st.lists(st.sampled_from(MORE), max_size=3)
    ),
    max_size=4,
)


@given(parts, st.sampled_from(WRAPPINGS), st.sampled_from(["2.0", "0.91", "0.92"]), st.booleans())
@settings(max_examples=300)
def test_whatever_a_feed_is_wrapped_in_its_entries_are_read(
    told: list[tuple[Pair, Pair, list[str]]],
    wrap: Callable[[str], bytes],
    version: str,
    has_namespaces: bool,
) -> None:
    items = "".join(
        f"<item>{''.join(more[:1])}<title>{title}</title>{''.join(more[1:])}"
        f"<link>{link.format(number)}</link></item>\n"
        for number, ((title, _), (link, _), more) in enumerate(told)
    )
    text = (
        f'<rss version="{version}" {NAMESPACES if has_namespaces else ""}><channel>'
        f"<title>Site</title><link>https://s.example/</link>{items}</channel></rss>"
    )
    document = parse(wrap(text), base_url="https://s.example/feed", now=NOW)
    assert [entry.title for entry in document.entries] == [title for (_, title), _, _ in told]
    assert [entry.url for entry in document.entries] == [
        link.format(number) for number, (_, (_, link), _) in enumerate(told)
    ]
    for entry in document.entries:
        assert "script" not in entry.summary_html
        assert entry.canonical_url == canonical_url(str(entry.url))
