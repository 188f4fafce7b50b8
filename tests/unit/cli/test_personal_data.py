"""`mailer subscriber erase` and `data` as staff type them."""

import json
import re
from pathlib import Path

import pytest

from mailer.cli.base import opened
from mailer.permission.suppress import keep_away
from tests.unit.cli.conftest import Ask

ERASE = "subscriber erase anna@example.com"
ADD = "subscriber add anna@example.com --newsletter daily"


def test_a_person_is_erased_and_erasing_again_says_so(ask: Ask) -> None:
    code, printed, told = ask(ERASE, "--json")
    assert (code, json.loads(printed)["erased"]) == (0, True)
    assert "anna@example.com is erased" in told
    code, printed, told = ask(ERASE, "--json")
    assert (code, json.loads(printed)["erased"]) == (0, False)
    assert "was erased on" in told
    assert ask("subscriber show anna@example.com")[0] == 0
    assert json.loads(ask("subscriber list --json")[1]) == []


def test_of_whom_nothing_is_held_nobody_is_erased(ask: Ask) -> None:
    code, _, told = ask("subscriber erase nobody@example.com")
    assert (code, "nothing is held about nobody@example.com" in told) == (1, True)
    assert json.loads(ask("suppression list --json")[1]) == []


@pytest.mark.parametrize(
    "staff", ["anna@example.com", "desk@news.example,Anna@example.com,chief@news.example"]
)
def test_an_address_that_gets_alerts_is_not_erased(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, staff: str
) -> None:
    monkeypatch.setenv("MAILER_STAFF_ADDRESS", staff)
    code, _, told = ask(ERASE)
    assert (code, "staff_address" in told) == (1, True)


def test_no_staff_brings_an_erased_person_back(ask: Ask) -> None:
    ask(ERASE)
    code, _, told = ask(ADD, "--consent-source", "paper")
    assert (code, "leave out --consent-source" in told) == (1, True)
    code, _, told = ask("suppression lift anna@example.com")
    assert (code, "only that person can come back" in told) == (1, True)
    code, _, told = ask(ADD)
    assert (code, "confirmation mail" in told) == (0, True)


def test_no_staff_lifts_that_an_address_was_replaced(ask: Ask) -> None:
    old = "anna@old.example"
    with opened() as app, app.database.write() as session:
        # As the change of an address leaves it.
        keep_away(session, app.keys.key_hash(old), now=app.times.wall())
    code, _, told = ask(f"suppression lift {old}")
    assert (code, "replaced by a new address" in told) == (1, True)


def test_another_suppression_can_be_lifted_and_the_person_stays_erased(ask: Ask) -> None:
    ask("suppression add anna@example.com --reason phone")
    ask(ERASE)
    code, _, told = ask("suppression lift anna@example.com")
    assert (code, "after confirming" in told) == (0, True)
    assert ask(ADD, "--consent-source", "paper")[0] == 1


def test_what_is_held_is_shown_as_numbers_as_json_and_as_a_page(ask: Ask, tmp_path: Path) -> None:
    code, printed, told = ask("subscriber data anna@example.com")
    assert (code, "subscriptions" in printed, "--json or --html" in told) == (0, True, True)
    code, printed, _ = ask("subscriber data anna@example.com --json")
    held = json.loads(printed)
    assert held["subscriptions"][0]["newsletter"] == "daily"
    assert held["consent"][0]["source"] == "mailer subscriber add: paper"
    page = tmp_path / "anna.html"
    assert ask("subscriber data anna@example.com", "--html", str(page))[0] == 0
    assert (page.stat().st_mode & 0o777, "anna@example.com" in page.read_text()) == (0o600, True)
    code, _, told = ask("subscriber data anna@example.com", "--html", str(page))
    assert (code, "exists already" in told) == (1, True)
    assert ask("subscriber data nobody@example.com")[0] == 1


def test_of_an_erased_person_only_the_hash_speaks(ask: Ask) -> None:
    ask(ERASE)
    held = json.loads(ask("subscriber data anna@example.com --json")[1])
    assert [event["kind"] for event in held["consent"]] == ["imported", "erased"]
    assert [row["reason"] for row in held["suppressions"]] == ["erased"]
    assert (held["name"], held["since"], held["subscriptions"], held["digests"]) == (
        None,
        None,
        [],
        [],
    )


def test_the_consent_log_becomes_a_page_that_loads_nothing(ask: Ask, tmp_path: Path) -> None:
    source = "letter <img src=https://evil.example/x> & more"
    ask("subscriber add boris@example.com --newsletter daily --consent-source", source)
    page = tmp_path / "boris.html"
    code, printed, _ = ask("consent show boris@example.com", "--html", str(page))
    assert (code, printed) == (0, "")
    html = page.read_text()
    assert page.stat().st_mode & 0o777 == 0o600
    assert "&lt;img src=" in html
    assert not re.search(r"<(img|script|link|iframe|object)\b|\bsrc=\"|url\(|@import", html)
    assert ask("consent show boris@example.com", "--html", str(page))[0] == 1
