"""Setting up and looking after an installation, as its operator types it."""

import stat
import tomllib
from typing import Any

KEY = "k" * 43


def toml(installation: Any) -> dict[str, Any]:
    return tomllib.loads((installation.folder / "mailer.toml").read_text())


def test_init_writes_private_fresh_keys_and_a_database(before_init: Any) -> None:
    before_init.type("init")
    path = before_init.folder / "mailer.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = toml(before_init)
    assert len(written["secret_key"]) >= 32
    assert len(written["identity_key"]) >= 32
    assert written["secret_key"] != written["identity_key"]
    database = before_init.folder / "mailer.db"
    if "database_url" in before_init.settings:
        assert written["database_url"] == before_init.settings["database_url"]
        assert not database.exists()
    else:
        assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert before_init.ask("db", "check")["ok"] is True
    left = {item.name for item in before_init.folder.iterdir()}
    assert left <= {"mailer.toml", "mailer.db", "mailer.db-wal", "mailer.db-shm"}


def test_init_overwrites_nothing(installation: Any) -> None:
    path = installation.folder / "mailer.toml"
    before = path.read_bytes()
    installation.type("init", status=1)
    assert path.read_bytes() == before
    # With the file gone the database is still somebody's.
    path.unlink()
    installation.type("init", status=1)
    assert not path.exists()
    path.write_bytes(before)
    path.chmod(0o600)
    installation.type("db", "check")


def test_keys_of_the_environment_are_used_and_not_written(before_init: Any) -> None:
    before_init.settings.update(secret_key=KEY, identity_key=KEY[::-1])
    before_init.type("init")
    assert "secret_key" not in toml(before_init)
    assert KEY not in (before_init.folder / "mailer.toml").read_text()
    before_init.type("db", "check")
    before_init.settings["identity_key"] = "another" * 6
    before_init.type("db", "check", status=1)


def test_config_show_tells_origins_and_no_secrets(installation: Any) -> None:
    shown = installation.ask("config", "show")
    assert shown["port"] == {"value": installation.settings["port"], "origin": "MAILER_PORT"}
    assert shown["secret_key"] == {"value": "***", "origin": "mailer.toml"}
    assert shown["lease"] == {"value": "60s", "origin": "default"}
    table = installation.type("config", "show")
    written = toml(installation)
    assert written["secret_key"] not in table
    assert written["identity_key"] not in table
    assert all(name in table for name in shown)


def test_an_empty_database_is_filled_by_upgrade(before_init: Any) -> None:
    before_init.settings.update(secret_key=KEY, identity_key=KEY[::-1])
    before_init.type("db", "check", status=1)
    before_init.type("db", "upgrade")
    before_init.type("db", "upgrade")
    before_init.type("db", "check")
    assert before_init.ask("status")["paused_at"] is None


def test_pause_is_seen_and_ends(installation: Any) -> None:
    installation.type("pause", "--reason", "the relay moves")
    found = installation.ask("status")
    assert (found["paused_reason"], found["warnings"][0][:17]) == (
        "the relay moves",
        "sending is paused",
    )
    assert "paused (the relay moves)" in installation.type("status")
    installation.type("resume")
    assert installation.ask("status")["paused_at"] is None


def test_a_newsletter_from_its_start_to_its_end(installation: Any) -> None:
    profile = ("--title", "The [Daily]", "--from", "The Daily <daily@news.example>",
               "--postal-address", "1 Sample Street", "--color", "#AABBCC")  # fmt: skip
    added = installation.ask("newsletter", "add", "daily", *profile)
    assert (added["slug"], added["title"], added["color"]) == ("daily", "The [Daily]", "#aabbcc")
    assert installation.ask("newsletter", "show", "daily") == added
    installation.type("newsletter", "add", "daily", *profile, status=1)
    assert (added["pictures"], added["closed"], added["language"]) == (True, False, "en")
    wishes = ("--closed", "yes", "--title", "Daily", "--pictures", "no", "--language", "fr-CA")
    edited = installation.ask("newsletter", "edit", "daily", *wishes)
    changed = {"closed": True, "title": "Daily", "pictures": False, "language": "fr-CA"}
    assert edited == added | changed
    assert installation.ask("newsletter", "list") == [edited]
    assert "daily@news.example" in installation.type("newsletter", "list")
    installation.type("newsletter", "edit", "daily", status=2)
    installation.type("newsletter", "show", "weekly", status=1)


def test_addresses_are_judged_in_their_order(before_init: Any) -> None:
    good = before_init.ask("address", "check", "Reader@Example.com")
    assert good == {
        "ok": True, "address": "Reader@example.com", "key": "reader@example.com", "reason": None,
    }  # fmt: skip
    both = before_init.ask("address", "check", "nobody", "reader@example.com", status=1)
    assert [one["ok"] for one in both] == [False, True]
    assert both[0]["reason"]
