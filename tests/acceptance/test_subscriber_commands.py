"""Readers, consent and suppressions as staff type them, and as readers press buttons in between."""

import csv
import re
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import Inbox, Installation
from tests.support.commands import NEWSLETTER
from tests.support.waiting import wait_until

Browse = Callable[..., tuple[int, str]]


@pytest.fixture
def paper(installation: Installation) -> Installation:
    """An installation with the newsletter `daily`, morning and weekly."""
    installation.type(*NEWSLETTER)
    for name, days in (("morning", ()), ("weekly", ("--days", "sat"))):
        installation.type("schedule", "add", "daily", name, "--at", "07:00", *days, "--zone", "UTC")
    return installation


def states(paper: Installation) -> dict[str, tuple[str, str]]:
    return {
        row["address"]: (row["schedule"], row["state"]) for row in paper.ask("subscriber", "list")
    }


def links(text: str, page: str) -> list[str]:
    return re.findall(rf"https?://\S+/{page}/[\w-]+", text)


def test_staff_invite_somebody_who_confirms_changes_and_leaves(
    paper: Installation, inbox: Inbox, browse: Browse
) -> None:
    base = paper.settings["base_url"]
    with paper.running("web", "worker"):
        wait_until(lambda: browse(f"{base}/readyz")[0] == 200)
        found = paper.ask("subscriber", "add", "anna@reader.example", "--newsletter", "daily")
        assert found["status"] == "pending"
        assert paper.ask("subscriber", "list") == []
        (mail,) = inbox.wait_for("anna@reader.example", 1)
        body = mail.get_body(("plain",))
        assert body is not None
        (confirm,) = links(body.get_content(), "confirm")
        assert browse(confirm, {})[0] == 200
        assert states(paper) == {"anna@reader.example": ("morning", "active")}

        assert browse(f"{base}/preferences", {"email": "nobody@reader.example"})[0] == 200
        shown = paper.ask("subscriber", "show", "anna@reader.example")
        assert [one["state"] for one in shown["subscriptions"]] == ["active"]
        log = paper.ask("consent", "show", "anna@reader.example")
        assert [one["kind"] for one in log] == ["requested", "confirmed"]
        assert "The Daily by email" in log[0]["wording"]
        assert log[0]["wording"] == log[1]["wording"]

        paper.type("subscriber", "unsubscribe", "anna@reader.example", "--newsletter", "daily")
        assert browse(confirm, {})[0] == 410
        assert states(paper) == {"anna@reader.example": ("morning", "left")}
    assert len(inbox.to("anna@reader.example")) == 1
    assert inbox.to("nobody@reader.example") == []
    assert "reader.example" not in paper.log()


def test_the_form_and_not_me(paper: Installation, inbox: Inbox, browse: Browse) -> None:
    base = paper.settings["base_url"]
    with paper.running("web", "worker"):
        wait_until(lambda: browse(f"{base}/readyz")[0] == 200)
        sent = {"email": "boris@reader.example", "newsletter": "daily"}
        assert browse(f"{base}/subscribe", sent)[0] == 200
        (mail,) = inbox.wait_for("boris@reader.example", 1)
        body = mail.get_body(("plain",))
        assert body is not None
        (not_me,) = links(body.get_content(), "not-me")
        assert browse(not_me)[0] == 200
        assert paper.ask("suppression", "list") == []
        assert browse(not_me, {})[0] == 200
        (muted,) = paper.ask("suppression", "list")
        assert (muted["newsletter"], muted["reason"]) == ("daily", "not_me")
        assert urllib.parse.urlsplit(not_me).netloc == urllib.parse.urlsplit(base).netloc


def test_staff_enter_readers_and_only_a_given_schedule_changes(paper: Installation) -> None:
    def add(*options: str) -> str:
        found = paper.ask("subscriber add anna@reader.example --newsletter daily", *options)
        return str(found["status"])

    assert add("--consent-source", "paper form") == "added"
    assert add("--consent-source", "paper form") == "unchanged"
    assert add() == "unchanged"
    assert add("--schedule", "daily/weekly") == "updated"
    assert add() == "unchanged"
    assert states(paper) == {"anna@reader.example": ("weekly", "active")}
    log = paper.ask("consent", "show", "anna@reader.example")
    assert [one["kind"] for one in log] == ["imported", "changed"]
    assert "paper form" in log[0]["source"]

    paper.type("subscriber", "unsubscribe", "anna@reader.example")
    paper.type(
        "subscriber add anna@reader.example --newsletter daily --consent-source 'paper form'",
        status=1,
    )
    assert add() == "pending"


def test_an_import_counts_as_the_contract_says(paper: Installation) -> None:
    file = paper.folder / "readers.csv"
    file.write_text("E-Mail;Name\na@reader.example;Anna\nb@reader.example;\nnobody;\n")
    paper.type("suppression", "add", "b@reader.example", "--reason", "asked by phone")
    command = ("subscriber", "import", str(file), "--newsletter", "daily")
    options = ("--consent-source", "the fair", "--map", "email=E-Mail")

    dry = paper.ask(*command, *options, "--dry-run")
    assert paper.ask("subscriber", "list") == []
    assert dry == paper.ask(*command, *options)
    assert dry["rejected"][0].pop("reason")
    assert dry == {
        "rows": 3,
        "added": 1,
        "updated": 0,
        "unchanged": 0,
        "skipped": {"unsubscribed": 0, "suppressed": 1},
        "recorded": {"unsubscribed": 0, "suppressed": 0},
        "preset": "CSV",
        "warnings": [],
        "rejected": [{"line": 4}],
    }
    again = paper.ask(*command, *options, "--schedule", "daily/weekly")
    assert (again["added"], again["updated"]) == (0, 1)
    assert states(paper) == {"a@reader.example": ("weekly", "active")}


def test_suppressions_hold_against_staff_until_they_are_lifted(paper: Installation) -> None:
    address = "anna@reader.example"
    add = ("subscriber", "add", address, "--newsletter", "daily", "--consent-source", "form")
    paper.type(*add)
    assert paper.ask("suppression", "add", address, "--reason", "complained")["added"]
    assert not paper.ask("suppression", "add", address, "--reason", "again")["added"]
    assert states(paper) == {address: ("morning", "suppressed")}
    paper.type(*add, status=1)
    assert paper.ask("suppression", "lift", address)["lifted"] == 1
    assert states(paper) == {address: ("morning", "active")}
    paper.type("suppression", "lift", address, status=1)


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_a_newsletter_without_a_schedule_takes_nobody(paper: Installation) -> None:
    paper.type(
        *("newsletter", "add", "new", "--title", "New"),
        *("--from", "New <new@news.example>", "--postal-address", "1 Sample Street"),
    )
    (paper.folder / "r.csv").write_text("email\na@reader.example\n")
    paper.type("subscriber", "add", "a@reader.example", "--newsletter", "new", status=1)
    paper.type(
        *("subscriber", "import", "r.csv", "--newsletter", "new", "--consent-source", "x"), status=1
    )
    assert paper.ask("subscriber", "list") == []


def test_what_is_exported_can_be_imported_elsewhere(paper: Installation, tmp_path: Path) -> None:
    source = tmp_path / "list.csv"
    source.write_text(
        "email,name,status,opted in at,ip\n"
        "=a@reader.example,Anna,active,2020-02-03 04:05:06,192.0.2.7\n"
        "b@reader.example,,unsubscribed,,\nc@reader.example,,bounced,,\n"
    )
    fair = ("--newsletter", "daily", "--consent-source", "the fair")
    paper.type("subscriber", "import", str(source), *fair)
    exported = paper.folder / "out.csv"
    paper.type("subscriber", "export", str(exported), "--newsletter", "daily")
    paper.type("subscriber", "export", str(exported), status=1)
    printed = paper.type("subscriber", "export")
    rows = list(csv.DictReader(exported.read_text(encoding="utf-8-sig").splitlines()))

    assert exported.stat().st_mode & 0o777 == 0o600
    assert exported.read_bytes().startswith(b"\xef\xbb\xbfemail,")
    assert printed.splitlines()[1:] == exported.read_text(encoding="utf-8").splitlines()[1:]
    assert [(row["email"], row["status"]) for row in rows] == [
        ("'=a@reader.example", "active"),
        ("b@reader.example", "unsubscribed"),
    ]
    assert (rows[0]["opted_in_at"], rows[0]["opt_in_ip"]) == ("2020-02-03T04:05:06Z", "192.0.2.7")
    again = paper.ask("subscriber", "import", str(exported), *fair)
    assert (again["unchanged"], again["skipped"]["unsubscribed"], again["rows"]) == (1, 1, 2)


def test_suppressions_are_imported_and_exported(paper: Installation) -> None:
    (paper.folder / "stop.txt").write_text("a@reader.example\nnobody\nb@reader.example\n")
    stop = ("suppression", "import", "stop.txt", "--reason", "objected")
    dry = paper.ask(*stop, "--dry-run")
    assert paper.ask("suppression", "list") == []
    done = paper.ask(*stop)
    assert dry == done
    assert done["rejected"][0].pop("reason")
    assert done == {
        "rows": 3,
        "added": 2,
        "updated": 0,
        "unchanged": 0,
        "preset": "CSV",
        "warnings": [],
        "rejected": [{"line": 2}],
    }
    paper.type("suppression", "export", "out.csv")
    for address in ("a@reader.example", "b@reader.example"):
        paper.type("suppression", "lift", address)
    back = paper.ask("suppression", "import", "out.csv", "--reason", "objected")
    assert (back["rows"], back["added"]) == (2, 2)
    assert [row["reason"] for row in paper.ask("suppression", "list")] == ["staff", "staff"]
    # What else such a file says of them keeps nobody out of it.
    (paper.folder / "more.csv").write_text(
        "email,status\nc@reader.example,5.1.1\nd@reader.example,\n"
    )
    more = paper.ask("suppression", "import", "more.csv", "--reason", "objected")
    assert (more["added"], more["rejected"]) == (2, [])


def test_the_first_twenty_problems_are_shown_and_json_has_all(paper: Installation) -> None:
    names = [f"\x1b[31mno{number}" for number in range(25)]
    (paper.folder / "bad.csv").write_text("\n".join(["email", *names, "a@reader.example", ""]))
    command = ("subscriber", "import", "bad.csv", "--newsletter", "daily", "--consent-source", "x")
    data = paper.ask(*command, "--dry-run")
    assert [row["line"] for row in data["rejected"]] == list(range(2, 27))
    for more in (("--dry-run",), ()):
        ended = paper.run("subscriber", *command[1:], *more)
        assert ended.returncode == 0
        assert "line 21: " in ended.stderr
        assert "line 22: " not in ended.stderr
        assert "and 5 more rows that cannot be used; --json lists all" in ended.stderr
        assert "\x1b" not in ended.stderr + ended.stdout
