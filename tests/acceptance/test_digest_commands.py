"""`mailer digest` and `mailer delivery` as staff type them, judged by what a receiver took."""

from email import policy
from email.parser import BytesParser
from typing import Any

import pytest

DIGEST = ("digest", "plan", "daily/morning")


@pytest.fixture
def staffed(installation: Any) -> Any:
    """A newsletter with a schedule, three articles and two readers."""
    installation.type(
        "newsletter", "add", "daily", "--title", "The Daily", "--from", "The Daily <d@news.example>",
        "--postal-address", "1 Sample Street, Sampletown",
    )  # fmt: skip
    installation.type(
        "schedule", "add", "daily", "morning", "--at", "06:00", "--zone", "UTC",
        "--max-articles", "2", "--newcomers", "latest:9",
    )  # fmt: skip
    for name in ("anna", "boris"):
        installation.type(
            "subscriber", "add", f"{name}@example.com", "--newsletter", "daily",
            "--consent-source", "paper",
        )  # fmt: skip
    for number in (1, 2, 3):
        installation.type(
            "article", "add", "--newsletter", "daily", "--url", f"https://news.example/{number}",
            "--title", f"Story {number}", "--published", f"2026-01-0{number}T06:00Z",
        )  # fmt: skip
    installation.type("schedule", "edit", "daily/morning", "--max-age", "9000d")
    return installation


def titles(edition: dict[str, Any]) -> list[str]:
    return [article["title"] for article in edition["articles"]]


def test_a_digest_from_plan_to_the_receiver(staffed: Any, inbox: Any) -> None:
    plan = staffed.ask(*DIGEST)
    assert (plan["newsletter"], plan["schedule"]) == ("daily", "morning")
    assert (plan["would_send"], plan["reason"]) == (True, None)
    [edition] = plan["editions"]
    assert (titles(edition), edition["readers"]) == (["Story 3", "Story 2"], 2)
    assert (plan["carried_over"], plan["excluded"]) == (1, {})
    assert staffed.ask("schedule", "next", "daily/morning")[0]["slot"] == plan["slot"]

    staffed.type("digest", "test", "daily/morning", "--to", "editor@news.example")
    sent = staffed.ask("digest", "send", "daily/morning", "--wait")
    assert (sent["slot"], sent["status"]) == (plan["slot"], "sent")
    assert sent["deliveries"] == {
        "total": 2, "pending": 0, "sent": 2, "failed": 0, "skipped": 0, "unknown": 0, "cancelled": 0
    }  # fmt: skip
    assert sent["in_doubt"] == 0
    [test] = inbox.to("editor@news.example")
    assert test["Subject"] == "[Test] Story 3"
    assert test["X-Mailer-Delivery"] is None
    rows = staffed.ask("delivery", "list", "--digest", str(sent["id"]))
    assert {(row["address"], row["status"], row["attempts"]) for row in rows} == {
        ("anna@example.com", "sent", 1),
        ("boris@example.com", "sent", 1),
    }
    for row in rows:
        [mail] = inbox.to(row["address"])
        assert mail["Subject"] == "Story 3" == sent["subject"]
        assert mail["X-Mailer-Digest"] == str(sent["id"])
        assert mail["X-Mailer-Delivery"] == str(row["id"])
        assert "Story 2" in mail.get_body(("plain",)).get_content()

    # A second send answers with the same digest and sends nothing more.
    again = staffed.ask("digest", "send", "daily/morning", "--wait")
    assert again["id"] == sent["id"]
    assert (
        staffed.ask("digest", "send", "daily/morning", "--slot", sent["slot"])["id"] == sent["id"]
    )
    assert len(inbox.relay.mails) == 3

    # The next plan is about the slot after, and holds what was carried over.
    following = staffed.ask(*DIGEST)
    assert following["slot"] > plan["slot"]
    assert [titles(one) for one in following["editions"]] == [["Story 1"]]
    told = staffed.ask(*DIGEST, "--slot", sent["slot"])
    assert (told["would_send"], told["reason"]) == (
        False,
        f"digest {sent['id']} stands for this slot already",
    )
    assert [one["id"] for one in staffed.ask("digest", "list", "daily")] == [sent["id"]]
    assert staffed.ask("digest", "show", str(sent["id"]))["editions"][0]["readers"] == 2
    staffed.type("digest", "cancel", str(sent["id"]), status=1)


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_a_cancelled_digest_gives_its_articles_back(staffed: Any, inbox: Any) -> None:
    staffed.type("subscriber", "unsubscribe", "boris@example.com")
    sent = staffed.ask("digest", "send", "daily/morning")
    assert (sent["status"], sent["deliveries"]["pending"]) == ("sending", 1)
    plan = staffed.ask(*DIGEST, "--as", "anna@example.com")
    assert [article["title"] for article in plan["reader"]["articles"]] == ["Story 1"]
    cancelled = staffed.ask("digest", "cancel", str(sent["id"]))
    assert (cancelled["status"], cancelled["deliveries"]["cancelled"]) == ("cancelled", 1)
    plan = staffed.ask(*DIGEST, "--as", "anna@example.com")
    assert [article["title"] for article in plan["reader"]["articles"]] == ["Story 3", "Story 2"]
    assert staffed.ask("delivery", "list", "--status", "cancelled", "--to", "anna@example.com")
    assert inbox.relay.mails == []


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_nobody_due_is_said_and_no_mistake(staffed: Any) -> None:
    staffed.type("schedule", "edit", "daily/morning", "--min-articles", "2", "--max-articles", "9")
    first = staffed.ask("digest", "send", "daily/morning")
    assert first["status"] == "sending"
    slots = staffed.ask("schedule", "next", "daily/morning", "--count", "2")
    skipped = staffed.ask("digest", "send", "daily/morning", "--slot", slots[1]["slot"])
    assert skipped["status"] == "skipped"
    assert skipped["reason"] == "nobody is due (nothing_new: 2)"
    plan = staffed.ask(*DIGEST)
    assert (plan["would_send"], plan["editions"], plan["excluded"]) == (
        False,
        [],
        {"nothing_new": 2},
    )


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_preview_writes_what_readers_would_see(staffed: Any) -> None:
    text = staffed.type("digest", "preview", "daily/morning")
    assert "Story 3" in text
    assert "1 Sample Street" in text
    folder = staffed.folder
    staffed.type(
        "digest", "preview", "daily/morning", "--html", "d.html", "--text", "d.txt",
        "--eml", "d.eml", "--as", "anna@example.com",
    )  # fmt: skip
    assert "Story 2" in (folder / "d.html").read_text()
    assert (folder / "d.txt").read_text().strip() == text.strip()
    mail = BytesParser(policy=policy.default).parsebytes((folder / "d.eml").read_bytes())
    assert mail["To"] == "anna@example.com"
    assert staffed.ask("lint", "d.eml")["ok"] is True
    assert staffed.ask("digest", "list") == []


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_bad_input(staffed: Any) -> None:
    for arguments, status in [
        (("plan", "daily/nope"), 1),
        (("plan", "daily"), 1),
        (("plan", "daily/morning", "--slot", "soon"), 1),
        (("plan", "daily/morning", "--slot", "2026-01-01T06:00"), 1),
        (("plan", "daily/morning", "--slot", "2036-01-01T06:01"), 1),
        (("plan", "daily/morning", "--as", "nobody@example.com"), 1),
        (("plan", "daily/morning", "--as", "no address"), 1),
        (("send", "daily/morning", "--slot", "2026-01-01T06:00"), 1),
        (("send", "daily/nope"), 1),
        (("test", "daily/morning"), 2),
        (("test", "daily/morning", "--to", "nothing"), 1),
        (("preview", "daily/morning", "--html", "no/such/folder/d.html"), 1),
        (("show", "99"), 1),
        (("show", "x"), 2),
        (("cancel", "99"), 1),
        (("list", "nope"), 1),
    ]:
        staffed.type("digest", *arguments, status=status)
    staffed.type("delivery", "list", "--digest", "99", status=1)
    staffed.type("delivery", "list", "--status", "lost", status=2)
    staffed.type("schedule", "pause", "daily/morning")
    staffed.type("digest", "send", "daily/morning", status=1)
    assert staffed.ask("digest", "list") == []
