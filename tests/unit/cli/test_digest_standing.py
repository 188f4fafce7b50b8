"""What commands tell people of a digest after they did something to it: one line, with what comes next."""

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.commands import Ask


def last(told: tuple[int, str, str]) -> str:
    """The last line on stderr but for one that says that no worker runs, where nothing is on stdout."""
    code, out, err = told
    assert (code, out) == (0, "")
    return [line for line in err.splitlines() if not line.startswith("no worker is")][-1]


def test_a_digest_is_sent_paused_resumed_and_cancelled(ask: Ask) -> None:
    sent = last(ask("digest", "send", "daily/morning"))
    assert sent == (
        "digest 1 of daily/morning is being sent, 0 of 1 mail sent; "
        "`mailer digest show 1` shows its progress"
    )
    assert last(ask("digest", "pause", "1", "--reason", "a wrong name")) == (
        "digest 1 of daily/morning is paused (by staff: a wrong name), 0 of 1 mail sent; "
        "`mailer digest resume 1` continues it, `mailer digest cancel 1` ends it"
    )
    assert last(ask("digest", "resume", "1")) == sent
    assert ask("digest", "report", "1")[2].startswith("digest 1 is sending; ")
    assert last(ask("digest", "cancel", "1")) == (
        "digest 1 of daily/morning is cancelled, 0 of 1 mail sent; for readers who did not get it, its "
        "articles are due again at the next slot: `mailer digest plan daily/morning`"
    )
    code, out, err = ask("digest", "pause", "1", "--json")
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_a_digest_of_which_only_mails_for_later_are_left_says_so(ask: Ask, tmp_path: Path) -> None:
    ask("digest", "send", "daily/morning")
    with closing(sqlite3.connect(tmp_path / "mailer.db")) as database, database:
        database.execute("UPDATE delivery SET status = 'deferred', first_attempt_at = created_at")
    shown = json.loads(ask("digest", "show", "1", "--json")[1])
    assert shown["status"] == "sending"
    reason = r"1 mail waits for another try, until 20[0-9: -]+ UTC at the latest"
    assert re.fullmatch(reason, shown["reason"])


def test_a_slot_for_which_nobody_is_due(ask: Ask) -> None:
    ask("subscriber", "unsubscribe", "anna@example.com")
    told = last(ask("digest", "send", "daily/morning"))
    assert told.startswith("nothing is sent for slot 20")
    assert told.endswith("nobody is due (no readers); new articles are due at the next slot")
    assert ask("digest", "report", "1")[2] == (
        "digest 1 is skipped (nobody is due (no readers)); these are its numbers so far\n"
    )
    assert json.loads(ask("digest", "send", "daily/morning", "--json")[1])["status"] == "skipped"


def test_a_slot_that_was_done_with_names_the_next_one(ask: Ask) -> None:
    ask("digest", "send", "daily/morning")
    again = ask("digest", "send", "daily/morning")[2]
    assert "before this command" not in again
    ask("digest", "cancel", "1")
    following = json.loads(ask("digest", "plan", "daily/morning", "--json")[1])["slot"]
    # The plan is of another slot by now, and whoever typed this may think that it went out.
    assert last(ask("digest", "send", "daily/morning")) == (
        "this was so before the command, and nothing more is sent for that slot; "
        f"`mailer digest send daily/morning --slot {following}` sends the next one"
    )
    assert ask("digest", "send", "daily/morning", "--json")[2] == ""


def test_a_one_off_that_is_over_names_its_digest(ask: Ask) -> None:
    Path("words.md").write_text("Hello")
    once = "digest once daily --at '2040-12-24 18:00' --zone Asia/Yerevan --intro words.md"
    first, second = ask(once)[2], ask(once)[2]
    assert first.startswith(
        "daily/once-2040-12-24-1800: Mon 2040-12-24 18:00 Asia/Yerevan (14:00 UTC)\n"
    )
    # Typed twice by mistake, every reader would get the letter twice.
    assert "warning" not in first
    assert second.startswith("warning: daily/once-2040-12-24-1800 is a one-off for the same time; ")
    assert ask("digest", "send", "daily/once-2040-12-24-1800")[0] == 0
    code, _, err = ask("digest", "plan", "daily/once-2040-12-24-1800")
    assert code == 1
    assert err == (
        "error: daily/once-2040-12-24-1800 was for 2040-12-24T18:00 only, and that is digest 1 "
        "(sending); see `mailer digest show 1`\n"
    )


def test_a_file_that_cannot_be_read_says_what_to_do(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    for name, step in (("nothing.md", "check the path"), ("latin.txt", "save it as UTF-8")):
        code, _, err = ask("digest", "edit", "daily/morning", "--intro", name)
        assert code == 1
        assert err.endswith(f"{step}\n")


def test_a_preview_writes_all_its_files_or_none(ask: Ask, tmp_path: Path) -> None:
    for place, why in (("no/such.html", "there is no such folder"), (".", "it is a folder")):
        code, out, err = ask("digest preview daily/morning --text d.txt --html", place)
        assert (code, out) == (1, "")
        assert err.endswith(f": {why}; name another file\n")
        assert not (tmp_path / "d.txt").exists()


def test_a_test_copy_goes_to_an_address_once(ask: Ask) -> None:
    told = ask("digest", "test", "daily/morning", "--to", "a@example.com", "--to", "A@Example.com")
    assert told[2].startswith("queued 1 test copy ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("digest", "plan", "daily/morning", "--as", ""),
        ("digest", "preview", "daily/morning", "--as", ""),
        ("delivery", "list", "--to", ""),
    ],
)
def test_an_empty_address_is_no_wish_for_everybody(ask: Ask, arguments: tuple[str, ...]) -> None:
    code, out, err = ask(*arguments)
    assert (code, out) == (1, "")
    assert "Check how the address is written" in err


def test_a_one_off_that_the_calendar_does_not_reach(ask: Ask) -> None:
    for at, why in (("2020-01-01 10:00", "is past"), ("9999-12-31 10:00", "is too far off")):
        code, _, err = ask("digest", "once", "daily", "--at", at, "--zone", "UTC")
        assert code == 1
        assert f" {why} in UTC; give --at a time in the future" in err


def at_a_terminal(answer: str, *arguments: str) -> tuple[int, str, str]:
    """Type a command at a terminal, and an answer: its exit status, stdout and what the terminal shows."""
    ours, its = pty.openpty()
    os.write(ours, answer.encode())
    ended = subprocess.run(
        [sys.executable, "-m", "mailer", *arguments],
        stdin=its,
        stderr=its,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(its)
    shown = os.read(ours, 100_000).decode().replace("\r\n", "\n")
    os.close(ours)
    return ended.returncode, ended.stdout, shown


@pytest.mark.thorough
def test_at_a_terminal_sending_asks_first_and_tells_what(ask: Ask) -> None:
    coming = json.loads(ask("schedule", "next", "daily/morning", "--json")[1])[0]
    question = (
        r"'One', the digest of daily/morning for (today|tomorrow) 07:00 Asia/Yerevan "
        rf"\({datetime.fromisoformat(coming['local']):%a %Y-%m-%d}\): "
        r"send it to 1 reader now\? \[y/N\]: "
    )
    send = ("digest", "send", "daily/morning", "--slot", coming["slot"], "--json")

    code, out, shown = at_a_terminal("n\n", *send)
    assert (code, out) == (1, "")
    assert re.search(question + "error: nothing was sent; `mailer digest preview", shown)
    assert json.loads(ask("digest", "list", "--json")[1]) == []

    code, out, shown = at_a_terminal("y\n", *send)
    assert (code, json.loads(out)["status"]) == (0, "sending")
    assert re.search(question, shown)

    # What is on its way already is not asked about, nor is anything with --yes.
    later = ("digest", "send", "daily/morning", "--slot", "2099-01-01T07:00")
    for arguments in (send, (*later, "--yes")):
        code, _, shown = at_a_terminal("n\n", *arguments)
        assert (code, "[y/N]" in shown) == (0, False)
    _, _, shown = at_a_terminal("n\n", *later[:-1], "2099-01-02T07:00")
    assert "there are no articles. Skip the digest of daily/morning for Fri 2099-01-02" in shown
