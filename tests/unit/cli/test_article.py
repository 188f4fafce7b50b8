"""`mailer article` as staff type it in this process: what the list says of an article, and refusals."""

import json
import re

import pytest

from tests.support.commands import Ask

ADD = ("article", "add", "--newsletter", "daily", "--url", "https://a.example/1", "--title", "One")


@pytest.fixture
def ask(newsletter: Ask) -> Ask:
    """Types a command in an installation with a newsletter and an article."""

    assert newsletter(*ADD)[0] == 0
    return newsletter


def test_the_list_says_what_is_odd_about_an_article(ask: Ask) -> None:
    def state() -> str:
        heading, row = ask("article", "list")[1].splitlines()
        return row[heading.index("state") : heading.index("url")].strip()

    assert state() == ""
    ask("article", "edit", "1", "--title", "Two")
    assert state() == "edited"
    ask("article", "withdraw", "1")
    assert state() == "withdrawn, edited"
    assert json.loads(ask("article", "list", "--json")[1])[0]["withdrawn"] is True


def test_what_is_typed_twice_names_the_next_step(ask: Ask) -> None:
    code, out, err = ask(*ADD)
    assert (code, out) == (1, "")
    assert err == (
        "error: article 1 is in daily already, and is due; "
        "`mailer article edit 1` changes what it says\n"
    )


def test_an_article_of_the_future_says_from_when_on_it_is_due(ask: Ask) -> None:
    future = (*ADD[:4], "--url", "https://a.example/2", "--title", "Two", "--published")
    assert "article 2 is in daily, from 2040-01-01 06:00 UTC on; " in ask(
        *future, "2040-01-01T06:00Z"
    )[2]  # fmt: skip


def test_a_long_address_leaves_room_for_the_next_step(ask: Ask) -> None:
    code, _, err = ask(*ADD[:4], "--url", "https://a.example/" + "x" * 3000, "--title", "Long")
    assert code == 1
    assert len(err) < 300
    assert re.search(r"\(of 3018 characters\) is not an http or https address; give", err)
