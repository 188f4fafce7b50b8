"""The whole way by commands, on both engines: the readers', which is the demo's tour, and that of staff.

What a command says about sending is compared with what the receiver of the mails got. On SQLite the tour
is `mailer demo --once` (test_demo.py), and each command of staff is a process in every run of the tests.
"""

import io
from datetime import datetime
from email.message import EmailMessage
from typing import Any

import pytest

from mailer.demo.checklist import Checklist
from mailer.demo.mailbox import URL_IN_TEXT
from mailer.demo.setup import Demo
from mailer.demo.tour import ANNA, BORIS, Tour, compare_ledger
from tests.support.waiting import wait_until

NEWSLETTER = ("--title", "The Sample", "--from", "The Sample <news@sample.example>")
POSTAL = ("--postal-address", "The Sample, 1 Sample Street, Sampletown")
DAILY = "sample/daily"
CLARA, DORA = "clara@reader.example", "dora@reader.example"


@pytest.fixture
def newsroom(installation: Any, site: Any) -> Any:
    """The installation with a newsletter, seven articles that were there before, and two schedules."""
    site.publish(*(f"Old {number}" for number in range(1, 8)))
    installation.type("newsletter", "add", "sample", *NEWSLETTER, *POSTAL)
    installation.type("feed", "add", site.url, "--newsletter", "sample", "--allow-private")
    for name, *rule in (("daily", "--at", "06:30"), ("weekly", "--at", "08:00", "--days", "sat")):
        installation.type("schedule", "add", "sample", name, *rule, "--zone", "Europe/Paris")
    return installation


def published(installation: Any) -> dict[str, Any]:
    return {row["title"]: row for row in installation.ask("article", "list")}


def urls(mail: EmailMessage, start: str) -> list[str]:
    """The addresses in the text of a mail that start so, each once."""
    text = mail.get_body(("plain",))
    assert text is not None
    found = URL_IN_TEXT.findall(text.get_content())
    return list(dict.fromkeys(url for url in found if url.startswith(start)))


def check_ledger(installation: Any, inbox: Any) -> None:
    digests = [
        mail
        for address in (ANNA, BORIS, CLARA, DORA)
        for mail in inbox.to(address)
        if mail["X-Mailer-Digest"]
    ]
    compare_ledger(installation.ask, digests)


def test_what_staff_set_up_is_what_they_are_told(newsroom: Any, site: Any) -> None:
    (letter,) = newsroom.ask("newsletter", "list")
    assert letter["slug"] == "sample"
    assert newsroom.ask("newsletter", "show", "sample")["title"] == "The Sample"
    assert "<form" in newsroom.type("newsletter", "embed", "sample")
    (feed,) = newsroom.ask("feed", "list")
    assert feed["url"] == site.url

    rows = published(newsroom)
    assert set(rows) == {f"Old {number}" for number in range(1, 8)}
    assert {"id", "title", "url", "published", "first_seen"} <= set(rows["Old 1"])
    assert rows["Old 1"]["url"] == site.address("Old 1")
    site.publish("New 1")
    newsroom.type("feed", "refresh")
    assert "New 1" in published(newsroom)

    assert {row["name"] for row in newsroom.ask("schedule", "list")} == {"daily", "weekly"}
    assert newsroom.ask("schedule", "show", DAILY)["default"] is True
    slots = newsroom.ask("schedule", "next", DAILY, "--count", "3", "--from", "2026-03-27T12:00Z")
    assert [slot["slot"] for slot in slots] == [f"2026-03-{day}T06:30" for day in (28, 29, 30)]
    # The clocks of Paris go forward in the night to the 29th.
    assert [datetime.fromisoformat(slot["utc"]).hour for slot in slots] == [5, 4, 4]
    assert {slot["zone"] for slot in slots} == {"Europe/Paris"}

    status = newsroom.ask("status")
    assert status["paused_at"] is None
    assert newsroom.ask("db", "check")["ok"] is True
    assert newsroom.ask("address", "check", "Anna@Reader.Example")["key"] == ANNA


@pytest.mark.thorough
@pytest.mark.timeout(400)
def test_the_tour_of_the_demo_on_postgresql(postgresql_url: str) -> None:
    with Demo(Checklist(io.StringIO()), None, postgresql_url) as demo:
        Tour(demo).walk()
        log = demo.program.log_file.read_text()
        assert demo.mailbox.mails()
    for address in (ANNA, BORIS):
        assert address not in log


@pytest.mark.parametrize(
    "before_init",
    [pytest.param("sqlite", marks=pytest.mark.real_processes), "postgresql"],
    indirect=True,
)
def test_the_journey(newsroom: Any, site: Any, inbox: Any, browse: Any) -> None:
    base = newsroom.settings["base_url"]
    news = site.url.removesuffix("feed")
    with newsroom.running():
        wait_until(lambda: browse(f"{base}/readyz")[0] == 200)

        # Anna and Boris come by the form, and get the same answer; only Anna confirms.
        assert browse(f"{base}/subscribe/sample")[0] == 200
        answers = {
            browse(f"{base}/subscribe", {"email": address, "newsletter": "sample"})
            for address in (ANNA, BORIS)
        }
        assert len(answers) == 1
        (request,) = inbox.wait_for(ANNA, 1)
        (confirm,) = urls(request, f"{base}/confirm/")
        assert browse(confirm, {})[0] == 200
        assert [row["kind"] for row in newsroom.ask("consent", "show", ANNA)] == [
            "requested",
            "confirmed",
        ]
        # Staff bring Clara and Dora in, who had said yes elsewhere; Dora is not to be mailed.
        newsroom.type(
            *("subscriber", "add", CLARA, "--newsletter", "sample"),
            *("--consent-source", "paper form of 3 May"),
        )
        (newsroom.folder / "old.csv").write_text(f"name,email\nDora,{DORA}\nClara,{CLARA}\n,no\n")
        imported = newsroom.ask(
            *("subscriber", "import", "old.csv", "--newsletter", "sample"),
            *("--consent-source", "list of the old system"),
        )
        assert (imported["rows"], imported["added"], imported["updated"]) == (3, 1, 1)
        assert [row["line"] for row in imported["rejected"]] == [4]
        newsroom.type("suppression", "add", DORA, "--reason", "she called us")
        assert {row["address"] for row in newsroom.ask("suppression", "list")} == {DORA}
        readers = newsroom.ask("subscriber", "list")
        assert {row["address"] for row in readers} == {ANNA, CLARA, DORA}

        # The plan accounts for everybody, and sends nothing.
        plan = newsroom.ask("digest", "plan", DAILY)
        assert plan["would_send"] is True
        readers = sum(edition["readers"] for edition in plan["editions"])
        assert readers == 2
        assert readers + sum(plan["excluded"].values()) == 3
        newsroom.type("digest", "preview", DAILY, "--eml", "preview.eml", "--html", "preview.html")
        assert newsroom.ask("lint", "preview.eml") == {"ok": True, "problems": []}
        newsroom.type("digest", "test", DAILY, "--to", "editor@sample.example")
        (marked,) = inbox.wait_for("editor@sample.example", 1)
        assert marked["Subject"].startswith("[Test]")
        assert newsroom.ask("digest", "list") == []

        # The first digest has the newest five; sending its slot again is answered with the same.
        first = newsroom.ask("digest", "send", DAILY)
        newest = {site.address(f"Old {number}") for number in range(3, 8)}
        for address, count in ((ANNA, 2), (CLARA, 1)):
            assert set(urls(inbox.wait_for(address, count)[-1], news)) == newest
        again = newsroom.ask("digest", "send", DAILY, "--slot", first["slot"], "--wait")
        assert (again["id"], again["status"]) == (first["id"], "sent")
        check_ledger(newsroom, inbox)

        # While sending is paused nothing goes out; what was new then goes out once, afterwards.
        site.publish("New 1", "New 2")
        newsroom.type("feed", "refresh")
        newsroom.type("pause", "--reason", "a test")
        assert newsroom.ask("status")["paused_reason"] == "a test"
        slot = newsroom.ask("schedule", "next", DAILY, "--count", "2")[-1]["slot"]
        second = newsroom.ask("digest", "send", DAILY, "--slot", slot)
        assert second["deliveries"]["pending"] == 2
        newsroom.type("subscriber", "unsubscribe", CLARA)
        newsroom.type("resume")
        mails = inbox.wait_for(ANNA, 3)
        assert set(urls(mails[-1], news)) == {site.address("New 1"), site.address("New 2")}
        wait_until(
            lambda: newsroom.ask("digest", "show", str(second["id"]))["status"] == "sent", every=0.2
        )
        counts = newsroom.ask("digest", "show", str(second["id"]))["deliveries"]
        assert (counts["sent"], counts["skipped"]) == (1, 1)
        assert set(counts) == {
            "total",
            "pending",
            "sent",
            "failed",
            "skipped",
            "unknown",
            "cancelled",
        }
        assert [len(inbox.to(address)) for address in (ANNA, BORIS, CLARA, DORA)] == [3, 1, 1, 0]
        check_ledger(newsroom, inbox)
        shown = newsroom.ask("subscriber", "show", ANNA)
        assert [row["status"] for row in shown["got"]] == ["sent"] * 2
    for address in (ANNA, BORIS, CLARA, DORA):
        assert address not in newsroom.log()
