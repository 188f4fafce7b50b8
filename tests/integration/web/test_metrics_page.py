"""/metrics over a real socket: what it says, who may read it, and how often it asks the database."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mailer.db import Database
from mailer.models import DeliveryStatus, DigestStatus
from mailer.sending import counters
from mailer.tokens import Keys
from mailer.web import metrics
from tests.integration.web.conftest import Paper
from tests.support import factories
from tests.support.factories import NOW
from tests.support.statements import statements
from tests.support.website import Answer, Website, serving

TOKEN = "k7Jx.-_~+/vQ2n8=="
DOCS = Path(__file__).resolve().parents[3] / "docs"
SHOWN = {
    f"Bearer {TOKEN}": 200,
    f"bearer  {TOKEN}": 200,
    "": 401,
    "Bearer": 401,
    f"Bearer {TOKEN[:-1]}": 401,
    f"Bearer {TOKEN}=": 401,
    f"Bearer {TOKEN.upper()}": 401,
    f"Basic {TOKEN}": 401,
    TOKEN: 401,
    "Bearer \xff\xfe": 401,
}
"""What Authorization holds, and the answer."""
LOCAL = "127.0.0.1/32,::1/128"
FORWARDED = {"127.0.0.1": 200, "203.0.113.5": 403, "127.0.0.1, 203.0.113.5": 403, "": 403}
"""What proxies have said, and the answer."""


@pytest.fixture
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is asked at each request."""
    monkeypatch.setattr(metrics, "FRESH_SECONDS", 0.0)


@pytest.fixture
def with_token(sqlite_database: Database, keys: Keys) -> Iterator[Website]:
    with serving(sqlite_database, keys, metrics_token=TOKEN) as found:
        yield found


def samples(answer: Answer) -> dict[str, float]:
    """Every line of an exposition, such as `mailer_workers{role="sender"}`; one line each."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.body):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            line = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert line not in found
            found[line] = sample.value
    return found


def test_every_figure_is_there_from_the_start(website: Website) -> None:
    answer = website.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    statuses = ("queued", "claimed", "sending", "deferred")
    assert samples(answer) == {
        **{f'mailer_deliveries_waiting{{status="{status}"}}': 0 for status in statuses},
        **{f'mailer_notices_waiting{{status="{status}"}}': 0 for status in statuses},
        'mailer_oldest_waiting_seconds{kind="delivery"}': 0,
        'mailer_oldest_waiting_seconds{kind="notice"}': 0,
        "mailer_in_doubt": 0,
        "mailer_paused": 0,
        'mailer_digests{status="building"}': 0,
        'mailer_digests{status="sending"}': 0,
        'mailer_digests{status="paused"}': 0,
        'mailer_workers{role="sender"}': 0,
        'mailer_workers{role="builder"}': 0,
        "mailer_connections": 0,
        "mailer_feeds_failing": 0,
        'mailer_came_back{kind="hard"}': 0,
        'mailer_came_back{kind="soft"}': 0,
        'mailer_came_back{kind="complaint"}': 0,
        'mailer_came_back{kind="unsubscribe"}': 0,
        'mailer_mails_total{outcome="sent",reason="accepted"}': 0,
    }


def test_every_figure_and_every_reason_is_in_operations_md(
    sqlite_database: Database, keys: Keys
) -> None:
    text = (DOCS / "operations.md").read_text().partition("## Metrics")[2]
    with serving(sqlite_database, keys) as website:
        told = {line.partition("{")[0] for line in samples(website.get("/metrics"))}
    assert set(re.findall(r"^\| `(mailer_\w+)`", text, re.MULTILINE)) == told
    assert set(re.findall(r"\bmailer_\w+", text)) == told
    assert {f"`{word}`" for word in counters.REASONS} <= set(re.findall(r"`\w+`", text))


@pytest.mark.usefixtures("always_fresh")
def test_the_figures_are_those_of_the_database(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        worker = factories.worker(session, connections=4)
        counters.add(session, worker.id, {("sent", "accepted"): 12, ("failed", "bad_mailbox"): 2})
        readers = factories.readers(session, keys, paper.morning, 3)
        kinds = (DeliveryStatus.QUEUED, DeliveryStatus.SENT, DeliveryStatus.UNKNOWN)
        factories.delivered(session, factories.digest(session, paper.morning), readers, kinds)
        factories.digest(
            session, paper.weekly, due_at=NOW - timedelta(days=1), status=DigestStatus.PAUSED
        )
        factories.notice(session, keys)
    website.pass_time(timedelta(seconds=50))
    before = website.content()
    found = samples(website.get("/metrics"))
    assert website.content() == before
    assert {line: value for line, value in found.items() if value} == {
        'mailer_deliveries_waiting{status="queued"}': 1,
        'mailer_notices_waiting{status="queued"}': 1,
        'mailer_oldest_waiting_seconds{kind="delivery"}': 50,
        'mailer_oldest_waiting_seconds{kind="notice"}': 50,
        "mailer_in_doubt": 1,
        'mailer_digests{status="sending"}': 1,
        'mailer_digests{status="paused"}': 1,
        'mailer_workers{role="sender"}': 1,
        "mailer_connections": 4,
        'mailer_mails_total{outcome="sent",reason="accepted"}': 12,
        'mailer_mails_total{outcome="failed",reason="bad_mailbox"}': 2,
    }


def test_a_token_is_needed_once_there_is_one_and_then_from_anywhere(with_token: Website) -> None:
    assert with_token.get("/metrics").status == 401
    for shown, status in SHOWN.items():
        headers = {"Authorization": shown, "X-Forwarded-For": "203.0.113.5"}
        answer = with_token.ask("GET", "/metrics", headers=headers)
        assert answer.status == status, shown
        assert answer.headers["cache-control"] == "no-store"
        assert TOKEN not in answer.body
        if status == 401:
            assert answer.headers["www-authenticate"] == 'Bearer realm="metrics"'
            assert "metrics_token" in answer.body
            assert "mailer_" not in answer.body


@pytest.mark.parametrize("proxies", ["", LOCAL])
def test_without_a_token_only_this_machine_reads(
    sqlite_database: Database, keys: Keys, proxies: str
) -> None:
    """A proxy on this machine, named in trusted_proxies or forgotten there, makes nobody local."""
    with serving(sqlite_database, keys, trusted_proxies=proxies) as website:
        assert website.get("/metrics").status == 200
        for forwarded, status in FORWARDED.items():
            answer = website.ask("GET", "/metrics", headers={"X-Forwarded-For": forwarded})
            assert answer.status == status, forwarded
            if status == 403:
                assert "metrics_token" in answer.body
                assert "mailer_" not in answer.body
                assert answer.headers["cache-control"] == "no-store"


def test_many_who_ask_cost_the_database_no_more_than_one(website: Website) -> None:
    with statements(website.app.database) as seen:
        first = website.get("/metrics")
    assert len(seen) > 5
    with statements(website.app.database) as seen:
        assert website.get("/metrics").body == first.body
    assert seen == []


@pytest.mark.usefixtures("always_fresh")
def test_without_its_tables_it_says_so_and_tells_no_old_figures(
    sqlite_database: Database, keys: Keys
) -> None:
    with serving(sqlite_database, keys) as website:
        assert website.get("/metrics").status == 200
        with sqlite_database.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE tally RENAME TO tally_away")
        answer = website.get("/metrics")
    assert answer.status == 503
    assert "mailer_" not in answer.body
