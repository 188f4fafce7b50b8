"""The whole way by commands, on both engines: from `mailer init` to a ledger that agrees with the inbox.

What a command says about sending is compared with what the receiver of the mails got. On SQLite each
command of the journey is a process in every run of the tests.
"""

import re
from datetime import datetime
from email.message import EmailMessage
from typing import Any

import pytest

from tests.support.waiting import wait_until

NEWSLETTER = ("--title", "The Sample", "--from", "The Sample <news@sample.example>")
POSTAL = ("--postal-address", "The Sample, 1 Sample Street, Sampletown")
DAILY, WEEKLY = "sample/daily", "sample/weekly"
ANNA, BORIS, CLARA, DORA = (f"{name}@reader.example" for name in ("anna", "boris", "clara", "dora"))
STATUSES = {"pending", "sent", "failed", "skipped", "unknown", "cancelled"}


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


def articles(mail: EmailMessage, site: Any) -> list[str]:
    """The articles that both parts of a digest link to, by their addresses."""
    base = site.url.removesuffix("/feed")
    found = []
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        content = part.get_content()
        found.append(list(dict.fromkeys(re.findall(rf"{re.escape(base)}/[\w-]+", content))))
    assert sorted(found[0]) == sorted(found[1])
    return found[0]


def link(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    found = set(re.findall(rf"http://\S+/{kind}/[\w.~-]+", part.get_content()))
    assert len(found) == 1, part.get_content()
    return str(found.pop())


def confirm(browse: Any, mail: EmailMessage) -> None:
    target = link(mail, "confirm")
    assert browse(target)[0] == 200
    assert browse(target, {})[0] == 200


def check_ledger(installation: Any, inbox: Any) -> None:
    """Each digest's sums add up, and the ledger and the receiver know the same deliveries."""
    got = {
        (mail["X-Mailer-Digest"], mail["X-Mailer-Delivery"], mail["To"])
        for address in (ANNA, BORIS, CLARA, DORA)
        for mail in inbox.to(address)
        if mail["X-Mailer-Digest"]
    }
    told = {
        (str(row["digest"]), str(row["id"]), row["address"])
        for row in installation.ask("delivery", "list", "--status", "sent")
    }
    assert told == got
    for row in installation.ask("digest", "list"):
        digest = installation.ask("digest", "show", str(row["id"]))
        counts = digest["deliveries"]
        assert set(counts) == STATUSES | {"total"}
        assert counts["total"] == sum(counts[status] for status in STATUSES)
        assert counts["sent"] == sum(key[0] == str(row["id"]) for key in got)
        assert digest["in_doubt"] == 0


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


@pytest.mark.parametrize(
    "before_init",
    [pytest.param("sqlite", marks=pytest.mark.real_processes), "postgresql"],
    indirect=True,
)
def test_the_journey(newsroom: Any, site: Any, inbox: Any, browse: Any) -> None:
    base = newsroom.settings["base_url"]
    subscribe = f"{base}/subscribe"
    with newsroom.running():
        wait_until(lambda: browse(f"{base}/readyz")[0] == 200)

        # Anna comes by the form, Boris by a bare POST that asks for the weekly digest.
        assert browse(f"{subscribe}/sample")[0] == 200
        answers = {
            browse(subscribe, {"email": ANNA, "newsletter": "sample"}),
            browse(subscribe, {"email": BORIS, "newsletter": "sample", "schedule": WEEKLY}),
        }
        assert len(answers) == 1
        for address in (ANNA, BORIS):
            (asked,) = inbox.wait_for(address, 1)
            assert newsroom.ask("consent", "show", address)[-1]["kind"] == "requested"
            confirm(browse, asked)
            assert newsroom.ask("consent", "show", address)[-1]["kind"] == "confirmed"
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
        assert (imported["rows"], imported["added"], imported["unchanged"]) == (3, 1, 1)
        assert [row["line"] for row in imported["rejected"]] == [4]
        newsroom.type("suppression", "add", DORA, "--reason", "she called us")
        assert {row["address"] for row in newsroom.ask("suppression", "list")} == {DORA}
        readers = newsroom.ask("subscriber", "list")
        assert {row["address"]: f"sample/{row['schedule']}" for row in readers} == {
            ANNA: DAILY,
            BORIS: WEEKLY,
            CLARA: DAILY,
            DORA: DAILY,
        }

        # The plan accounts for everybody, and sends nothing.
        plan = newsroom.ask("digest", "plan", DAILY)
        assert plan["would_send"] is True
        readers = sum(edition["readers"] for edition in plan["editions"])
        assert readers == 2
        assert readers + sum(plan["excluded"].values()) == 4
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
            assert set(articles(inbox.wait_for(address, count)[-1], site)) == newest
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
        assert set(articles(mails[-1], site)) == {site.address("New 1"), site.address("New 2")}
        wait_until(
            lambda: newsroom.ask("digest", "show", str(second["id"]))["status"] == "sent", every=0.2
        )
        counts = newsroom.ask("digest", "show", str(second["id"]))["deliveries"]
        assert (counts["sent"], counts["skipped"]) == (1, 1)
        assert len(inbox.to(CLARA)) == 1
        check_ledger(newsroom, inbox)

        # What Anna had as new is not sent to her again beside what is newer still.
        site.publish("New 3")
        newsroom.type("feed", "refresh")
        slot = newsroom.ask("schedule", "next", DAILY, "--count", "3")[-1]["slot"]
        newsroom.type("digest", "send", DAILY, "--slot", slot, "--wait")
        mails = inbox.wait_for(ANNA, 4)
        assert articles(mails[-1], site) == [site.address("New 3")]

        # Anna leaves with one click; the next daily digest has nobody, the weekly one only Boris.
        leave = re.search(r"<(http[^>]+)>", mails[-1]["List-Unsubscribe"])
        assert leave is not None
        assert browse(leave[1], {"List-Unsubscribe": "One-Click"})[0] == 200
        slot = newsroom.ask("schedule", "next", DAILY, "--count", "4")[-1]["slot"]
        nobody = newsroom.ask("digest", "send", DAILY, "--slot", slot)
        assert (nobody["status"], nobody["deliveries"]["total"]) == ("skipped", 0)
        weekly = newsroom.ask("digest", "send", WEEKLY, "--wait")
        assert weekly["status"] == "sent"
        assert len(articles(inbox.wait_for(BORIS, 2)[-1], site)) == 8
        assert (len(inbox.to(ANNA)), len(inbox.to(CLARA)), len(inbox.to(DORA))) == (4, 1, 0)
        check_ledger(newsroom, inbox)

        shown = newsroom.ask("subscriber", "show", ANNA)
        assert [row["status"] for row in shown["got"]] == ["sent"] * 3
        assert [row["kind"] for row in newsroom.ask("consent", "show", ANNA)] == [
            "requested",
            "confirmed",
            "unsubscribed",
        ]
    for address in (ANNA, BORIS, CLARA, DORA):
        assert address not in newsroom.log()
