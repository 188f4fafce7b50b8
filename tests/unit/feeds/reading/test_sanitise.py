import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.feeds.reading.sanitise import (
    SUMMARY_LENGTH,
    clean_text,
    one_line,
    summarise,
    title_text,
    without_markup,
)

BASE = "https://news.example/feed"


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<p>Plain</p>", "<p>Plain</p>"),
        ("a <b>bold</b> <i>word</i>", "a <strong>bold</strong> <em>word</em>"),
        ("<div>One<div>Two</div></div>", "<p>One</p><p>Two</p>"),
        ("<h2>Head</h2><p>Text</p>", "<p>Head</p><p>Text</p>"),
        ("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "<p>a b</p>"),
        ('<a href="/fair" onclick="x()">go</a>', '<a href="https://news.example/fair">go</a>'),
        ('<a href="mailto:desk@news.example">m</a>', '<a href="mailto:desk@news.example">m</a>'),
        ('<a href="javascript:alert(1)">go</a>', "<a>go</a>"),
        ('<img class="wp-smiley" alt="☀" src="/s.png"> sun', "☀ sun"),
        ('a<img src="/a.png" alt="a > b">b', "a b"),
        ("<script>alert(1)</script>text<style>p{}</style>", "text"),
        ("<form>Password: <input></form>text", "text"),
        ('<iframe src="https://evil.example">no frames</iframe>text', "text"),
        ("text<br><br>", "text"),
        ("<p>&nbsp;</p><p><br></p><p>text</p>", "<p>text</p>"),
        ("excerpt [&#8230;]", "excerpt […]"),
        ('<img src="data:image/png;base64,' + "A" * 99_000 + '">text', "text"),
        ("5 < 6 & 7", "5 &lt; 6 &amp; 7"),
        ('<p title="onload=x" lang="en">a <a title="b" href="/c">d</a></p>',
         '<p>a <a href="https://news.example/c">d</a></p>'),
        ("a&#1;b&#x7f;c <a href='mailto:desk&#27;@news.example'>m</a>",
         'abc <a href="mailto:desk@news.example">m</a>'),
        ("", ""),
    ],
)  # fmt: skip
def test_summary(markup: str, expected: str) -> None:
    assert summarise(markup, BASE) == expected


ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><img src onerror=alert(1)></style></mglyph></table></math>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' &#106;avascript:alert(1)'>x</a>",
    "<a href='java&#10;script:alert(1)'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<a href='data:text/html;base64,AAAA'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<p style='background:url(https://evil.example)'>x</p>",
    "<base href='https://evil.example/'><a href='x'>x</a>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<<b>script>alert(1)</b>",
    "<form action=https://evil.example><input name=password></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<object data=x><embed src=x>",
    "<div id=x class=y onmouseover=alert(1)>x</div>",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<h1 title='<b onclick=x>'>x</h1>",
    "<b title='\"><script>'>x</b>",
]
ALLOWED = re.compile(
    r"</?(?:p|em|strong|ul|ol|li|blockquote)>|<br>|</a>|<a>|<a href=\"(?:https?|mailto):[^\"<>]*\">"
)


def assert_harmless(output: str) -> None:
    assert "<" not in ALLOWED.sub("", output), output


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("frame", ["{}", "<p>{}</p>", "<div><h2>{}</h2>", '<img alt="{}" src=x>'])
def test_nothing_active_comes_through(attack: str, frame: str) -> None:
    assert_harmless(summarise(frame.format(attack), BASE))


@given(
    st.lists(
        st.sampled_from(
            ["<p>", "</p>", "<b>", "</div>", "<div>", '<img class="emoji" alt="', '"', "<", ">", "&lt;",
             "<a href=", "javascript:", "'", "<h1 ", "</h1>", "text ", "<br>", "<li>", "<table><tr><td>",
             "&#60;", "&quot;", " onclick=", "<script>", "<!--", "-->", "\x00", "é", "<svg>"]
        ),
        max_size=40,
    ).map("".join)
)  # fmt: skip
def test_any_markup_becomes_harmless(markup: str) -> None:
    assert_harmless(summarise(markup, BASE))
    assert_harmless(summarise(summarise(markup, BASE), BASE))


@pytest.mark.parametrize("word", ["word ", "слово ", "&amp; ", "<b>bold</b> ", "x"])
def test_a_long_summary_is_cut_and_closed(word: str) -> None:
    summary = summarise(f"<blockquote><p>{word * 3000}</p></blockquote>", BASE)
    assert re.search("…(</strong>)?</p></blockquote>$", summary)
    shown = without_markup(summary)
    assert SUMMARY_LENGTH - 20 < len(shown) <= SUMMARY_LENGTH + 2


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Plain", "Plain"),
        ("  two\n lines ", "two lines"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("How to use <br> well", "How to use <br> well"),
        ("<b>Bold</b> words", "Bold words"),
        ("One<br/>Two", "One Two"),
        ('<img src="x" onerror="alert(1)">Hi', "Hi"),
        ("<script>alert(1)</script>News", "News"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("It&#8217;s", "It’s"),
        ("The &lt;br&gt; tag", "The &lt;br&gt; tag"),
        ("&nonsense; &#0;", "&nonsense; \ufffd"),
        ("bell\x07\x00", "bell"),
        ("The roaring 20&#39s", "The roaring 20's"),
        ("News<br></br>", "News"),
        ('Safe <object data="x">words', "Safe words"),
        ('<p title="a > b">Bold</p> words', "Bold words"),
    ],
)
def test_title(title: str, expected: str) -> None:
    assert title_text(title) == expected


@given(st.text(alphabet=st.characters() | st.sampled_from(" \t\n\xa0\x85ab")))
def test_one_line_is_the_words_and_single_spaces(text: str) -> None:
    assert one_line(text) == " ".join(clean_text(text).split())


@given(st.text())
def test_clean_text_can_be_stored(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode("utf-8")
    assert "\x00" not in cleaned


@pytest.mark.parametrize(
    "part", ["<", "&", "<div>", "<em>", "<li><ul>", "<b x=", '<b x="', "<p><em>"]
)
def test_hostile_markup_takes_no_time_to_speak_of(part: str) -> None:
    # A budget of the test's own would depend on the machine: the global time-out is the judge.
    summarise(part * 500_000, BASE)
    title_text(part * 500_000)
    without_markup(part * 500_000)


@given(st.text("ab \n\t\r\x85\u2003\u200bé\"'漢😀=;#-", max_size=60))
def test_plain_words_come_out_as_parsing_would_bring_them(text: str) -> None:
    # A comment has no text, but makes the markup be parsed.
    assert summarise(text, None) == summarise(text + "<!-- -->", None)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("What does </div> do?", "What does </div> do?"),
        ("The <br/> tag, and <img src=x>", "The <br/> tag, and <img src=x>"),
        ("Tom &amp; Jerry", "Tom &amp; Jerry"),
        ("<b>Bold</b> move", "Bold move"),
        ('<a href="/x">Linked</a>', "Linked"),
        ("<i>Torn</b>", "<i>Torn</b>"),
    ],
)
def test_a_title_that_says_it_is_text_keeps_what_is_no_pair_of_tags(
    title: str, expected: str
) -> None:
    assert title_text(title, decode=False) == expected


def test_an_address_of_a_mailbox_holds_no_blanks() -> None:
    assert summarise('<a href=" mailto:a@b.example?subject=a \n b">x</a>', None) == (
        '<a href="mailto:a@b.example?subject=a%20b">x</a>'
    )
