"""Somebody puts an older database in place by hand, with the journal still beside it."""

import shutil
from typing import Any

import pytest

from tests.support.commands import NEWSLETTER

ON_SQLITE = pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)


def article(installation: Any, number: int) -> None:
    installation.type(
        "article", "add", "--newsletter", "daily", "--url", f"https://news.example/{number}",
        "--title", f"Story {number}",
    )  # fmt: skip


def send(installation: Any, slot: str) -> Any:
    return installation.ask("digest", "send", "daily/morning", "--slot", slot, "--wait")


@pytest.mark.thorough
@ON_SQLITE
def test_nobody_is_mailed_twice_or_after_leaving(installation: Any, inbox: Any) -> None:
    installation.type(*NEWSLETTER)
    installation.type("schedule add daily morning --at 06:00 --zone UTC")
    for name in ("anna", "boris"):
        installation.type(
            f"subscriber add {name}@example.com --newsletter daily --consent-source paper"
        )
    slots = [row["slot"] for row in installation.ask("schedule", "next", "daily", "--count", "2")]
    [database] = installation.folder.glob("*.db")
    backup = installation.folder / "backup"
    shutil.copyfile(database, backup)

    article(installation, 1)
    assert send(installation, slots[0])["deliveries"]["sent"] == 2
    installation.type("subscriber unsubscribe boris@example.com")

    for name in (f"{database.name}-wal", f"{database.name}-shm"):
        (installation.folder / name).unlink(missing_ok=True)
    shutil.copyfile(backup, database)

    status = installation.run("status")
    assert "paused (the database was restored from a backup; see `mailer resume`)" in status.stdout
    refused = installation.run("digest send daily/morning")
    assert (refused.returncode, "`mailer resume`" in refused.stderr) == (1, True)
    resumed = installation.ask("resume")
    assert (resumed["digests"], resumed["deliveries"]) == (1, 2)
    [sent] = resumed["restored"]["sent"]
    assert (sent["slot"], sent["articles"], sent["readers"]) == (slots[0], 1, 2)

    article(installation, 2)
    assert send(installation, slots[0])["deliveries"]["sent"] == 0
    assert send(installation, slots[1])["deliveries"]["sent"] == 1
    assert [mail["Subject"] for mail in inbox.to("anna@example.com")] == ["Story 1", "Story 2"]
    assert [mail["Subject"] for mail in inbox.to("boris@example.com")] == ["Story 1"]
    assert installation.ask("resume") == {"was_paused": False, "restored": None}
