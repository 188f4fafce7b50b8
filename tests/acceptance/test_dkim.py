"""Signing in the app, as an operator sets it up: the key, the record, the settings, and mails that verify."""

import shlex
import stat
import tomllib
from pathlib import Path
from typing import Any

import dkim
import pytest

ON_SQLITE = pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
NEW = ("dkim", "new", "--domain", "news.example", "--selector")


def verdicts(mail: bytes, *records: dict[str, Any]) -> list[bool]:
    """What dkimpy says of each signature, with these records and no others in the DNS."""
    values = {f"{record['name']}.".encode(): record["value"].encode() for record in records}

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return values[name]

    number = mail.count(b"DKIM-Signature: ")
    return [dkim.DKIM(mail).verify(idx=place, dnsfunc=look_up) for place in range(number)]


def use(installation: Any, *records: dict[str, Any]) -> None:
    """Put these keys into the settings."""
    installation.settings["dkim_key"] = ",".join(record["file"] for record in records)
    installation.settings["dkim_selector"] = ",".join(record["selector"] for record in records)
    installation.settings["dkim_domain"] = "news.example"


@pytest.fixture
def signing(installation: Any, site: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """An installation with a newsletter and a reader, that signs with both keys, and their records."""
    line = (
        "newsletter add daily --title 'The Daily' --from 'The Daily <daily@letters.news.example>'"
    )
    installation.type(*shlex.split(line), "--postal-address", "1 Sample Street")
    installation.type("schedule", "add", "daily", "morning", "--at", "07:00", "--zone", "UTC")
    site.publish("Story 1")
    installation.type("feed", "add", site.url, "--newsletter", "daily", "--allow-private")
    site.publish("Story 2")
    installation.type("feed", "refresh")
    keys = [
        installation.ask(*NEW, "s2026"),
        installation.ask(*NEW, "e2026", "--type", "ed25519"),
    ]
    use(installation, *keys)
    return installation, keys[0], keys[1]


def test_digests_notices_and_previews_are_signed(signing: Any, inbox: Any) -> None:
    installation, *keys = signing
    installation.type(
        "subscriber", "add", "anna@example.com", "--newsletter", "daily", "--consent-source", "fair"
    )
    # Without a source, a confirmation mail goes out.
    installation.type("subscriber", "add", "boris@example.com", "--newsletter", "daily")
    installation.type("digest", "test", "daily/morning", "--to", "editor@news.example")
    installation.type("digest", "send", "daily/morning", "--wait", "--yes")
    received = {mail.recipient: mail.data for mail in inbox.relay.mails}
    assert received.keys() == {"anna@example.com", "boris@example.com", "editor@news.example"}
    installation.type("digest", "preview", "daily/morning", "--eml", "d.eml")
    received["preview"] = (installation.folder / "d.eml").read_bytes()
    for recipient, mail in received.items():
        assert verdicts(mail, *keys) == [True, True], recipient
        path = installation.folder / "received.eml"
        path.write_bytes(mail)
        assert installation.ask("lint", str(path))["ok"] is True


@ON_SQLITE
def test_a_newsletter_of_another_domain_goes_out_unsigned_and_is_named(
    signing: Any, inbox: Any
) -> None:
    installation, *_ = signing
    installation.type("newsletter", "edit", "daily", "--from", "The Daily <daily@other.example>")
    installation.type(
        "subscriber", "add", "anna@example.com", "--newsletter", "daily", "--consent-source", "fair"
    )
    installation.type("digest", "send", "daily/morning", "--wait", "--yes")
    (mail,) = inbox.relay.mails
    assert b"DKIM-Signature" not in mail.data
    installation.settings["base_url"] = "https://news.example"
    (warning,) = [line for line in installation.ask("status")["warnings"] if "DKIM" in line]
    assert "daily" in warning


@ON_SQLITE
def test_dkim_new_writes_a_private_key_and_prints_what_to_do_with_it(before_init: Any) -> None:
    folder: Path = before_init.folder
    told = before_init.type(*NEW, "s2026")
    key = folder / "dkim-s2026.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [key.name]
    lines = told.splitlines()
    assert "s2026._domainkey" in lines
    assert "s2026._domainkey.news.example" in lines
    value = next(line for line in lines if line.startswith("v=DKIM1; k=rsa; p="))
    first, second = lines[
        lines.index("Value, where the form takes at most 255 characters for a string:") + 1 :
    ][:2]
    assert (len(first), first + second) == (255, value)
    assert f's2026._domainkey.news.example. IN TXT ( "{first}" "{second}" )' in lines
    settings = tomllib.loads("\n".join(line for line in lines if line.startswith("dkim_")))
    assert settings == {
        "dkim_key": str(key),
        "dkim_selector": "s2026",
        "dkim_domain": "news.example",
    }
    printed = before_init.ask(*NEW, "e2026", "--type", "ed25519", "--file", "e.pem")
    assert printed["file"] == str(folder / "e.pem")
    assert printed["strings"] == [printed["value"]]
    assert printed["value"].startswith("v=DKIM1; k=ed25519; p=")


@ON_SQLITE
def test_dkim_new_overwrites_nothing(before_init: Any) -> None:
    before_init.type(*NEW, "s2026")
    key = before_init.folder / "dkim-s2026.pem"
    before = key.read_bytes()
    ended = before_init.run("dkim new --domain news.example --selector s2026")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "choose another --selector" in ended.stderr
    assert key.read_bytes() == before
    for arguments in ("--file no/folder/k.pem", "--file a,b.pem"):
        ended = before_init.run(f"dkim new --domain news.example --selector x {arguments}")
        assert ended.returncode == 1
        assert "--file" in ended.stderr
    assert [path.name for path in before_init.folder.iterdir()] == [key.name]


@ON_SQLITE
@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda key: key.unlink(), "does not exist; correct the name"),
        (lambda key: key.chmod(0o604), "chmod 600"),
        (lambda key: key.chmod(0o620), "chmod go-w"),
        (lambda key: key.write_text("no key"), "is not a private key in PEM"),
        (lambda key: key.rename(key.with_name("x")) and key.mkdir(), "cannot be read"),
    ],
    ids=["gone", "open to all", "open to the group", "no key", "a folder"],
)
def test_a_worker_does_not_start_with_a_key_that_it_cannot_use(
    signing: Any, harm: Any, told: str
) -> None:
    installation, key, _ = signing
    harm(Path(key["file"]))
    for command in (
        "digest preview daily/morning --eml d.eml",
        "digest send daily/morning --wait --yes",
        "run worker",
    ):
        ended = installation.run(command)
        assert (ended.returncode, ended.stdout) == (1, "")
        error = ended.stderr.splitlines()[-1]
        assert error.startswith("error: dkim_key: ")
        assert told in error
    assert installation.ask("digest", "list") == []
    # What signs nothing needs no key.
    installation.type("status")


@ON_SQLITE
def test_a_worker_does_not_start_with_ed25519_alone(signing: Any) -> None:
    installation, _, key = signing
    use(installation, key)
    ended = installation.run("run worker")
    assert ended.returncode == 1
    assert "names no RSA key" in ended.stderr
