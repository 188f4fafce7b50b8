"""Commands say of a digest that is older than the retention what is kept of it, and what is not."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import update

from mailer.clock import utc_now
from mailer.db import Database
from mailer.digests import retention
from mailer.models import Delivery, DeliveryStatus, Digest
from tests.support.commands import Ask


@pytest.fixture
def purged(ask: Ask) -> Ask:
    """An installation whose first digest, of one reader, is purged."""
    assert ask("digest send daily/morning --yes")[0] == 0
    database, now = Database("sqlite:///mailer.db"), utc_now()
    with database.write() as session:
        session.execute(
            update(Delivery).values(status=DeliveryStatus.UNKNOWN, in_doubt=2, outcome_at=now)
        )
        session.execute(update(Digest).values(status="sent", finished_at=now, failures_read_at=now))
    done = retention.purge_digests(
        database, before=now + timedelta(days=1), wall=utc_now, go_on=lambda: True
    )
    database.dispose()
    assert done == 1
    return ask


def test_its_numbers_are_shown_and_its_deliveries_are_not(purged: Ask) -> None:
    shown = json.loads(purged("digest show 1 --json")[1])
    assert shown["deliveries"] == {
        "total": 1, "pending": 0, "sent": 0, "failed": 0, "skipped": 0, "unknown": 1, "cancelled": 0,
    }  # fmt: skip
    assert (shown["in_doubt"], shown["purged_at"] is not None) == (2, True)
    _, _, told = purged("digest show 1")
    assert "older than the retention" in told
    assert "resolve" not in told
    assert json.loads(purged("digest report 1 --json")[1])["deliveries"]["unknown"] == 1
    code, out, told = purged("delivery list --digest 1 --json")
    assert (code, json.loads(out)) == (0, [])
    assert "digest 1 is older than the retention" in told
    assert [one["status"] for one in json.loads(purged("digest list --json")[1])] == ["sent"]
    assert "older than the retention" in purged("subscriber show anna@example.com")[1]


def test_nothing_of_it_is_sent_again(purged: Ask) -> None:
    code, _, told = purged("delivery resolve --digest 1 --resend --yes")
    assert (code, "older than the retention" in told) == (1, True)
    assert json.loads(purged("digest plan daily/morning --json")[1])["articles"]["closed"] == 1
    assert json.loads(purged("article list --json")[1])[0]["closed"] is True
    assert "closed" in purged("article list")[1]
    code, _, told = purged("article add --newsletter daily --url https://a.example/1 --title One")
    assert (code, "is closed" in told) == (1, True)
    assert purged("db check")[0] == 0
