"""`mailer newsletter add` with feeds: all of them, or nothing at all."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.cli import main
from mailer.db import Database
from mailer.errors import FeedError
from mailer.feeds import context
from mailer.feeds.http.fetch import Fetched, FetchRequest
from mailer.models import Feed, Newsletter, NewsletterArticle
from tests.support.commands import NEWSLETTER

RSS = b"""<rss version="2.0"><channel><title>News</title><link>https://a.example/</link>
<item><title>One</title><link>https://a.example/1</link><guid>1</guid></item></channel></rss>"""


def fetch(wanted: FetchRequest) -> Fetched:
    """The network's edge: one feed is there, all others are not."""
    if wanted.url != "https://a.example/feed":
        raise FeedError
    return Fetched(wanted.url, RSS, "application/rss+xml", etag=None, last_modified=None)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The database of an installation in this folder, with the network's edge replaced."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(context, "FeedContext", partial(context.FeedContext, fetch=fetch))
    assert main(["init"]) == 0
    database = Database("sqlite:///mailer.db")
    yield database
    database.dispose()


def test_a_newsletter_comes_with_its_feeds(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*NEWSLETTER, "--feed", "https://a.example/feed"]) == 0
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "no scheduler is running: start one with `mailer run`",
        "next: mailer schedule add daily NAME --at 07:00 --zone Europe/Paris",
    ]
    with database.read() as session:
        assert session.scalars(select(NewsletterArticle.backlog)).all() == [True]


@pytest.mark.usefixtures("database")
def test_without_a_feed_the_feed_is_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(NEWSLETTER) == 0
    assert capsys.readouterr().err.endswith("next: mailer feed add URL --newsletter daily\n")


def test_when_one_feed_is_missing_nothing_is_added(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    feeds = ("--feed", "https://a.example/feed", "--feed", "https://b.example/feed")
    assert main([*NEWSLETTER, *feeds]) == 1
    assert "error: " in capsys.readouterr().err
    with database.read() as session:
        for model in (Newsletter, Feed, NewsletterArticle):
            assert session.query(model).count() == 0


ESPERANTO = """
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

msgid "Subscribe"
msgstr "Aboni"
"""


@pytest.mark.usefixtures("database")
def test_a_language_that_there_are_no_texts_in_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*NEWSLETTER, "--language", "eo"]) == 1
    told = "there are no texts in 'eo', only in en, ar, fr, hy, ru; choose one of these"
    assert told in capsys.readouterr().err


@pytest.mark.usefixtures("database")
def test_a_file_in_the_templates_folder_adds_a_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "own" / "translations"
    folder.mkdir(parents=True)
    (folder / "eo.po").write_text(ESPERANTO, encoding="utf-8")
    monkeypatch.setenv("MAILER_TEMPLATES", str(tmp_path / "own"))
    assert main([*NEWSLETTER, "--language", "eo"]) == 0
    capsys.readouterr()
    assert main(["newsletter", "embed", "daily"]) == 0
    form, told = capsys.readouterr()
    assert "http://127.0.0.1:8000, which works on this machine only; set `base_url`" in told
    assert 'lang="eo" dir="ltr"' in form
    # What the file does not have is English.
    assert "Subscribe to The Daily" in form
