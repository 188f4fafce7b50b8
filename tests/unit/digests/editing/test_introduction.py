"""Introductions: what staff write becomes harmless HTML, and text that says the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.digests.editing.introduction import Intro, TextFormat, read_intro
from mailer.errors import Refused

MARKDOWN = """# Good *morning*

The **fair** opens [on Friday](https://news.example/fair?a=1&b=2).
Doors at nine.

1. Bread
2. Roses, which go on and on until the line is longer than what mails hold
   - red

> Nobody
> knows.

---
Write to <desk@news.example>.
"""


def test_markdown_in_both_parts() -> None:
    intro = read_intro(MARKDOWN, TextFormat.MARKDOWN)
    assert "<h2>Good <em>morning</em></h2>" in intro.html
    assert '<a href="https://news.example/fair?a=1&amp;b=2">on Friday</a>' in intro.html
    assert (
        intro.text
        == """Good morning

The fair opens on Friday (https://news.example/fair?a=1&b=2). Doors at
nine.

1. Bread
2. Roses, which go on and on until the line is longer than what mails
   hold
  - red

> Nobody knows.

----------

Write to desk@news.example."""
    )


@pytest.mark.parametrize(
    ("written", "how", "html"),
    [
        ("a <b>\nc\n\nd & e", TextFormat.TEXT, "<p>a &lt;b&gt;<br>c</p><p>d &amp; e</p>"),
        ("*a* <b>b</b>", TextFormat.MARKDOWN, "<p><em>a</em> &lt;b&gt;b&lt;/b&gt;</p>"),
        ("<div>a</div><div>b</div>", TextFormat.HTML, "<p>a</p><p>b</p>"),
        ("<p onclick=x style=y class=z>a</p>", TextFormat.HTML, "<p>a</p>"),
        ("<p>a<img src=https://x.example/1.png></p>", TextFormat.HTML, "<p>a</p>"),
        ("<p>a</p><script>b</script><style>c</style>", TextFormat.HTML, "<p>a</p>"),
        ("<h1>a</h1><b>b</b>", TextFormat.HTML, "<h2>a</h2><strong>b</strong>"),
        ('<a href="javascript:x">a</a>', TextFormat.HTML, "<a>a</a>"),
        ('<a href="/fair">a</a>', TextFormat.HTML, "<a>a</a>"),
        ("[a](javascript:alert(1))", TextFormat.MARKDOWN, "<p>[a](javascript:alert(1))</p>"),
    ],
)
def test_what_is_kept(written: str, how: TextFormat, html: str) -> None:
    assert read_intro(written, how).html == html


def test_a_link_whose_words_are_its_address_stands_once() -> None:
    intro = read_intro("<https://news.example/> and <desk@news.example>", TextFormat.MARKDOWN)
    assert intro.text == "https://news.example/ and desk@news.example"


def test_a_link_around_blocks_stands_behind_the_words_of_each() -> None:
    html = '<a href="https://news.example/"><h2>Fair</h2><p>Friday</p></a>'
    text = "Fair (https://news.example/)\n\nFriday (https://news.example/)"
    assert read_intro(html, TextFormat.HTML).text == text


@pytest.mark.parametrize("how", TextFormat)
@pytest.mark.parametrize("written", ["", " \n\t", "<script>x</script>"])
def test_nothing_to_read_is_refused(written: str, how: TextFormat) -> None:
    if written.strip() and how is not TextFormat.HTML:
        assert "script" in read_intro(written, how).text
        return
    with pytest.raises(Refused, match="is empty"):
        read_intro(written, how)


@given(st.text(max_size=200), st.sampled_from(TextFormat))
def test_whatever_is_written_is_harmless_and_fits(written: str, how: TextFormat) -> None:
    try:
        intro: Intro = read_intro(written, how)
    except Refused:
        return
    assert "<script" not in intro.html
    assert "<img" not in intro.html
    for line in intro.text.splitlines():
        # A longer word stands alone.
        assert len(line) <= 72 or max(map(len, line.split())) > 60
