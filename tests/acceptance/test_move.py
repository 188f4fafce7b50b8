"""`mailer db move` as staff type it: what it prints, what it refuses, and that no password is shown."""

from typing import Any

import pytest

from tests.support.commands import NEWSLETTER

SECRET = "geh%40im"


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
def test_everything_is_moved_and_the_old_database_says_where(
    installation: Any, postgresql_url: str
) -> None:
    installation.type(*NEWSLETTER)
    moved = installation.ask("db", "move", "--yes", "--to", postgresql_url)
    assert moved["tables"]["newsletter"]["rows"] == 1
    assert len(moved["tables"]["newsletter"]["sha256"]) == 64
    assert moved["rows"] == sum(table["rows"] for table in moved["tables"].values())
    for line in ("status", "newsletter list", "db check", "db upgrade", "pause", "run worker"):
        refused = installation.run(line)
        assert refused.returncode == 1, line
        assert moved["to"] in refused.stderr, line
        assert "set `database_url`" in refused.stderr, line
    installation.settings["database_url"] = postgresql_url
    assert [one["slug"] for one in installation.ask("newsletter", "list")] == ["daily"]
    installation.settings.pop("database_url")
    assert installation.ask("db", "move", "--yes", "--cancel", "--to", postgresql_url) == {
        "cancelled": True
    }
    installation.type("status")


@pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("url", "status"),
    [
        (f"postgresql://mailer:{SECRET}@127.0.0.1:1/mailer", 1),
        ("postgresql://mailer:geh@im@127.0.0.1/mailer", 2),
        ("mysql://mailer:geheim@127.0.0.1/mailer", 2),
        ("sqlite:///other.db", 1),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_and_no_password_is_shown(
    installation: Any, url: str, status: int
) -> None:
    ended = installation.run("db move --yes --to", url)
    assert ended.returncode == status
    assert "error: " in ended.stderr
    for part in ("geh", "im@", "Traceback"):
        assert part not in ended.stderr
    installation.type("status")
