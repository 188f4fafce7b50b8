"""`mailer schedule` as staff type it."""

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.commands import NEWSLETTER


@pytest.fixture
def staffed(installation: Any) -> Any:
    """An installation with a newsletter that has no schedule yet."""
    installation.type(*NEWSLETTER)
    return installation


def said(installation: Any, *arguments: str, status: int = 0) -> str:
    """What a command tells people."""
    ended = installation.run(*arguments)
    assert ended.returncode == status, ended.stderr
    return ended.stderr


def test_add_show_list_and_next(staffed: Any) -> None:
    added = staffed.ask("schedule add daily morning --at 6:00 --zone Europe/Paris")
    assert (added["at"], added["zone"], added["default"]) == ("06:00", "Europe/Paris", True)
    assert (added["min_articles"], added["max_articles"]) == (1, 20)
    assert (added["max_age"], added["max_lateness"], added["newcomers"]) == (
        "30d",
        "6h",
        "latest:5",
    )
    weekly = staffed.ask(
        "schedule", "add", "daily", "weekly", "--at", "06:00", "--days", "sat",
        "--zone", "Asia/Yerevan", "--newcomers", "next", "--max-age", "14d", "--default",
    )  # fmt: skip
    assert (weekly["days"], weekly["newcomers"], weekly["default"]) == ("sat", "next", True)
    assert staffed.ask("schedule", "show", "daily/morning")["default"] is False
    assert [one["name"] for one in staffed.ask("schedule", "list")] == ["morning", "weekly"]

    slots = staffed.ask("schedule next daily/morning --count 3 --from 2026-03-28T05:00Z")
    assert [one["slot"] for one in slots] == [
        "2026-03-29T06:00",
        "2026-03-30T06:00",
        "2026-03-31T06:00",
    ]
    assert slots[0]["utc"] == "2026-03-29T04:00:00Z"
    assert slots[0]["local"] == "2026-03-29T06:00:00+02:00"
    assert {one["zone"] for one in slots} == {"Europe/Paris"}

    coming = staffed.ask("schedule", "next", "daily", "--count", "10000")
    assert len(coming) == 10_000
    assert {one["zone"] for one in coming} == {"Europe/Paris", "Asia/Yerevan"}
    assert [one["utc"] for one in coming] == sorted(one["utc"] for one in coming)
    text = staffed.type("schedule", "next", "daily/morning")
    assert len(text.splitlines()) == 6


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_edit_tells_what_comes_next(staffed: Any) -> None:
    staffed.type("schedule", "add", "daily", "one", "--cron", "0 6 * * mon-fri", "--zone", "UTC")
    told = said(staffed, "schedule", "edit", "daily/one", "--at", "23:59", "--max-articles", "5")
    assert re.fullmatch(
        r"daily/one goes out next: [A-Z][a-z]{2} 20\d\d-\d\d-\d\d 23:59 UTC\n.*\n", told
    )
    shown = staffed.ask("schedule", "show", "daily/one")
    assert (shown["cron"], shown["at"], shown["max_articles"]) == (None, "23:59", 5)


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_an_edit_after_todays_went_out_says_so(staffed: Any) -> None:
    # On a zone where it is noon now, so that today's slots lie on both sides at any time of the day.
    hour = datetime.now(ZoneInfo("UTC")).hour
    zone = "UTC" if hour == 12 else f"Etc/GMT{hour - 12:+d}"
    staffed.type("schedule", "add", "daily", "one", "--at", "23:00", "--zone", zone)
    staffed.type("article add --newsletter daily --url https://news.example/1 --title One")
    staffed.type("subscriber add anna@example.com --newsletter daily --consent-source paper")
    sent = staffed.ask("digest", "send", "daily/one")
    assert sent["status"] == "sending"
    told = said(staffed, "schedule", "edit", "daily/one", "--at", "23:30")
    assert "today's went out at" in told
    tomorrow = staffed.ask("schedule", "show", "daily/one")["next"]["slot"]
    assert tomorrow[:10] > sent["slot"][:10]


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_pause_resume_and_remove(staffed: Any) -> None:
    for name in ("one", "two"):
        staffed.type("schedule", "add", "daily", name, "--at", "06:00", "--zone", "UTC")
    staffed.type("subscriber add anna@example.com --newsletter daily --consent-source paper")
    paused = staffed.ask("schedule", "pause", "daily/one")
    assert (paused["paused"], paused["next"], paused["readers"]) == (True, None, 1)
    (told,) = (
        line for line in staffed.type("status").splitlines() if line.startswith("daily/one ")
    )
    assert told.split()[1] == "paused"
    assert "`mailer schedule resume daily/one`" in said(staffed, "schedule", "pause", "daily/one")
    resumed = staffed.ask("schedule", "resume", "daily/one")
    assert resumed["paused"] is False
    assert resumed["next"] is not None
    assert "--move-to" in said(staffed, "schedule", "remove", "daily/one", status=1)
    assert staffed.ask("schedule", "remove", "daily/one", "--move-to", "daily/two") == {
        "schedule": "daily/one", "moved": 1, "default_schedule": "two",
    }  # fmt: skip
    [left] = staffed.ask("schedule", "list")
    assert (left["name"], left["readers"], left["default"]) == ("two", 1, True)


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_one_offs_are_listed_until_they_are_over(staffed: Any) -> None:
    assert "mailer schedule add SLUG NAME" in said(staffed, "schedule", "list")
    staffed.type("schedule", "add", "daily", "one", "--at", "06:00", "--zone", "Asia/Yerevan")
    staffed.type("subscriber add anna@example.com --newsletter daily --consent-source paper")
    (staffed.folder / "letter.md").write_text("Hello")
    letter = staffed.ask("digest", "once", "daily", "--at", "2040-12-24 18:00", "--zone", "UTC",
                         "--intro", "letter.md")["schedule"]  # fmt: skip
    shown = staffed.type("schedule", "list").splitlines()[1]
    assert re.split(r"\s{2,}", shown) == [
        letter, "once, 2040-12-24 18:00", "UTC", "all", "no", "Mon 2040-12-24 18:00",
    ]  # fmt: skip
    # Sent before its time, it is over: in the list, in the status and among the newsletter's own.
    staffed.type("digest", "send", letter)
    assert "1 one-off is over; `mailer schedule list --all`" in said(staffed, "schedule", "list")
    assert [one["name"] for one in staffed.ask("schedule", "list")] == ["one"]
    assert {one["name"]: one["over"] for one in staffed.ask("schedule", "list", "--all")} == {
        "once-2040-12-24-1800": True, "one": False,
    }  # fmt: skip
    assert [one["schedule"] for one in staffed.ask("status")["next"]] == ["daily/one"]
    assert staffed.ask("newsletter", "show", "daily")["schedules"] == ["one"]
