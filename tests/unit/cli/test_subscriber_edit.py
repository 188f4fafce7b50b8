"""`mailer subscriber edit` as staff type it."""

import json

import pytest

from tests.unit.cli.conftest import Ask

EDIT = "subscriber edit anna@example.com"


def test_each_change_is_told(ask: Ask) -> None:
    code, printed, told = ask(EDIT, "--name", "Anna P.", "--language", "hy", "--json")
    assert code == 0
    assert json.loads(printed) == {
        "address": "anna@example.com",
        "name": "Anna P.",
        "language": "hy",
        "new_address": None,
    }
    assert "anna@example.com is changed" in told
    code, _, told = ask(EDIT, "--address", "anna@new.example")
    assert code == 0
    assert "until then mails go to anna@example.com" in told
    assert "no worker" in told


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "--name, --language or --address"),
        (("--language", "xx"), 1, "there are no texts in 'xx'"),
        (("--address", "nowhere"), 1, "error: "),
        (("--name", "www.example.com"), 1, "cannot stand in a mail"),
    ],
)
def test_what_is_refused(ask: Ask, options: tuple[str, ...], code: int, said: str) -> None:
    found, _, told = ask(EDIT, *options)
    assert (found, said in told) == (code, True)
