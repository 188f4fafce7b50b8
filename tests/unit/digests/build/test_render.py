import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mailer.digests.build.render import MAX_HTML_BYTES, Story, edition_renderer
from mailer.digests.schedules.calendar import Slot
from mailer.errors import BadTemplate, MessageTooLong
from mailer.lint import judge
from mailer.lint.html_page import visible_text
from mailer.message.content import Content
from mailer.message.look import Look
from mailer.message.reader_fields import ReaderField, split_text
from mailer.models import Article, Edits, Newsletter
from mailer.templating.templates import Templates
from tests.support.sample_mails import (
    BASE_URL,
    FIELDS,
    always,
    digest_mail,
    edition,
    look,
    slot_in,
    story,
)

HOSTILE = "{{7*7}} {% raw %} <b onclick=x>\"'&amp; ${7} \x00\u2028end"
ARMENIAN = story(
    2,
    title="Քաղաքային խորհուրդը որոշեց վերաբացել հին լողավազանը հաջորդ գարնանը",
    summary_html="<p>" + "Երեք տարվա քննարկումներից հետո խորհուրդը որոշեց։ " * 40 + "</p>",
    author="Աննա Պետրոսյան",
)
ARABIC = story(3, title="المجلس البلدي يقرر إعادة فتح المسبح", author="سارة حداد")
RUSSIAN = story(4, title="Городской совет проголосовал", author="Анна")


def override(folder: Path, name: str, text: str) -> Templates:
    (folder / "mail").mkdir()
    (folder / "mail" / name).write_text(text)
    return Templates(folder)


def test_both_parts_hold_the_same() -> None:
    pictured = story(1, image_url="https://gazette.example/1.jpg")
    content = edition(pictured, story(2), story(3, author=None), more_count=7)
    for part in (visible_text(content.html), content.text):
        words = " ".join(part.split())
        assert "The Harbour Gazette" in words
        assert "Tuesday, 24 November 2026" in words
        for number in (1, 2, 3):
            assert f"Story {number}" in words
            assert f"What happened in story {number}." in words
        assert "And 7 more stories on the site" in words
        assert "You’re receiving this email because you subscribed to The Harbour Gazette." in words
        assert "Merrowhaven Press" in words
        assert "1 Quay Street" in words
        assert "Merrowhaven" in words
    for part in (content.html, content.text):
        assert [part.count(f"https://gazette.example/news/{n}") > 0 for n in (1, 2, 3)] == [
            True
        ] * 3
        assert f"{BASE_URL}/preferences" in part
        assert "https://gazette.example/" in part
        assert set(split_text(part, content.marker).fields) == {
            ReaderField.GREETING,
            ReaderField.UNSUBSCRIBE,
        }


@pytest.mark.parametrize(
    ("author", "is_named"),
    [
        ("Adam Admin", True),
        (" admin\n", False),
        ("Administrator", False),
        ("the harbour gazette", False),
        ("gazette.example", False),
        ("www.Gazette.example", False),
    ],
)
def test_an_account_or_the_site_itself_is_no_byline(author: str, is_named: bool) -> None:
    content = edition(story(1, author=author), story(2, author=author))
    for part in (visible_text(content.html), content.text):
        assert part.count(f"{author.strip()} · ") == (2 if is_named else 0)


def greeted(content: Content, words: str) -> list[str]:
    """Both parts for a reader who is greeted with these words."""
    fields = FIELDS | {ReaderField.GREETING: words}
    return [split_text(part, content.marker).fill(fields) for part in (content.html, content.text)]


def test_nobody_is_greeted_without_a_name_or_above_an_introduction() -> None:
    plain = edition(story(1))
    assert all("Hello Anna," in part for part in greeted(plain, "Hello Anna,"))
    nameless = greeted(plain, "")
    assert "<p" not in nameless[0].partition("</h1>")[2].partition("</p>")[2].partition("<h2")[0]
    assert "\n\n\n" not in nameless[1]
    introduced = edition(
        story(1), edits=Edits(intro_html="<p>Good morning!</p>", intro_text="Good morning!")
    )
    for part in greeted(introduced, "Hello Anna,"):
        assert "Good morning!" in part
        assert "Hello" not in part


def test_the_columns_come_from_the_look() -> None:
    content = edition(story(1), look=look(reply_to="desk@gazette.example", from_name="Gazette"))
    assert content.from_name == "Gazette"
    assert content.from_address == "news@gazette.example"
    assert content.reply_to == "desk@gazette.example"
    assert content.language == "en"
    assert content.subject == "Story 1"


@pytest.mark.parametrize("name", ["title", "url", "summary_html", "author", "image_url"])
@pytest.mark.parametrize("place", ["lead", "story"])
def test_what_feeds_write_stays_text(name: str, place: str) -> None:
    value = f"https://a.example/{HOSTILE}" if "url" in name else HOSTILE
    hostile = story(1, **{name: value})
    content = edition(*([hostile, story(2)] if place == "lead" else [story(2), hostile]))
    if (name, place) != ("image_url", "story"):
        _is_harmless(content.html)


@pytest.mark.parametrize(
    "name", ["title", "postal_address", "publisher", "logo_url", "privacy_url"]
)
def test_what_staff_write_stays_text(name: str) -> None:
    value = f"https://a.example/{HOSTILE}" if "url" in name else HOSTILE
    _is_harmless(edition(story(1), look=look(**{name: value})).html)


def _is_harmless(html: str) -> None:
    class Elements(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag != "b"
            assert not [name for name, _ in attrs if name.startswith("on")]

    Elements().feed(html)
    assert "{{7*7}} {% raw %}" in html
    assert "\0" not in html


def test_braces_stand_in_text_as_they_were_written() -> None:
    content = edition(story(1, title="{{7*7}}", author="{{7*7}}", summary_html="<p>{{7*7}}</p>"))
    assert visible_text(content.html).count("{{7*7}}") == 3
    assert content.text.count("{{7*7}}") == 3
    assert content.subject == "{{7*7}}"


@pytest.mark.parametrize(
    "pieces",
    [
        [story(1)],
        [story(1, image_url="https://gazette.example/1.jpg"), ARMENIAN, ARABIC, RUSSIAN],
        [story(n, title="Word " * 200, summary_html="<p>Long. " * 300) for n in range(1, 21)],
        [story(1, title="", summary_html="", author=None), story(2, title="W" * 500)],
    ],
    ids=["one", "languages", "twenty long", "next to nothing"],
)
@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_mail_has_no_fault(pieces: list[Story], language: str) -> None:
    content = edition(*pieces, more_count=1, look=look(language=language))
    assert judge(digest_mail(content)) == ()


def test_twenty_long_stories_stay_below_what_mail_programs_cut_off() -> None:
    long = {
        "title": ARMENIAN.title * 9,
        "summary_html": ARMENIAN.summary_html,
        "author": "Ա" * 300,
    }
    content = edition(*(story(n, **long) for n in range(20)), more_count=3)
    assert len(content.html.encode()) < 100_000
    assert content.html.count('class="story"') == 19


def test_html_that_would_be_cut_off_is_refused_with_its_size() -> None:
    def with_words(number: int) -> Content:
        return edition(
            story(1), edits=Edits(intro_html=f"<p>{'é' * number}</p>", intro_text="Words")
        )

    most = (MAX_HTML_BYTES - len(with_words(0).html.encode())) // 2
    assert len(with_words(most).html.encode()) in (MAX_HTML_BYTES - 1, MAX_HTML_BYTES)
    with pytest.raises(MessageTooLong, match=r"has 9800\d bytes.*shorten the introduction"):
        with_words(most + 1)


def test_an_article_cut_to_its_headline_keeps_its_title_and_link() -> None:
    headline = story(1, title="", author="Vera", image_url=f"{BASE_URL}/1.jpg").as_headline()
    content = edition(story(2), headline)
    assert headline.title
    assert headline.title in content.text
    assert headline.url in content.html
    assert "Vera" not in content.html
    assert "1.jpg" not in content.html


def test_lines_of_the_text_are_short_and_urls_whole() -> None:
    url = "https://gazette.example/" + "very-long-name/" * 20
    lines = edition(story(1, title="word " * 100, url=url), ARMENIAN).text.splitlines()
    assert url in lines
    assert max(len(line) for line in lines if line != url) <= 72


def test_long_summaries_are_cut() -> None:
    long = "<p>" + "word " * 1000 + "</p>"
    text = edition(story(1, summary_html=long), story(2, summary_html=long)).text
    assert text.count("word") < 200
    assert text.count("…") == 2


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("  Two \r\n words\t", "Two words"),
        ("word " * 60, "word " * 23 + "word…"),
        ("", "What happened in story 1."),
    ],
)
def test_the_subject_is_the_leads_title_on_one_line(title: str, subject: str) -> None:
    content = edition(story(1, title=title), story(2))
    assert content.subject == subject
    assert len(content.subject) <= 120
    assert f"<title>{subject}</title>" in content.html


def test_a_subject_of_markup_is_a_subject() -> None:
    assert edition(story(1, title="<b>Bold</b> & co")).subject == "<b>Bold</b> & co"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://gazette.example/a.jpg", True),
        ("http://127.0.0.1:8080/a.png", True),
        ("http://gazette.example/a.jpg", False),
        ("//gazette.example/a.jpg", False),
        ("/a.jpg", False),
        ("https:///a.jpg", False),
        ("https://[broken/a.jpg", False),
        ("data:image/png;base64,AAAA", False),
        ("javascript:alert(1)", False),
        (None, False),
    ],
)
def test_only_images_that_mail_programs_load_are_shown(url: str | None, shown: bool) -> None:
    html = edition(story(1, image_url=url), look=look(logo_url=url)).html
    # The picture stands there twice: Outlook gets one of its own.
    assert html.count("<img") == (3 if shown else 0)
    photo = r'<img class="photo" alt="Picture: Story 1" src="[^"]*" width="528" height="297"'
    assert bool(re.search(photo, html)) is shown


def test_other_stories_have_a_small_picture_that_adds_no_words_to_their_link() -> None:
    html = edition(story(1), story(2, image_url="https://gazette.example/2.jpg")).html
    link = re.search(r'<h2 class="title story-title".*?</h2>', html, re.DOTALL)
    assert link is not None
    assert '<img class="thumb" alt="" src="https://gazette.example/2.jpg" width="128"' in link[0]
    assert "<img" not in edition(story(1), story(2)).html


def test_a_newsletter_can_do_without_pictures() -> None:
    pieces = [story(n, image_url=f"https://gazette.example/{n}.jpg") for n in (1, 2)]
    logo = "https://gazette.example/logo.png"
    html = edition(*pieces, look=look(pictures=False, logo_url=logo)).html
    assert re.findall('src="([^"]*)"', html) == [logo]


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("{{ look.title }}: {{ lead.title }}", "The Harbour Gazette: Story 1"),
        ("{{ date|date('full') }}\n\n{{ stories|length }}", "Tuesday, 24 November 2026 1"),
        ('{% if look.slug == "gazette" %}G{% else %}H{% endif %}', "G"),
        ("{{ 'word ' * 90 }}", "word " * 23 + "word…"),
    ],
)
def test_the_subject_is_a_template(tmp_path: Path, text: str, subject: str) -> None:
    templates = override(tmp_path, "digest.subject.txt", text)
    assert edition(story(1), story(2), templates=templates).subject == subject


def test_a_subject_without_a_word_is_refused(tmp_path: Path) -> None:
    templates = override(tmp_path, "digest.subject.txt", "{% if False %}x{% endif %}\n")
    with pytest.raises(BadTemplate, match=r"digest\.subject\.txt produces no text"):
        edition(story(1), templates=templates)


def test_nothing_else_is_loaded_from_elsewhere() -> None:
    html = edition(story(1, image_url="https://gazette.example/1.jpg")).html
    assert set(re.findall(r'\s(?:src|background|srcset|poster)\s*=\s*"([^"]*)"', html)) == {
        "https://gazette.example/1.jpg"
    }
    assert "@import" not in html
    assert "url(" not in html
    assert "<link" not in html


@pytest.mark.parametrize(("count", "words"), [(0, ""), (1, "1 more story"), (2, "2 more stories")])
def test_how_many_more_there_are(count: int, words: str) -> None:
    content = edition(story(1), more_count=count)
    for part in (content.html, content.text):
        assert words in part
        assert ("on the site" in part) is bool(count)


def test_the_site_is_linked_only_where_there_is_one() -> None:
    linked = '<a class="link"'
    elsewhere = story(2, url="https://other.example/2")
    assert linked in edition(story(1), story(2), more_count=1).html
    assert linked not in edition(story(1), elsewhere, more_count=1).html
    assert "1 more story on the site" in edition(story(1), elsewhere, more_count=1).text


def test_days_are_told_in_the_zone_of_the_schedule() -> None:
    # 22:00 UTC on the 23rd is the 24th in Yerevan.
    assert "Ines Calloway · 24 November" in edition(story(1)).text
    assert "Ines Calloway · 23 November" in edition(story(1), slot=slot_in(UTC)).text


def test_direction_and_language() -> None:
    html = edition(ARABIC, look=look(language="ar")).html
    assert '<html lang="ar" dir="rtl">' in html
    assert "الثلاثاء، 24 نوفمبر 2026" in html
    assert '<html lang="hy" dir="ltr">' in edition(story(1), look=look(language="hy")).html


def test_the_preheader_tells_what_else_is_in_it() -> None:
    def preheader(*pieces: Story) -> str:
        found = re.search(r'<div class="preheader"[^>]*>(.*?)</div>', edition(*pieces).html)
        return found[1] if found else ""

    assert preheader(story(1), story(2), story(3)) == "Story 2 · Story 3"
    assert preheader(story(1)) == "What happened in story 1."
    assert preheader(story(1, summary_html="")) == ""
    assert len(preheader(*(story(n, title="word " * 20) for n in range(9)))) <= 150


def test_styles_are_inlined_and_dark_ones_stay() -> None:
    html = edition(story(1)).html
    assert re.search(r'<h1 class="name"[^>]*style="[^"]*color: #ffffff', html)
    assert "@media (prefers-color-scheme: dark)" in html
    assert "[data-ogsc] .title" in html


def test_a_template_of_the_operator_cannot_ask_about_a_reader(tmp_path: Path) -> None:
    templates = override(tmp_path, "digest.html", "<p>\n{% if greeting %}Hi{% endif %}")
    with pytest.raises(BadTemplate, match=r"digest\.html, line 2: .*remove the condition"):
        edition(story(1), templates=templates)


def test_what_a_mail_program_reads_is_what_was_rendered() -> None:
    content = edition(ARMENIAN, ARABIC)
    mail = message_from_bytes(digest_mail(content), policy=default)
    plain = mail.get_body(("plain",))
    assert plain is not None
    assert ARMENIAN.title.split()[0] in plain.get_content()
    assert mail["Subject"] == content.subject


def gazette() -> Newsletter:
    return Newsletter(
        slug="gazette",
        title="The Gazette",
        language="en",
        from_name="The Gazette",
        from_address="news@gazette.example",
        postal_address="1 Quay Street",
        color="#14507a",
    )


def test_a_build_renders_rows() -> None:
    article = Article(
        id=7,
        url="https://gazette.example/7",
        title="Seven",
        summary_html="",
        published_at=datetime(2026, 11, 24, 5, tzinfo=UTC),
    )
    due_at = datetime(2026, 11, 24, 6, tzinfo=UTC)
    render = edition_renderer(
        Templates(), base_url=BASE_URL, publisher=None, privacy_url=None, random=always("y")
    )
    content = render(gazette(), Slot(due_at, "2026-11-24T06:00", due_at), [article], 2)
    assert content.subject == "Seven"
    assert "And 2 more" in content.text
    assert content.text.count("The Gazette") == 3


def test_a_publisher_stands_where_it_is_set() -> None:
    assert Look.of(gazette(), publisher=None).publisher == "The Gazette"
    assert Look.of(gazette(), publisher="Press").publisher == "Press"
