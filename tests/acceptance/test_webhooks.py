"""A provider's reports, as an operator sets them up: the addresses to enter, and what happens to readers."""

import json
import shlex
import urllib.error
import urllib.request
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest

from tests.support import provider_payloads as payloads
from tests.support.waiting import wait_until

NAMED = f"ses={payloads.TOPIC},mailgun={payloads.MAILGUN_KEY},postmark,brevo"
ON_SQLITE = pytest.mark.parametrize("before_init", ["sqlite"], indirect=True)
READERS = ("anna", "boris", "carla", "david", "elena")


def post(url: str, payload: Any) -> int:
    request = urllib.request.Request(url, json.dumps(payload).encode())
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def given_back(mail: EmailMessage, provider: str) -> str:
    """The reference in the header that a provider gives back, taken out of it as the provider does."""
    if provider == "mailgun":
        reference = json.loads(mail["X-Mailgun-Variables"])["reference"]
    elif provider == "brevo":
        reference = mail["X-Mailin-custom"].removeprefix("reference:")
    else:
        reference = mail["X-PM-Metadata-reference"]
    return str(reference)


def now_signed(payload: dict[str, Any]) -> dict[str, Any]:
    """An event of Mailgun, signed by the clock of this machine."""
    return payloads.mailgun_signed(payload["event-data"], at=datetime.now(UTC))


def test_what_providers_report_stops_the_mails_to_their_readers(
    installation: Any, site: Any, inbox: Any
) -> None:
    installation.settings["webhook_keys"] = NAMED
    line = "newsletter add daily --title 'The Daily' --from 'The Daily <daily@news.example>'"
    installation.type(*shlex.split(line), "--postal-address", "1 Sample Street")
    installation.type("schedule", "add", "daily", "morning", "--at", "07:00", "--zone", "UTC")
    site.publish("Story 1")
    installation.type("feed", "add", site.url, "--newsletter", "daily", "--allow-private")
    site.publish("Story 2")
    installation.type("feed", "refresh")
    for name in READERS:
        address = f"{name}@example.com"
        installation.type(
            "subscriber", "add", address, "--newsletter", "daily", "--consent-source", "fair"
        )
    installation.type("digest", "send", "daily/morning", "--wait", "--yes")
    mails = {name: inbox.wait_for(f"{name}@example.com", 1)[0] for name in READERS}
    urls = {row["provider"]: row["address"] for row in installation.ask("webhook", "show")}
    base = installation.settings["base_url"]
    with installation.running("web"):
        wait_until(lambda: is_answering(base))
        reports = {
            "postmark": payloads.postmark_bounce(given_back(mails["anna"], "postmark")),
            "brevo": payloads.brevo(given_back(mails["boris"], "brevo"), "spam"),
            "mailgun": now_signed(
                payloads.mailgun(given_back(mails["carla"], "mailgun"), "unsubscribed")
            ),
        }
        for provider, report in reports.items():
            assert post(urls[provider], report) == 200, provider
            assert post(urls[provider], report) == 200, provider
        forged = given_back(mails["david"], "postmark")[:-4] + "0000"
        assert post(urls["postmark"], payloads.postmark_bounce(forged)) == 200
        assert post(urls["ses"], payloads.ses_bounce(forged)) == 403
        wrong = urls["postmark"][:-1] + ("0" if urls["postmark"][-1] != "0" else "1")
        assert post(wrong, reports["postmark"]) == 404

    suppressed = {row["address"]: row["reason"] for row in installation.ask("suppression", "list")}
    assert suppressed == {"anna@example.com": "bounced", "boris@example.com": "complained"}
    site.publish("Story 3")
    installation.type("feed", "refresh")
    plan = installation.ask("digest", "plan", "daily/morning")
    assert sum(edition["readers"] for edition in plan["editions"]) == 2
    log = installation.log()
    assert "@example.com" not in log
    assert not [url for url in urls.values() if url.rpartition("/")[2] in log]


def is_answering(base: str) -> bool:
    try:
        return post(f"{base}/webhooks/nobody/nothing", {}) == 404
    except OSError:
        return False


@ON_SQLITE
def test_webhook_show_prints_the_address_to_enter_at_each_provider(installation: Any) -> None:
    installation.settings["base_url"] = "https://news.example/letters"
    refused = installation.run("webhook show")
    assert refused.returncode == 1
    assert "webhook_keys" in refused.stderr

    installation.settings["webhook_keys"] = NAMED
    ended = installation.run("webhook show --json")
    rows = json.loads(ended.stdout)
    assert [row["provider"] for row in rows] == ["ses", "mailgun", "postmark", "brevo"]
    for row in rows:
        begin, _, secret = row["address"].rpartition("/")
        assert begin == f"https://news.example/letters/webhooks/{row['provider']}"
        assert len(secret) == 32
    assert len({row["address"].rpartition("/")[2] for row in rows}) == 4
    assert ended.stderr == ""
    table = installation.type("webhook", "show")
    assert all(row["address"] in table for row in rows)
    assert payloads.MAILGUN_KEY not in table

    installation.settings["base_url"] = "http://127.0.0.1:8000"
    assert "this machine only" in installation.run("webhook show").stderr


@ON_SQLITE
@pytest.mark.parametrize("keys", ["ses", "mailgun", "postmark=x", "sendgrid"])
def test_a_provider_without_what_it_needs_is_refused_at_start(installation: Any, keys: str) -> None:
    installation.settings["webhook_keys"] = keys
    for line in ("config show", "webhook show", "run web"):
        ended = installation.run(line)
        assert ended.returncode == 1
        assert "webhook_keys must" in ended.stderr


@ON_SQLITE
def test_config_show_masks_the_keys(installation: Any) -> None:
    installation.settings["webhook_keys"] = NAMED
    shown = installation.ask("config", "show")["webhook_keys"]["value"]
    assert shown == "ses=***,mailgun=***,postmark,brevo"
