"""Mails and pages as others judge them: html-validate, the data of caniemail, and a third parser of mails.

No mail was looked at in a real Outlook, Gmail or Yahoo: what they cannot show is known from the data alone.
"""

import re
from email import message_from_bytes, policy

import pytest

from mailer.db import Database
from mailer.lint import judge
from mailer.tokens import Keys
from tests.support.all_mails import LANGUAGES, digests, html_of, mails, node_says, paper
from tests.support.pages import all_pages, newspaper, pages_of_none
from tests.support.sample_mails import edition, story
from tests.support.website import serving

ALONE = {
    # What some mail program does not know, and why a mail is whole without it.
    "<body> element": "becomes a div; the background stands on the outermost table too",
    "<style> element": "styles are inlined; what stays is for the dark, for phones and for Outlook's dark",
    "Type selector": "in the style element, see there",
    "Class selector": "in the style element, see there",
    "Attribute selector": "in the style element, see there: Outlook's own attributes",
    "Descendant combinator": "in the style element, see there",
    "@media": "without it the mail is light, and its one column fits every width",
    "@supports": "without it pictures keep the shape they have",
    ":hover": "without it a title has no line below it under a mouse",
    "<bdi> element": "becomes a span: names in another direction may swap with what is beside them",
    "object-fit": "only where @supports knows it; a logo keeps its shape where it is four to one",
    "height property": "`auto` and the end's blank; what Yahoo makes of it is mended in @supports",
    "float": "small pictures are not shown to Outlook at all",
    "border-radius": "corners are square",
    "overflow": "only the preheader's, which is hidden by display: none as well",
    "overflow-wrap": "with word-break beside it; a long word makes the mail wider",
    "word-break": "with overflow-wrap beside it; a long word makes the mail wider",
    "white-space": "what does not know it breaks no word either: a number stays on its line",
    "display:none": "the preheader is read at the top of the mail",
    "role attribute": "a screen reader may call the tables tables",
}
"""Every one is used: a test demands it."""


@pytest.mark.needs_node
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_html_of_every_mail_is_valid(language: str) -> None:
    shown = {f"mail {name}": html_of(content) for name, content, _ in mails(language)}
    assert node_says(validate=shown)["validate"] == []


@pytest.mark.needs_node
@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_html_of_every_page_is_valid(
    sqlite_database: Database, keys: Keys, language: str
) -> None:
    with serving(sqlite_database, keys) as website:
        answers = dict(pages_of_none(website, language))
        newspaper(sqlite_database, language)
        answers |= dict(all_pages(website, keys))
    shown = {name: answer.body for name, answer in answers.items()}
    assert node_says(validate=shown)["validate"] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_mail_keeps_its_language_and_direction_without_html_and_body(language: str) -> None:
    """Gmail and others show what stands inside body, and drop the two elements themselves."""
    direction = "rtl" if language == "ar" else "ltr"
    for name, content, _ in mails(language):
        inside = re.split(r"<body[^>]*>", html_of(content))[1]
        without_preheader = re.sub(r'<div class="preheader".*?</div>', "", inside, flags=re.DOTALL)
        first = re.search(r"<[a-z][^>]*>", without_preheader)
        assert first is not None
        assert f'lang="{language}"' in first[0], name
        assert f'dir="{direction}"' in first[0], name


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_reply_can_quote_each_line_of_plain_text(language: str) -> None:
    for name, content, _ in mails(language):
        long = [line for line in content.text.splitlines() if len(line) > 72 and " " in line]
        assert long == [], name


def test_plain_arabic_is_read_from_the_right_where_a_line_begins_in_latin_letters() -> None:
    title = "BBC تنشر تقريرًا عن الميناء"
    arabic = edition(story(1, title=title), look=paper("ar")).text
    assert f"\N{RIGHT-TO-LEFT MARK}1. {title}\n" in arabic
    assert "\N{RIGHT-TO-LEFT MARK}Ines Calloway · " in arabic
    assert "\N{RIGHT-TO-LEFT MARK}" not in edition(story(1, title=title), look=paper("en")).text


@pytest.mark.needs_node
def test_html_that_is_not_valid_is_found() -> None:
    (found,) = node_says(validate={"mail x": "<p>never closed"})["validate"]
    assert found.startswith("mail x, line 1: no-implicit-close")


@pytest.mark.needs_node
def test_no_mail_needs_what_some_mail_program_does_not_know() -> None:
    shown = {name: html_of(content) for name, content, _ in [*mails("en"), *mails("ar")]}
    unknown = node_says(support=shown)["support"]
    assert {title: clients for title, clients in unknown.items() if title not in ALONE} == {}
    assert set(ALONE) - set(unknown) == set()


@pytest.mark.needs_node
def test_what_a_mail_program_does_not_know_is_found() -> None:
    found = node_says(support={"x": '<div style="display: grid">a</div>'})["support"]
    assert any("grid" in title for title in found)


@pytest.mark.needs_node
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_third_parser_reads_what_was_put_in(language: str) -> None:
    found = list(mails(language))
    for (name, content, raw), theirs in zip(
        found, node_says(parse=[raw for _, _, raw in found])["parse"], strict=True
    ):
        assert theirs["subject"] == content.subject, name
        assert theirs["from"] == [content.from_name, content.from_address], name
        assert theirs["to"] == "anna@reader.example", name
        ours = message_from_bytes(raw, policy=policy.default)
        assert theirs.get("unsubscribe") == ours["List-Unsubscribe"], name
        for kind, got in (("plain", theirs["text"]), ("html", theirs["html"])):
            body = ours.get_body((kind,))
            assert body is not None
            assert got.split() == body.get_content().split(), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_own_judge_finds_no_fault(language: str) -> None:
    assert {name: judge(raw) for name, _, raw in mails(language)} == {
        name: () for name, _, _ in mails(language)
    }


def test_no_style_is_longer_than_gmail_reads() -> None:
    """Gmail drops a style element of more than 8,192 characters."""
    styles = [
        style
        for _, content in digests("ar")
        for style in re.findall(r"<style>(.*?)</style>", html_of(content), re.DOTALL)
    ]
    assert len(styles) == 15
    assert max(map(len, styles)) <= 8192


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_mail_is_cut_off(language: str) -> None:
    sizes = {name: len(content.html.encode()) for name, content, _ in mails(language)}
    assert max(sizes.values()) < 100_000
    assert sizes[f"long digest {language}"] > 40_000
