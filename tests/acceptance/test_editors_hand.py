"""What an editor does to digests, as typed and as pressed in mails, judged by what a receiver took."""

import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from tests.support.commands import NEWSLETTER
from tests.support.waiting import wait_until

DESK = "desk@news.example"
CHIEF = "chief@news.example"
ON_SQLITE = pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)


def in_hours(hours: int) -> str:
    """The wall time in UTC in so many hours."""
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%H:%M")


@pytest.fixture
def staffed(installation: Any) -> Any:
    """A newsletter with two schedules, a reader or two on each, and three articles."""
    installation.settings.update(staff_address=DESK, lease="2s")
    installation.type(*NEWSLETTER)
    for name, hours in (("morning", 1), ("evening", 2)):
        installation.type("schedule add daily", name, "--at", in_hours(hours), "--zone", "UTC")
    for reader, schedule in (("anna", "morning"), ("boris", "morning"), ("cleo", "evening")):
        installation.type(
            "subscriber", "add", f"{reader}@example.com", "--newsletter", "daily",
            "--schedule", f"daily/{schedule}", "--consent-source", "paper",
        )  # fmt: skip
    for number in (1, 2, 3):
        installation.type(
            "article", "add", "--newsletter", "daily", "--url", f"https://news.example/{number}",
            "--title", f"Story {number}",
        )  # fmt: skip
    (installation.folder / "words.md").write_text("# Good morning\n\nThe *fair* opens.\n")
    return installation


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    found: str = part.get_content()
    return found


def html_of(mail: EmailMessage) -> str:
    part = mail.get_body(("html",))
    assert part is not None
    found: str = part.get_content()
    return found


def test_a_coming_digest_is_edited_once(staffed: Any, inbox: Any) -> None:
    ids = {one["title"]: one["id"] for one in staffed.ask("article", "list")}
    edited = staffed.ask(
        "digest", "edit", "daily/morning", "--subject", "The fair opens", "--intro", "words.md",
        "--lead", str(ids["Story 1"]), "--drop", str(ids["Story 2"]),
    )  # fmt: skip
    assert (edited["subject"], edited["lead"]) == ("The fair opens", ids["Story 1"])
    assert edited["dropped"] == [ids["Story 2"]]
    plan = staffed.ask("digest", "plan", "daily/morning", "--as", "anna@example.com")
    assert [one["title"] for one in plan["editions"][0]["articles"]] == ["Story 1", "Story 3"]
    assert (plan["subject"], plan["articles"]["dropped"]) == ("The fair opens", 1)
    assert [one["why"] for one in plan["reader"]["others"]] == ["dropped"]
    preview = staffed.type("digest", "preview", "daily/morning", "--as", "anna@example.com")
    assert preview.index("The fair opens.") < preview.index("1. Story 1")
    staffed.type("digest", "test", "daily/morning", "--to", "editor@news.example")

    sent = staffed.ask("digest", "send", "daily/morning", "--wait")
    [test] = inbox.to("editor@news.example")
    [mail] = inbox.to("anna@example.com")
    assert test["Subject"] == "[Test] The fair opens"
    assert mail["Subject"] == "The fair opens"
    assert mail["Auto-Submitted"] == "auto-generated"
    for part in (text_of(mail), html_of(mail)):
        assert "Story 2" not in part
        assert part.rindex("Good morning") < part.rindex("Story 1") < part.rindex("Story 3")
    assert "<em>fair</em>" in html_of(mail)

    assert staffed.ask("digest", "edit", "daily/morning")["subject"] is None
    report = staffed.ask("digest", "report", str(sent["id"]), "--html", "report.html")
    assert (report["deliveries"]["sent"], report["failures"], report["left"]) == (2, {}, 0)
    page = (staffed.folder / "report.html").read_text()
    assert "The fair opens" in page
    assert "anna@example.com" not in page
    # What was dropped stays away from the other schedule too, until it is put in again.
    plan = staffed.ask("digest", "plan", "daily/evening")
    assert [one["title"] for one in plan["editions"][0]["articles"]] == ["Story 3", "Story 1"]
    staffed.type("article add --newsletter daily --url https://news.example/2 --title x")
    plan = staffed.ask("digest", "plan", "daily/morning")
    assert [one["title"] for one in plan["editions"][0]["articles"]] == ["Story 2"]


@ON_SQLITE
def test_a_letter_and_chosen_articles_go_to_all_readers(staffed: Any, inbox: Any) -> None:
    readers = [f"{name}@example.com" for name in ("anna", "boris", "cleo")]
    letter = staffed.ask(
        "digest", "once", "daily", "--at", "2040-12-24 18:00", "--zone", "Europe/Paris",
        "--subject", "Thank you", "--intro", "words.md",
    )  # fmt: skip
    assert letter["schedule"] == "daily/once-2040-12-24-1800"
    assert staffed.ask("digest", "plan", letter["schedule"])["editions"] == [
        {"articles": [], "readers": 3, "more": 0}
    ]
    staffed.type("schedule", "pause", letter["schedule"])
    staffed.type("digest", "send", letter["schedule"], status=1)
    assert staffed.ask("digest", "list") == []
    staffed.type("schedule", "resume", letter["schedule"])
    staffed.type("digest", "send", letter["schedule"], "--wait")
    for reader in readers:
        [mail] = inbox.to(reader)
        assert mail["Subject"] == "Thank you"
        assert mail["Auto-Submitted"] is None
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert "The fair opens." in text_of(mail)
    # A second command sends nothing more.
    staffed.type("digest", "send", letter["schedule"], "--wait")
    assert len(inbox.to(readers[0])) == 1

    staffed.type("digest", "send", "daily/evening", "--wait")
    [last] = [one["id"] for one in staffed.ask("article", "list") if one["title"] == "Story 3"]
    staffed.type("article add --newsletter daily --url https://news.example/4 --title 'Story 4'")
    chosen = staffed.ask(
        "digest", "once", "daily", "--at", "2040-12-24 18:00", "--zone", "Europe/Paris",
        "--article", str(last), "--article", str(last + 1),
    )  # fmt: skip
    plan = staffed.ask("digest", "plan", chosen["schedule"])
    assert [
        ([one["title"] for one in edition["articles"]], edition["readers"])
        for edition in plan["editions"]
    ] == [(["Story 3", "Story 4"], 2), (["Story 4"], 1)]
    staffed.type("schedule", "remove", chosen["schedule"])
    staffed.type("digest", "plan", chosen["schedule"], status=1)


def link(mail: EmailMessage, words: str) -> str:
    found = re.search(rf"{words}:\s+(\S+/review/\S+)", text_of(mail))
    assert found is not None
    return found[1]


def test_an_editor_without_a_shell(staffed: Any, inbox: Any, browse: Any) -> None:
    staffed.settings["staff_address"] = f"{DESK}, {CHIEF}"
    for name in ("morning", "evening"):
        shown = staffed.ask("schedule", "edit", f"daily/{name}", "--review", "23h")
        assert shown["review"] == "23h"
    with staffed.running():
        reviews = inbox.wait_for(DESK, 2)
        assert {one["Subject"] for one in reviews} == {"Review: Story 3"}
        [morning] = [one for one in reviews if "daily/morning" in text_of(one)]
        # The links of each copy work.
        copies = inbox.wait_for(CHIEF, 2)
        [evening] = [one for one in copies if "daily/evening" in text_of(one)]
        assert "2 readers will get it" in text_of(morning)
        assert "Story 1" in html_of(morning)
        now, stop = link(morning, "Send it now"), link(evening, "Stop this digest")
        assert now in html_of(morning)
        for url, button in ((now, "Send it now"), (stop, "Stop this digest")):
            status, page = browse(url)
            assert (status, page.count("<button")) == (200, 1)
            assert button in page
        assert staffed.ask("digest", "list") == []

        assert "This digest has been stopped" in browse(stop, {})[1]
        [stopped] = staffed.ask("digest", "list")
        assert (stopped["schedule"], stopped["status"]) == ("evening", "cancelled")
        assert "It will go out in a moment" in browse(now, {})[1]
        assert [one["Subject"] for one in inbox.wait_for("anna@example.com", 1)] == ["Story 3"]
        report = inbox.wait_for(DESK, 3)[2]
        assert report["Subject"] == "Report: Story 3"
        assert inbox.wait_for(CHIEF, 3)[2]["Subject"] == "Report: Story 3"
        assert "Sent: 2" in text_of(report)
        assert "example.com" not in text_of(report)
        wait_until(
            lambda: (
                [one["status"] for one in staffed.ask("digest", "list", "daily")]
                in (["cancelled", "sent"], ["sent", "cancelled"])
            )
        )
        # Pressed once more, and a letter changed in the link.
        assert browse(now, {})[0] == 200
        assert browse(now[:-1] + ("A" if now[-1] != "A" else "B"), {})[0] == 404
    assert inbox.to("cleo@example.com") == []
    assert len(inbox.to(DESK)) == 3
    assert len(inbox.to("anna@example.com")) == 1
    assert "Traceback" not in staffed.log()


@ON_SQLITE
def test_a_review_needs_somebody_to_see_it(staffed: Any) -> None:
    assert staffed.ask("schedule", "edit", "daily/morning", "--review", "30m")["review"] == "30m"
    assert staffed.ask("schedule", "edit", "daily/morning", "--review", "never")["review"] is None
    del staffed.settings["staff_address"]
    staffed.type("schedule", "edit", "daily/morning", "--review", "30m", status=1)
    staffed.type("schedule add daily late --at 23:00 --zone UTC --review 1h", status=1)
