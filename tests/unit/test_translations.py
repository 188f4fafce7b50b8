"""No word that a reader sees is outside the catalogue: mails are read in a language made for that."""

import re
from dataclasses import replace

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from mailer.digests.staff_mail.review import with_review_header
from mailer.lint.html_page import visible_text
from mailer.message.content import Content
from mailer.models import NoticeKind
from mailer.notices.notice import render_notice
from mailer.sending.composer import greeting
from mailer.templating.templates import Templates
from tests.support.sample_mails import (
    ALERTS,
    BASE_URL,
    NOTICES,
    NUMBERS,
    always,
    edition,
    look,
    story,
)
from tools import make_catalogue

LANGUAGE = "eo"
LOOK = look(
    language=LANGUAGE,
    title="1111",
    publisher="2222",
    postal_address="3333\n4444",
    privacy_url="https://gazette.example/privacy",
)


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Templates with a language in which every text is its English one in ⟦ ⟧."""
    folder = tmp_path_factory.mktemp("templates")
    catalog = Catalog(locale=LANGUAGE, charset="utf-8", fuzzy=False)
    for text in make_catalogue.texts():
        if isinstance(text.id, tuple):
            catalog.add(text.id, tuple(f"⟦{form}⟧" for form in text.id), flags=text.flags)
        elif text.id:
            catalog.add(text.id, f"⟦{text.id}⟧", flags=text.flags)
    (folder / "translations").mkdir()
    with (folder / "translations" / f"{LANGUAGE}.po").open("wb") as file:
        write_po(file, catalog)
    return Templates(folder)


def untranslated(content: Content, *data: str) -> list[str]:
    """Words of a mail that are neither translated nor a URL nor given."""
    found = []
    for part in (visible_text(content.html), content.text, content.subject):
        rest = re.sub(r"⟦.*?⟧|https?://\S+", "", part, flags=re.DOTALL)
        for known in (*data, content.marker):
            rest = rest.replace(known, "")
        found += re.findall(r"[^\W\d_]{2,}", re.sub("[A-Z]{4,}Z", "", rest))
    return found


def test_every_word_of_a_digest_is_translated(templates: Templates) -> None:
    pieces = [story(n, title=f"{n}", summary_html=f"<p>{n}</p>", author=f"{n}") for n in (1, 2)]
    content = edition(*pieces, more_count=2, look=LOOK, templates=templates)
    assert "⟦Read the story⟧" in content.html
    days = ("Mardo", "mardo", "24-a de Novembro 2026", "la", "24-a de Novembro", "Novembro")
    assert untranslated(content, *days) == []


@pytest.mark.parametrize("kind", NOTICES)
def test_every_word_of_a_notice_is_translated(templates: Templates, kind: NoticeKind) -> None:
    context = NOTICES[kind] | {"preferences_url": f"{BASE_URL}/preferences"}
    if "titles" in context:
        context["titles"] = ["5555"]
    if kind in {NoticeKind.PREFERENCES, NoticeKind.DATA, NoticeKind.ERASE}:
        context = {}
    data: list[str] = []
    if kind is NoticeKind.ALERT:
        context |= {"reason": "6666"}
        data = [*context["commands"].values(), context["digest"]["schedule"]]
    if kind is NoticeKind.REPORT:
        domains = [name for name, _ in (*context["domains"], *context["returned_reasons"])]
        digest = context["digest"]
        data = [context["command"], digest["subject"], digest["schedule"], *domains]
    content = render_notice(templates, kind, LOOK, LANGUAGE, context, always("n"))
    assert "⟦" in content.subject
    assert untranslated(content, "2026-Decembro-01", "Decembro", *data) == []


@pytest.mark.parametrize("name", ALERTS)
def test_every_word_of_an_alert_about_no_digest_is_translated(
    templates: Templates, name: str
) -> None:
    context = ALERTS[name] | {"reason": "6666"}
    commands = context["commands"]
    given = commands.values() if isinstance(commands, dict) else commands
    if "feed" in context:
        context["feed"] = {"title": "7777", "url": "https://8888.example"}
    if "sender" in context:
        context["sender"] = {"title": "7777"}
    content = render_notice(templates, NoticeKind.ALERT, LOOK, LANGUAGE, context, always("n"))
    assert content.subject.startswith("⟦")
    assert untranslated(content, *given) == []


def test_every_word_of_a_review_is_translated(templates: Templates) -> None:
    digest = edition(
        story(1, title="1", summary_html="", author=""), look=LOOK, templates=templates
    )
    content = with_review_header(replace(digest, html="<body>", text=""), templates, LOOK, NUMBERS)
    assert content.subject.startswith("⟦")
    data = (NUMBERS["schedule"], NUMBERS["zone"], "2026-Novembro-24", "Novembro")
    assert untranslated(content, *data) == []


def test_readers_are_greeted_in_their_language(templates: Templates) -> None:
    assert greeting(templates, LANGUAGE, None) == ""
    assert greeting(templates, LANGUAGE, "Anna") == "⟦Hello Anna,⟧"


def test_a_word_outside_the_catalogue_is_found() -> None:
    content = Content("eo", "", "a@b.example", None, "⟦Hi⟧", "<p>⟦Hi⟧ stray</p>", "", "MARKER")
    assert untranslated(content) == ["stray"]
