"""What `digest plan --as` and `digest preview --as` say of one reader, typed in this process."""

import json
from typing import Any

import pytest
from sqlalchemy import update

from mailer.clock import utc_now
from mailer.db import Database
from mailer.models import Subscription
from tests.support.commands import Ask


@pytest.fixture
def ask(newsletter: Ask) -> Ask:
    """Types a command in an installation with two schedules, one of which everybody is on."""
    for line in (
        "schedule add daily morning --at 07:00 --zone Europe/Paris",
        "schedule add daily weekly --at 08:00 --days sat --zone UTC",
        "article add --newsletter daily --url https://a.example/1 --title One",
    ):
        assert newsletter(line)[0] == 0
    return newsletter


def bring_in(ask: Ask, address: str, *more: str) -> None:
    source = ("--consent-source", "paper", *more)
    assert ask("subscriber", "add", address, "--newsletter", "daily", *source)[0] == 0


def reader(ask: Ask, address: str) -> dict[str, Any]:
    code, out, err = ask("digest", "plan", "daily/morning", "--as", address, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)["reader"]
    # What is printed for people is the same.
    _, _, told = ask("digest", "plan", "daily/morning", "--as", address)
    assert found["told"] is None or f"no mail: {address} {found['told']}\n" in told
    return found


def test_the_readers_own_schedule_is_named(ask: Ask) -> None:
    bring_in(ask, "anna@example.com", "--schedule", "daily/weekly")
    found = reader(ask, "anna@example.com")
    assert (found["reason"], found["schedule"]) == ("other_schedule", "daily/weekly")
    assert found["told"].startswith("is on another schedule, daily/weekly, next Sat 20")
    assert "`mailer digest plan daily/weekly --as anna@example.com`" in found["told"]
    ask("schedule", "pause", "daily/weekly")
    assert "daily/weekly, paused; " in reader(ask, "anna@example.com")["told"]
    code, out, err = ask("digest", "preview", "daily/morning", "--as", "anna@example.com")
    assert (code, out) == (1, "")
    assert err.startswith(
        "error: this reader would get nothing: anna@example.com is on another schedule, daily/weekly"
    )


@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        ("digest send daily/morning", "nothing_new", "has been sent everything"),
        ("schedule edit daily/morning --min-articles 2", "too_few", "fewer than 2"),
        ("suppression add anna@example.com --reason asked", "suppressed", "suppressed"),
        ("subscriber unsubscribe anna@example.com", "left", "only the reader can undo that"),
    ],
)
def test_every_reason_is_told_in_words(ask: Ask, line: str, reason: str, words: str) -> None:
    bring_in(ask, "anna@example.com")
    assert ask(line)[0] == 0
    found = reader(ask, "anna@example.com")
    assert (found["reason"], found["schedule"], found["articles"]) == (reason, "daily/morning", [])
    assert words in found["told"]


def test_a_reader_who_paused(ask: Ask) -> None:
    bring_in(ask, "anna@example.com")
    database = Database("sqlite:///mailer.db")
    with database.write() as session:
        session.execute(update(Subscription).values(paused_at=utc_now()))
    database.dispose()
    assert reader(ask, "anna@example.com")["reason"] == "paused"


def test_somebody_who_gets_it(ask: Ask) -> None:
    bring_in(ask, "anna@example.com")
    found = reader(ask, "Anna@Example.com")
    assert [one["title"] for one in found["articles"]] == ["One"]
    assert (found["reason"], found["told"]) == (None, None)
    _, out, err = ask("digest", "plan", "daily/morning", "--as", "anna@example.com")
    assert "anna@example.com gets 1 article\n" in err
    assert "in it" in out


def test_an_address_that_has_not_confirmed(ask: Ask) -> None:
    assert ask("subscriber", "add", "boris@example.com", "--newsletter", "daily")[0] == 0
    found = reader(ask, "boris@example.com")
    assert (found["reason"], found["schedule"]) == ("awaits_confirmation", None)
    assert "has not confirmed yet" in found["told"]
    assert ask("digest", "preview", "daily/morning", "--as", "boris@example.com")[0] == 1


@pytest.mark.parametrize(
    ("suppressed", "words"),
    [(False, "mailer subscriber list --newsletter daily"), (True, "and is suppressed; ")],
)
def test_an_address_that_nobody_knows(ask: Ask, suppressed: bool, words: str) -> None:
    if suppressed:
        ask("suppression", "add", "cleo@example.com", "--reason", "asked")
    for verb in ("plan", "preview"):
        code, out, err = ask("digest", verb, "daily/morning", "--as", "cleo@example.com")
        assert (code, out) == (1, "")
        assert err.startswith("error: cleo@example.com does not subscribe to daily")
        assert words in err


def test_a_preview_that_nobody_would_get_says_so(ask: Ask) -> None:
    code, out, err = ask("digest", "preview", "daily/morning")
    assert code == 0
    assert "One" in out
    assert err.startswith("this is what a reader who has been sent nothing yet would get: ")
    assert "nobody is due (no readers)" in err
    bring_in(ask, "anna@example.com")
    assert ask("digest", "preview", "daily/morning")[2] == ""
