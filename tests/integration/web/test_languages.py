"""Pages, mails and the recorded sentence speak the newsletter's language where there is a catalogue."""

from pathlib import Path

from sqlalchemy import select

from mailer.db import Database
from mailer.models import Notice, Wording
from mailer.tokens import Keys
from tests import factories
from tests.website import serving

CATALOGUE = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\n"

msgid "Subscribe"
msgstr "Բաժանորդագրվել"

msgid "Look at your inbox"
msgstr "Նայեք ձեր փոստարկղին"

msgid "Please enter your e-mail address."
msgstr "Գրեք ձեր հասցեն։"

msgid "I want to get %(newsletter)s by e-mail. I can leave at any time with the link in every mail."
msgstr "Ուզում եմ ստանալ %(newsletter)s։"
"""


def test_everything_is_in_the_language_of_the_newsletter(
    sqlite_database: Database, keys: Keys, tmp_path: Path
) -> None:
    (tmp_path / "translations").mkdir()
    (tmp_path / "translations" / "hy.po").write_text(CATALOGUE, encoding="utf-8")
    with sqlite_database.write() as session:
        paper = factories.newsletter(session, title="Լուրեր", language="hy")
        factories.schedule(session, paper)
    with serving(sqlite_database, keys, templates=str(tmp_path)) as website:
        page = website.get("/subscribe/daily")
        wrong = website.post("/subscribe", {"email": ""})
        answer = website.post("/subscribe", {"email": "new@example.com"})

    assert '<html lang="hy" dir="ltr">' in page.body
    assert ">Բաժանորդագրվել</button>" in page.body
    assert "Գրեք ձեր հասցեն։" in wrong.body
    assert "Նայեք ձեր փոստարկղին" in answer.body
    with sqlite_database.read() as session:
        wording = session.scalars(select(Wording)).one()
        notice = session.scalars(select(Notice)).one()
    assert (wording.language, wording.text) == ("hy", "Ուզում եմ ստանալ Լուրեր։")
    assert wording.text in page.body
    assert notice.language == "hy"


def test_a_page_is_read_from_right_to_left_where_the_language_is(
    sqlite_database: Database, keys: Keys
) -> None:
    with sqlite_database.write() as session:
        factories.schedule(session, factories.newsletter(session, language="ar"))
    with serving(sqlite_database, keys) as website:
        assert '<html lang="ar" dir="rtl">' in website.get("/").body
