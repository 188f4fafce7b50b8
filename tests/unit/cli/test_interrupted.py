"""What is broken off: imports and refreshes tell how far they came, and a question ends its line."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import StringIO
from pathlib import Path

import click
import pytest

from mailer.cli import base, import_report, main
from mailer.feeds import context, refresh
from mailer.feeds.http.fetch import Fetched, FetchRequest
from mailer.subscribers.entering import csv_import
from tests.support.commands import NEWSLETTER

IMPORT = [
    "subscriber",
    "import",
    "readers.csv",
    "--newsletter",
    "daily",
    "--consent-source",
    "fair",
]
SCHEDULE = ["schedule", "add", "daily", "morning", "--at", "07:00", "--zone", "UTC"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with a schedule, and a file of five readers that is read two at a time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(csv_import, "CHUNK", 2)
    for arguments in (["init"], NEWSLETTER, SCHEDULE):
        assert main(arguments) == 0
    (tmp_path / "readers.csv").write_text(
        "email\n" + "".join(f"r{n}@example.com\n" for n in range(5))
    )
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((), "the first 2 rows are done, and repeating the command continues"),
        (("--dry-run",), "nothing was changed"),
    ],
)
def test_an_import_that_is_stopped_goes_on(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    more: tuple[str, ...],
    told: str,
) -> None:
    @contextmanager
    def stopping(file: Path) -> Iterator[Callable[[int], None]]:
        yield lambda rows: os.kill(os.getpid(), number)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(import_report, "_rows", stopping)
        assert main((*IMPORT, *more, "--json")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"finishing the rows under way\nerror: stopped before the end; {told}\n"
    assert main((*IMPORT, "--json")) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["rows"], data["added"]) == (5, 5 if more else 3)


def test_a_refresh_that_is_stopped_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(refresh, "_AT_ONCE", 1)
    stops, go_on = False, threading.Event()

    def fetch(wanted: FetchRequest) -> Fetched:
        if stops and wanted.url.endswith("three"):
            os.kill(os.getpid(), signal.SIGINT)
            assert go_on.wait(120)
        body = b"""<rss version="2.0"><channel><title>News</title><link>https://a.example/</link>
        <item><title>One</title><link>https://a.example/1</link></item></channel></rss>"""
        return Fetched(wanted.url, body, "application/rss+xml", etag=None, last_modified=None)

    monkeypatch.setattr(context, "FeedContext", partial(context.FeedContext, fetch=fetch))
    assert main(("feed", "refresh")) == 0
    assert "`mailer feed add URL --newsletter SLUG`" in capsys.readouterr().err
    for name in ("one", "two", "three"):
        url = f"https://a.example/{name}"
        assert main(("feed", "add", url, "--newsletter", "daily")) == 0
    capsys.readouterr()
    stops = True
    assert main(("feed", "refresh")) == 1
    told = capsys.readouterr().err.splitlines()
    go_on.set()
    assert told[0] == "stopping; fetches under way are abandoned"
    assert told[-1] == (
        "error: stopped before the end: 1 of 3 feeds refreshed; repeating the command continues"
    )
    stops = False
    assert main(("feed", "refresh")) == 0


def test_a_move_is_not_taken_back_when_the_answer_is_no(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def take_back(*_: object, confirm: Callable[[list[str]], bool], **__: object) -> bool:
        return confirm(["1 row of article"])

    monkeypatch.setattr("mailer.database_copies.moving.take_back.take_back", take_back)
    monkeypatch.setattr(base, "is_interactive", lambda: True)
    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    capsys.readouterr()
    cancel = ("db", "move", "--cancel", "--json", "--to", "postgresql://mailer@db.example/mailer")
    assert main(cancel) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].endswith("error: nothing was taken back")


def test_a_question_that_is_not_answered_leaves_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shell's prompt stood behind it."""
    monkeypatch.setattr(base, "is_interactive", lambda: True)
    monkeypatch.setattr("sys.stdin", StringIO())
    with pytest.raises(click.Abort):
        base.confirmed("Send it?", yes=False)
    assert capsys.readouterr().err == "Send it? [y/N]: \n"
