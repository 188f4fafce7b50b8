import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.digests.build.excerpt import excerpt, on_one_line, paragraphs, shorten


@pytest.mark.parametrize(
    ("html", "texts"),
    [
        ("<p>One &amp; <em>two</em>.</p><p>Three<br>four</p>", ("One & two.", "Three", "four")),
        ("plain", ("plain",)),
        ("", ()),
        ("<p> </p><p>&nbsp;</p>", ()),
        ("Before<ul><li>one</li><li>two</li></ul>after", ("Before", "• one", "• two", "after")),
        ("<ul><li></li></ul>", ()),
        ('<p>See <a href="https://a.example">here</a>.</p>', ("See here.",)),
        ("<blockquote>Quoted</blockquote>said he", ("Quoted", "said he")),
        ("<p>joined<b>bold</b>word</p>", ("joinedboldword",)),
        ("<script>no</script><style>no</style>yes", ("yes",)),
        ("&lt;b&gt;not bold&lt;/b&gt;", ("<b>not bold</b>",)),
        ("<p>It goes on [&#8230;]</p>", ("It goes on…",)),
        ("<p>It goes on ...</p>", ("It goes on…",)),
        ("<p>It ends. [...]</p>", ("It ends.",)),
        ("<p>Վերջ։ [&#8230;]</p>", ("Վերջ։",)),
        ("<p>never closed", ("never closed",)),
    ],
)
def test_paragraphs(html: str, texts: tuple[str, ...]) -> None:
    assert paragraphs(html) == texts


@pytest.mark.parametrize(
    ("text", "longest", "short"),
    [
        ("a\n b\t c ", 10, "a b c"),
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two…"),
        ("one, two three", 8, "one…"),
        ("x" * 20, 10, "x" * 9 + "…"),
        ("a " + "x" * 20, 10, "a " + "x" * 7 + "…"),
    ],
)
def test_shorten(text: str, longest: int, short: str) -> None:
    assert shorten(text, longest) == short


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  one \n\t two\u2028three ", "one two three"),
        ("« Oui »\u202f!", "« Oui »\u202f!"),
        ("«\xa0Oui\xa0»\xa0: non\xa0?", "«\xa0Oui\xa0»\xa0: non\xa0?"),
        ("10\u202f000\xa0km, №\xa05", "10\u202f000\xa0km, №\xa05"),
        ("Слово\xa0— дело", "Слово\xa0— дело"),
        # Left behind by a program: nothing asks for it there.
        ("one\xa0two\xa0three", "one two three"),
        ("one\xa0 !", "one !"),
        ("\xa0\xa0one\xa0", "one"),
        ("5\xa0\xa0", "5"),
    ],
)
def test_a_no_break_space_stays_where_typography_asks_for_it(text: str, line: str) -> None:
    assert on_one_line(text) == line
    assert paragraphs(f"<p>{text}</p>") == (line,)
    assert shorten(text, 99) == line


SITE = "https://gazette.example/news/"
POST = f'<a href="{SITE}2026/11/24/mill/">The tide mill</a>'
HOME = f'<a href="{SITE}">The Gazette</a>'


@pytest.mark.parametrize(
    ("last", "is_left_out"),
    [
        (f"<p>The post {POST} appeared first on {HOME}.</p>", True),
        (f"<p>Сообщение {POST} появились сначала на {HOME}.</p>", True),
        (f"<p>The post {POST} appeared first on {HOME}.</p>\n", True),
        (f"<p>{HOME} wrote about it in {POST}.</p>", False),
        (f"<p>{POST} and {POST}</p>", False),
        (f"<p>{POST} is in {HOME} and in {HOME}</p>", False),
        (f"<p>It says so in {POST}.</p>", False),
        (
            f"<p>{POST} is a story that took us a year to find out, says {HOME} in its weekend.</p>",
            False,
        ),
        (
            f'<p>{POST} is not of <a href="https://gazette.example/new">the same site</a>.</p>',
            False,
        ),
    ],
)
def test_where_an_article_appeared_first_is_no_news(last: str, is_left_out: bool) -> None:
    assert len(paragraphs(f"<p>It was saved. [&#8230;]</p>\n{last}")) == 2 - is_left_out


def test_a_text_that_is_nothing_else_is_kept() -> None:
    assert paragraphs(f"<p>The post {POST} appeared first on {HOME}.</p>") == (
        "The post The tide mill appeared first on The Gazette.",
    )


@given(st.text(), st.integers(min_value=2, max_value=50))
def test_shortened_is_never_longer_and_on_one_line(text: str, longest: int) -> None:
    short = shorten(text, longest)
    assert len(short) <= longest
    assert len(short.splitlines()) <= 1


@given(st.text(alphabet="<>p/&;lia \n.…[]", max_size=80), st.integers(min_value=8, max_value=60))
def test_an_excerpt_keeps_to_its_length(html: str, longest: int) -> None:
    assert sum(map(len, excerpt(html, longest))) <= longest


def test_an_excerpt_ends_where_little_room_is_left() -> None:
    html = "<p>" + "word " * 18 + "</p><p>second one</p><p>third</p>"
    assert excerpt(html, 100) == (("word " * 18).strip(),)
    assert len(excerpt(html, 1000)) == 3
