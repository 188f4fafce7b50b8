"""Pages, mails and the recorded sentence speak the newsletter's language, and not a word of English."""

import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.lint.html_page import visible_text
from mailer.models import Notice, Subscriber, Wording
from mailer.newsletters.offer import consent_sentence
from mailer.templating.templates import Templates
from mailer.tokens import Keys, Purpose
from tests.support import all_mails, factories
from tests.support.pages import all_pages, newspaper, pages_of_none
from tests.support.sample_mails import look
from tests.support.website import Answer, Website, serving
from tools.make_catalogue import texts

LANGUAGES = [language for language in all_mails.LANGUAGES if language != "en"]
PAGES = {path.stem for path in Path("templates/web").glob("*.html")}
PARTS = {"base", "when", "form_for_other_sites", "consent_events", "data_sections"}
"""Templates that are no page; the last is printed by a command."""
FAULTS = (404, 405, 410, 413, 418, 429, 500, 503)


@cache
def english_texts() -> list[str]:
    ids = [text.id for text in texts()]
    return [one for one in ids if isinstance(one, str) and re.search("[a-z]{2,}", one)]


def english_in(body: str, language: str) -> list[str]:
    """What of a page is English: any Latin word where the script is another, else our texts."""
    words = visible_text(body) + " ".join(re.findall(r"<title>(.*?)</title>", body))
    if re.search("[A-Za-z]", all_mails.WORDS[language][1]):
        return [one for one in english_texts() if re.search(rf"\b{re.escape(one)}(?!\w)", words)]
    return re.findall("[A-Za-z]{2,}", words.replace("(UTC)", ""))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_has_a_word_of_english(
    sqlite_database: Database, keys: Keys, language: str
) -> None:
    shown = set[str]()
    render = Templates.render

    def noted(self: Templates, name: str, language: str, context: dict[str, object]) -> str:
        shown.add(Path(name).stem)
        return render(self, name, language, context)

    with patch.object(Templates, "render", noted), serving(sqlite_database, keys) as website:
        answers = dict(pages_of_none(website, language))
        assert {answer.headers["vary"] for answer in answers.values()} == {"Accept-Language"}
        newspaper(sqlite_database, language)
        answers |= dict(all_pages(website, keys))
        for fault in FAULTS:
            context = {"root": "", "look": None, "fault": fault}
            body = website.app.templates.render("web/fault.html", language, context)
            answers[f"fault {fault}"] = Answer(fault, {}, body)
        templates = website.app.templates
        there = embedded(templates, language)
        form = templates.render("web/form_for_other_sites.html", language, there)
    direction = "rtl" if language == "ar" else "ltr"
    for name, answer in answers.items():
        assert f'<html lang="{language}" dir="{direction}">' in answer.body, name
        assert english_in(answer.body, language) == [], name
    assert english_in(form, language) == []
    assert f'lang="{language}" dir="{direction}"' in form
    assert PAGES - PARTS - shown == set()


def embedded(templates: Templates, language: str) -> dict[str, object]:
    it = look(title="1111", publisher="2222", privacy_url="https://gazette.example/privacy")
    consent = consent_sentence(templates.gettext(language), it)
    return {"action": "https://gazette.example", "look": it, "consent": consent}


@pytest.mark.parametrize(
    ("language", "body"),
    [("hy", "<p>Պահպանել Save</p>"), ("fr", "<p>Enregistrer, Subscribe again</p>")],
)
def test_a_word_of_english_is_found(language: str, body: str) -> None:
    assert english_in(body, language)


def test_the_recorded_sentence_and_the_notice_are_in_the_language_of_the_newsletter(
    sqlite_database: Database, keys: Keys
) -> None:
    newspaper(sqlite_database, "hy")
    with serving(sqlite_database, keys) as website:
        page = website.get("/subscribe/daily")
        website.post("/subscribe", {"email": "new@example.com"})
    with sqlite_database.read() as session:
        wording = session.scalars(select(Wording)).one()
        notice = session.scalars(select(Notice)).one()
    assert wording.language == "hy"
    assert wording.text.startswith("Ցանկանում եմ «1111» տեղեկագիրն ստանալ")
    assert wording.text in page.body
    assert notice.language == "hy"
    assert notice.subject == "Հաստատեք բաժանորդագրությունը՝ 1111"


def test_a_page_of_a_newsletter_speaks_its_language_whatever_the_browser_asks_for(
    sqlite_database: Database, keys: Keys
) -> None:
    newspaper(sqlite_database, "hy")
    with serving(sqlite_database, keys) as website:
        page = website.ask("GET", "/subscribe/daily", headers={"Accept-Language": "ru"})
        fault = website.ask("GET", "/nowhere", headers={"Accept-Language": "tlh"})
    assert '<html lang="hy" dir="ltr">' in page.body
    assert "vary" not in page.headers
    assert '<html lang="en" dir="ltr">' in fault.body


def test_a_page_of_several_newsletters_speaks_what_the_browser_asks_for_messages_too(
    sqlite_database: Database, keys: Keys
) -> None:
    newspaper(sqlite_database, "hy")
    with sqlite_database.write() as session:
        for language in ("en", "ru"):
            other = factories.newsletter(session, language, title=language, language=language)
            factories.schedule(session, other)

    def asked(website: Website, language: str, fields: dict[str, str]) -> tuple[str, str]:
        headers = {"Accept-Language": language}
        home = website.ask("GET", "/", headers=headers)
        assert home.headers["vary"] == "Accept-Language"
        return home.body, website.post("/subscribe", fields, headers).body

    with serving(sqlite_database, keys) as website:
        home, wrong = asked(website, "ru-RU", {"email": ""})
        assert '<html lang="ru"' in home
        assert '<html lang="ru"' in wrong
        assert "Введите адрес электронной почты." in wrong
        ask = website.ask("GET", "/preferences", headers={"Accept-Language": "ru"})
        assert '<html lang="ru"' in ask.body
        assert ask.headers["vary"] == "Accept-Language"
        home, wrong = asked(website, "de", {"email": ""})
        assert '<html lang="hy"' in home
        assert "Գրեք ձեր էլ. փոստի հասցեն։" in wrong
        # The page of one newsletter speaks its language, whatever was asked for and stands first.
        _, wrong = asked(website, "hy", {"email": "", "newsletter": "ru"})
        assert '<html lang="ru"' in wrong
        assert "Введите адрес электронной почты." in wrong


def test_what_is_arabic_on_an_english_page_says_so_and_nothing_else_does(
    sqlite_database: Database, keys: Keys
) -> None:
    with sqlite_database.write() as session:
        factories.schedule(session, factories.newsletter(session))
        arabic = factories.newsletter(session, "khabar", title="خبر", language="ar")
        factories.schedule(session, arabic, "daily")
        factories.schedule(session, arabic, "weekly", days="sat")
    with serving(sqlite_database, keys) as website:
        page = website.ask("GET", "/", headers={"Accept-Language": "en"})
    assert '<html lang="en" dir="ltr">' in page.body
    block, _, after = page.body.partition('<div lang="ar" dir="rtl">')[2].partition("</div>")
    assert consent_sentence(Templates().gettext("ar"), look(title="خبر", publisher="خبر")) in block
    assert english_in(block, "ar") == []
    assert "How often?" in after.partition("</div>")[0]


@pytest.mark.parametrize(
    ("zone", "shown"), [("Asia/Yerevan", "(Երևան)"), ("Europe/Paris", None), ("Etc/UTC", "(UTC)")]
)
def test_cities_stand_beside_times_if_there_are_several(
    sqlite_database: Database, keys: Keys, zone: str, shown: str | None
) -> None:
    with sqlite_database.write() as session:
        daily = factories.newsletter(session, language="hy")
        morning = factories.schedule(session, daily, zone="Europe/Paris")
        factories.schedule(session, daily, "evening", zone=zone)
        factories.schedule(session, factories.newsletter(session, "z", language="hy"), zone=zone)
        reader = factories.reader(session, keys, morning, "r@example.com")
        subscriber = session.get_one(Subscriber, reader.subscriber_id)
        mine = keys.make(Purpose.PREFERENCES, subscriber.public_id, factories.NOW + timedelta(1))
    leave = f"/unsubscribe/{keys.make(Purpose.UNSUBSCRIBE, reader.public_id)}"
    with serving(sqlite_database, keys) as website:
        pages = [website.get(path).body for path in ("/", "/subscribe/daily", leave)]
        pages.append(website.post(leave, {"schedule": "daily/evening"}).body)
        pages.append(website.get(f"/preferences/{mine}").body)
    for page in pages:
        assert "07:00" in page
        assert "Europe/Paris" not in page
        assert (shown in page) if shown else ("Փարիզ" not in page)
