"""Pages, mails and the recorded sentence speak the newsletter's language, and not a word of English."""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import select

from mailer.db import Database
from mailer.message.lint.page import visible_text
from mailer.models import Newsletter, Notice, Schedule, Signup, Subscriber, Wording
from mailer.subscriptions.offer import consent_sentence
from mailer.templating import Templates
from mailer.tokens import Keys, Purpose
from tests import factories
from tests.factories import NOW
from tests.looks import look
from tests.make_catalogue import texts
from tests.website import Answer, Website, serving

LANGUAGES = ("ar", "fr", "hy", "ru")
PAGES = {path.stem for path in Path("templates/web").glob("*.html")}
PARTS = {"base", "when", "form_for_other_sites"}
"""Templates that are no page; the last is printed by a command."""
FAULTS = (404, 405, 410, 413, 418, 429, 500, 503)
LATER = timedelta(hours=1)


def newspaper(database: Database, language: str) -> None:
    """A newsletter without a word of its own, with a schedule of every kind."""
    with database.write() as session:
        daily = factories.newsletter(session, title="1111", language=language)
        factories.schedule(session, daily, "22")
        factories.schedule(session, daily, "33", days="mon,tue,wed,thu,fri,sat,sun")
        factories.schedule(session, daily, "44", kind="monthday", monthday=1)


def all_pages(website: Website, keys: Keys) -> Iterator[tuple[str, Answer]]:
    """Every page that a newsletter has, in every state, by a name for it."""
    database = website.app.database

    def link(path: str, purpose: Purpose, public_id: int, lives: timedelta | None = LATER) -> str:
        return f"/{path}/{keys.make(purpose, public_id, *([NOW + lives] if lives else []))}"

    def sign_up(address: str) -> Signup:
        website.post("/subscribe", {"email": address})
        with database.read() as session:
            return session.scalars(select(Signup).order_by(Signup.id.desc())).first()  # type: ignore[return-value]

    yield "form", website.get("/subscribe/daily")
    yield "home", website.get("/")
    yield "embedded", website.get("/embed/daily")
    yield "wrong address", website.post("/subscribe", {"email": "no address"})
    yield "no address", website.post("/subscribe", {"email": ""})
    yield (
        "wrong newsletter",
        website.post("/subscribe", {"email": "a@b.example", "newsletter": "x"}),
    )
    yield (
        "wrong schedule",
        website.post("/subscribe", {"email": "a@b.example", "schedule": "daily/x"}),
    )
    stamp = keys.form_stamp(NOW)
    yield "quick", website.post("/subscribe", {"email": "a@b.example", "stamp": stamp})
    stamp = keys.form_stamp(NOW - timedelta(days=2))
    yield "slow", website.post("/subscribe", {"email": "a@b.example", "stamp": stamp})
    yield "inbox", website.post("/subscribe", {"email": "anna@reader.example"})

    one, two = sign_up("one@reader.example"), sign_up("two@reader.example")
    confirm = link("confirm", Purpose.CONFIRM, one.public_id)
    yield "confirm", website.get(confirm)
    yield "confirmed", website.post(confirm)
    not_me = link("not-me", Purpose.NOT_ME, two.public_id)
    yield "not me", website.get(not_me)
    yield "dropped", website.post(not_me)
    yield "dropped before", website.get(link("confirm", Purpose.CONFIRM, two.public_id))

    with database.write() as session:
        schedule = session.scalars(select(Schedule).where(Schedule.is_default)).one()
        reader = factories.reader(session, keys, schedule, "r@reader.example")
        nothing = factories.subscriber(session, keys, "n@reader.example")
        subscriber_id = session.get_one(Subscriber, reader.subscriber_id).public_id
        nothing_id, reader_id = nothing.public_id, reader.public_id
    yield "ask", website.get("/preferences")
    yield "ask again", website.post("/preferences", {"email": "no address"})
    yield "asked", website.post("/preferences", {"email": "r@reader.example"})
    preferences = link("preferences", Purpose.PREFERENCES, subscriber_id)
    yield "preferences", website.get(preferences)
    yield "saved", website.post(preferences, {"daily": "33"})
    yield "no newsletter", website.get(link("preferences", Purpose.PREFERENCES, nothing_id))
    yield "too late", website.get(link("preferences", Purpose.PREFERENCES, subscriber_id, -LATER))
    leave = link("unsubscribe", Purpose.UNSUBSCRIBE, reader_id, None)
    yield "leave", website.get(leave)
    yield "changed", website.post(leave, {"schedule": "daily/44"})
    yield "left", website.post(leave, {"List-Unsubscribe": "One-Click"})
    with database.write() as session:
        session.scalars(select(Newsletter)).one().closed = True
    yield "closed", website.get("/subscribe/daily")
    yield (
        "closed to all",
        website.post("/subscribe", {"email": "a@b.example", "newsletter": "daily"}),
    )


def pages_of_none(website: Website, keys: Keys, language: str) -> Iterator[tuple[str, Answer]]:
    """Every page that belongs to no newsletter, asked for in a language."""
    late = keys.make(Purpose.CONFIRM, 1, NOW - LATER), keys.make(Purpose.NOT_ME, 1, NOW - LATER)
    for name, method, path in (
        ("nothing on offer", "GET", "/"),
        ("confirm late", "GET", f"/confirm/{late[0]}"),
        ("not me late", "POST", f"/not-me/{late[1]}"),
        ("nowhere", "GET", "/nowhere"),
        ("wrong method", "DELETE", "/"),
    ):
        yield (
            name,
            website.ask(method, path, headers={"Accept-Language": f"{language}-XX, en;q=0.5"}),
        )


@cache
def english_texts() -> list[str]:
    ids = [text.id for text in texts()]
    return [one for one in ids if isinstance(one, str) and re.search("[a-z]{2,}", one)]


def english_in(body: str, language: str) -> list[str]:
    """What of a page is English: any Latin word where the script is another, else our texts."""
    words = visible_text(body) + " ".join(re.findall(r"<title>(.*?)</title>", body))
    if language == "fr":
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
        answers = dict(pages_of_none(website, keys, language))
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
    assert wording.text.startswith("Ուզում եմ «1111» տեղեկագիրն ստանալ")
    assert wording.text in page.body
    assert notice.language == "hy"
    assert notice.subject == "Խնդրում ենք հաստատել՝ 1111"


def test_a_page_of_a_newsletter_speaks_its_language_whatever_the_browser_asks_for(
    sqlite_database: Database, keys: Keys
) -> None:
    newspaper(sqlite_database, "hy")
    with serving(sqlite_database, keys) as website:
        page = website.ask("GET", "/subscribe/daily", headers={"Accept-Language": "ru"})
        fault = website.ask("GET", "/nowhere", headers={"Accept-Language": "de, nl"})
    assert '<html lang="hy" dir="ltr">' in page.body
    assert "vary" not in page.headers
    assert '<html lang="en" dir="ltr">' in fault.body
