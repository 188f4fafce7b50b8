"""`mailer digest` and `mailer delivery` as staff type them, judged by what a receiver took."""

import json
import re
import signal
import subprocess
import sys
import time
from email import policy
from email.parser import BytesParser
from typing import Any

import pytest

from tests.support import returned_mail
from tests.support.commands import NEWSLETTER
from tests.support.receiver import fine
from tests.support.waiting import wait_until

DIGEST = ("digest", "plan", "daily/morning")
ON_SQLITE = pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)


@pytest.fixture
def staffed(installation: Any) -> Any:
    """A newsletter with a schedule, three articles and two readers."""
    installation.type(*NEWSLETTER)
    installation.type(
        "schedule add daily morning --at 06:00 --zone UTC --max-articles 2 --newcomers latest:9"
    )
    for name in ("anna", "boris"):
        installation.type(
            f"subscriber add {name}@example.com --newsletter daily --consent-source paper"
        )
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
    # `digest edit` wants the number of an article, so staff read it here.
    shown = staffed.type(*DIGEST)
    assert all(
        re.search(rf"\b{article['id']}\s+{article['title']}$", shown, re.MULTILINE)
        for article in edition["articles"]
    )
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
        f"this slot has its digest already: {sent['id']}",
    )
    assert [one["id"] for one in staffed.ask("digest", "list", "daily")] == [sent["id"]]
    assert staffed.ask("digest", "show", str(sent["id"]))["editions"][0]["readers"] == 2
    staffed.type("digest", "cancel", str(sent["id"]), status=1)


@ON_SQLITE
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


@ON_SQLITE
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


@ON_SQLITE
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
    staffed.type("digest", "preview", "daily/morning", "--html", "no/folder/d.html", status=1)
    assert staffed.ask("digest", "list") == []


@ON_SQLITE
def test_preview_and_test_copy_show_what_the_settings_add_to_mails(
    staffed: Any, inbox: Any
) -> None:
    staffed.settings.update(
        bounce_address="bounce@bounces.news.example",
        webhook_keys="postmark",
        extra_headers="X-PM-Message-Stream=broadcast",
        extra_headers_notice="X-PM-Message-Stream=outbound",
    )
    staffed.type("digest", "preview", "daily/morning", "--eml", "d.eml")
    raw = (staffed.folder / "d.eml").read_bytes()
    assert staffed.ask("lint", "d.eml")["ok"] is True
    mail = BytesParser(policy=policy.default).parsebytes(raw)
    reference = mail["X-PM-Metadata-reference"]
    assert mail["Message-ID"] == f"<{reference}@news.example>"
    assert mail["X-PM-Message-Stream"] == "broadcast"
    url = f"<mailto:bounce+u.{reference}@bounces.news.example?subject=unsubscribe>"
    assert f">,\r\n {url}\r\n".encode() in raw

    staffed.type("digest", "test", "daily/morning", "--to", "editor@news.example")
    staffed.ask("digest", "send", "daily/morning", "--wait")
    assert {mail.sender for mail in inbox.relay.mails} == {
        f"bounce+{mail.header('X-PM-Metadata-reference')}@bounces.news.example"
        for mail in inbox.relay.mails
    }
    assert [mail.header("X-PM-Message-Stream") for mail in inbox.relay.mails] == ["broadcast"] * 3


@ON_SQLITE
def test_a_paused_digest_waits_and_goes_on(staffed: Any, inbox: Any) -> None:
    sent = staffed.ask("digest", "send", "daily/morning")
    number = str(sent["id"])
    paused = staffed.ask("digest", "pause", number, "--reason", "a wrong name")
    assert (paused["status"], paused["reason"]) == ("paused", "by staff: a wrong name")
    for command in ("show", "pause"):
        staffed.type("digest", command, number, status=int(command == "pause"))
    assert "a wrong name" in staffed.type("digest", "list")
    assert f"`mailer digest resume {number}`" in staffed.type("digest", "list")
    status = staffed.ask("status")
    assert status["digests"][0]["reason"] == "by staff: a wrong name"
    assert any(f"`mailer digest resume {number}`" in told for told in status["warnings"])

    # Waiting for it ends at once and says why, also while workers are there.
    ended = staffed.run("digest", "send", "daily/morning", "--slot", sent["slot"], "--wait")
    assert ended.returncode == 1
    [*_, last] = ended.stderr.splitlines()
    assert last.startswith(
        f"error: digest {number} is paused (by staff: a wrong name): 0 of 2 sent"
    )
    with staffed.running("worker"):
        staffed.type("digest", "test", "daily/morning", "--to", "editor@news.example")
        inbox.wait_for("editor@news.example", 1)
        assert len(inbox.relay.mails) == 1
        resumed = staffed.ask("digest", "resume", number)
        assert (resumed["status"], resumed["reason"]) == ("sending", None)
        inbox.wait_for("anna@example.com", 1)
        inbox.wait_for("boris@example.com", 1)
        wait_until(lambda: staffed.ask("digest", "show", number)["status"] == "sent")
    for verb in ("pause", "resume"):
        staffed.type("digest", verb, number, status=1)


@ON_SQLITE
def test_what_is_in_doubt_is_for_staff_to_settle(staffed: Any, inbox: Any) -> None:
    staffed.settings["on_unknown"] = "hold"
    inbox.relay.answer = lambda verb, argument: None if verb == "DOT" else fine(verb, argument)
    sent = staffed.ask("digest", "send", "daily/morning", "--wait")
    number = str(sent["id"])
    assert (sent["status"], sent["deliveries"]["unknown"], sent["in_doubt"]) == ("sent", 2, 2)
    status = staffed.ask("status")
    assert (status["in_doubt"], status["doubtful"]) == (2, [{"digest": sent["id"], "mails": 2}])
    assert any("mailer delivery resolve" in told for told in status["warnings"])

    # Once more: the relay says nothing to the first of them again, and takes the other.
    inbox.relay.answer = lambda verb, argument: (
        None if (verb, argument) == ("DOT", "anna@example.com") else fine(verb, argument)
    )
    resolve = ("delivery", "resolve", "--digest", number)
    assert staffed.ask(*resolve, "--resend", "--yes") == {
        "digest": sent["id"], "status": "sending", "resent": 2, "dropped": 0,
    }  # fmt: skip
    again = staffed.ask("digest", "send", "daily/morning", "--slot", sent["slot"], "--wait")
    assert (again["status"], again["deliveries"]["unknown"], again["in_doubt"]) == ("sent", 1, 3)
    for name in ("anna", "boris"):
        first, second = inbox.to(f"{name}@example.com")
        assert first["Message-ID"] == second["Message-ID"]

    assert staffed.ask(*resolve, "--drop") == {
        "digest": sent["id"], "status": "sent", "resent": 0, "dropped": 1,
    }  # fmt: skip
    assert staffed.ask(*resolve, "--resend")["resent"] == 0
    status = staffed.ask("status")
    assert (status["in_doubt"], status["doubtful"]) == (0, [])
    assert not any("in doubt" in told for told in status["warnings"])
    [row] = staffed.ask("delivery", "list", "--status", "unknown")
    assert row["address"] == "anna@example.com"
    assert row["dropped_at"] is not None
    shown = staffed.ask("digest", "show", number)
    assert (shown["deliveries"]["total"], shown["dropped"]) == (2, 1)


@ON_SQLITE
def test_waiting_ends_where_all_that_is_left_must_be_tried_again_later(
    staffed: Any, inbox: Any
) -> None:
    staffed.settings["on_unknown"] = "hold"

    def answer(verb: str, argument: str) -> str | None:
        if argument == "TO:<boris@example.com>":
            return "450 4.7.1 greylisted"
        return None if verb == "DOT" else fine(verb, argument)

    inbox.relay.answer = answer
    ended = staffed.run("digest", "send", "daily/morning", "--wait", "--json")
    assert ended.returncode == 1
    assert ended.stdout == ""
    [*_, last] = ended.stderr.splitlines()
    assert re.fullmatch(
        r"error: 0 of 2 sent, 0 failed, 1 in doubt, 1 waits for another try, the next at "
        r"20\d\d-\d\d-\d\d \d\d:\d\d UTC; run workers \(`mailer run`\), or repeat this command then",
        last,
    )
    [digest] = staffed.ask("digest", "list")
    number = str(digest["id"])
    shown = staffed.ask("digest", "show", number)
    assert (shown["status"], shown["waiting_later"]) == ("sending", 1)
    status = staffed.ask("status")
    assert (status["waiting_later"], status["digests"][0]["waiting_later"]) == (1, 1)
    assert status["next_try_at"] == shown["next_try_at"]

    # Staff end it, although it is paused; of what is in doubt nothing is sent again then.
    staffed.type("digest", "pause", number)
    cancelled = staffed.ask("digest", "cancel", number)
    assert (cancelled["status"], cancelled["deliveries"]["cancelled"]) == ("cancelled", 1)
    staffed.type("delivery", "resolve", "--digest", number, "--resend", status=1)
    assert staffed.ask("status")["in_doubt"] == 1
    assert staffed.ask("delivery", "resolve", "--digest", number, "--drop")["dropped"] == 1


@ON_SQLITE
def test_waiting_can_be_interrupted_and_repeated(staffed: Any, inbox: Any) -> None:
    readers = "".join(f"reader{one}@example.com\n" for one in range(40))
    (staffed.folder / "readers.csv").write_text(f"email\n{readers}")
    staffed.type("subscriber import readers.csv --newsletter daily --consent-source paper")
    staffed.settings["smtp_connections"] = "1"
    inbox.relay.accept = lambda mail: time.sleep(0.1)
    command = ("digest", "send", "daily/morning", "--wait")
    with subprocess.Popen(
        [sys.executable, "-m", "mailer", *command],
        cwd=staffed.folder,
        env=staffed.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: len(inbox.relay.mails) > 3)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert process.returncode == 1
    assert out == ""
    lines = err.splitlines()
    assert lines[0].startswith("building the digest of daily/morning for ")
    assert lines[1] == "0 of 42 mails done"
    assert "finishing what is under way: at most 30 seconds" in lines
    assert lines[-1].startswith("error: stopped before the end: ")
    assert lines[-1].endswith("repeating the command continues")
    taken = len(inbox.relay.mails)
    assert f"{taken} of 42 sent, 0 failed, {42 - taken} wait" in lines[-1]
    inbox.relay.accept = lambda mail: None
    [digest] = staffed.ask("digest", "list")
    ended = staffed.run("digest", "send", "daily/morning", "--slot", digest["slot"], "--wait")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.splitlines()[-1] == (
        f"digest {digest['id']} of daily/morning is sent, 42 of 42 mails sent; "
        f"`mailer digest report {digest['id']}` reports on it"
    )
    assert len({mail.recipient for mail in inbox.relay.mails}) == len(inbox.relay.mails) == 42


@ON_SQLITE
def test_staff_see_why_a_reader_gets_no_mail_any_more(staffed: Any, inbox: Any) -> None:
    def answer(verb: str, argument: str) -> str | None:
        if argument == "TO:<boris@example.com>":
            return "550 5.1.1 <boris@example.com>: there is no such user"
        return fine(verb, argument)

    inbox.relay.answer = answer
    number = str(staffed.ask("digest", "send", "daily/morning", "--wait")["id"])
    with staffed.running("scheduler"):
        wait_until(lambda: staffed.ask("suppression", "list"))
    [stop] = staffed.ask("suppression", "list")
    said = "550 5.1.1 <***>: there is no such user"
    assert (stop["address"], stop["reason"], stop["newsletter"]) == (
        "boris@example.com",
        "bounced",
        None,
    )
    because = [stop[name] for name in ("because", "status", "diagnostic", "digest")]
    assert because == ["user_unknown", "5.1.1", said, int(number)]
    assert f"user_unknown (digest {number}): {said}" in staffed.type("suppression", "list")

    shown = staffed.ask("subscriber", "show", "boris@example.com")
    assert shown["suppressions"] == [stop]
    [event] = shown["returned"]
    assert (event["kind"], event["reason"], event["digest"], event["source"]) == (
        "hard",
        "user_unknown",
        int(number),
        "smtp",
    )
    ended = staffed.run("subscriber", "show", "boris@example.com")
    assert re.search(rf"digest {number} +hard +user_unknown +550 5.1.1", ended.stdout)
    assert "suppressed (bounced) for every newsletter since 20" in ended.stderr

    report = staffed.ask("digest", "report", number)
    assert report["returned"] == {
        "attempts": 2,
        "sent": 1,
        "hard": 1,
        "soft": 0,
        "complaints": 0,
        "hard_rate": 0.5,
        "complaint_rate": 0.0,
    }
    assert report["returned_reasons"] == {"user_unknown": 1}
    assert report["returned_domains"] == [
        {"domain": "example.com", "attempts": 2, "hard": 1, "soft": 0, "complaints": 0}
    ]
    printed = staffed.type("digest", "report", number)
    assert "Bounced permanently: 1 (50%)" in printed
    assert staffed.ask("digest", "show", number)["returned"] == {"hard": 1}
    assert "came back: 1 hard" in staffed.run("digest", "show", number).stderr

    assert staffed.ask("suppression", "lift", "boris@example.com") == {
        "address": "boris@example.com",
        "lifted": 1,
    }
    assert staffed.ask("subscriber", "show", "boris@example.com")["suppressions"] == []


@ON_SQLITE
def test_a_file_that_cannot_be_read_keeps_no_other_bounce_from_being_recorded(
    staffed: Any, inbox: Any
) -> None:
    staffed.settings["bounce_address"] = "bounce@news.example"
    staffed.ask("digest", "send", "daily/morning", "--wait")
    for name in ("anna", "boris"):
        [mail] = [mail.data for mail in inbox.relay.mails if mail.recipient.startswith(name)]
        [reference] = re.findall(rb"Message-ID: <(.*?)@", mail)
        returned = returned_mail.bounce(mail, f"bounce+{reference.decode()}@news.example")
        (staffed.folder / f"{name}.eml").write_bytes(returned)

    ended = staffed.run("bounce", "process", "anna.eml", "missing.eml", "boris.eml", "--json")
    assert ended.returncode == 1
    first, unread, last = json.loads(ended.stdout)
    assert unread["file"] == "missing.eml"
    assert unread["error"].startswith("cannot read missing.eml")
    assert (first["result"], last["result"]) == ("recorded", "recorded")
    assert "1 file could not be read" in ended.stderr

    ended = staffed.run("bounce", "process", "boris.eml", "missing.eml")
    assert "boris.eml: hard (user_unknown): recorded before" in ended.stderr
    assert "cannot read missing.eml" in ended.stderr
    ended = staffed.run("bounce", "process", "missing.eml")
    assert (ended.returncode, ended.stderr[:25]) == (1, "error: cannot read missin")
