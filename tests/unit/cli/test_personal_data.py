"""`mailer subscriber erase` and `data` as staff type them."""

import json

import pytest

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


def test_an_address_that_gets_alerts_is_not_erased(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_STAFF_ADDRESS", "anna@example.com")
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


def test_another_suppression_can_be_lifted_and_the_person_stays_erased(ask: Ask) -> None:
    ask("suppression add anna@example.com --reason phone")
    ask(ERASE)
    code, _, told = ask("suppression lift anna@example.com")
    assert (code, "after confirming" in told) == (0, True)
    assert ask(ADD, "--consent-source", "paper")[0] == 1
