"""Alerts: one for each pause, true, in the newsletter's language, and in nobody's way."""

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from mailer.db import Database
from mailer.ledger import digest_state, pause
from mailer.lint import judge
from mailer.models import (
    Delivery,
    DeliveryStatus,
    DigestStatus,
    Installation,
    Newsletter,
    Notice,
    NoticeKind,
)
from mailer.notices.alert import Alerts, on_digest_paused, on_sending_paused, queue_alert
from mailer.templating.templates import Templates
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW
from tests.support.receiver import receiver
from tests.support.sending import Post, sending
from tests.support.sending import alerts as make_alerts
from tests.support.waiting import wait_until

REASON = "5 in a row were refused: 554 5.7.1 <reader1@example.com>: we do not like this"
ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def alerts(keys: Keys) -> Alerts:
    return make_alerts(keys)


def notices(database: Database) -> list[Notice]:
    with database.read() as session:
        return list(session.scalars(select(Notice).order_by(Notice.id)))


def test_a_digest_that_is_paused_is_told_once(
    post: Post, alerts: Alerts, caplog: pytest.LogCaptureFixture
) -> None:
    digest_id = post.build(3)
    with post.database.write() as session:
        session.execute(update(Delivery).where(Delivery.id == 1).values(status="sent"))
        assert on_digest_paused(session, alerts, digest_id, REASON, NOW)
        assert not on_digest_paused(session, alerts, digest_id, REASON, NOW)
    digest = post.digest()
    assert digest.status is DigestStatus.PAUSED
    assert digest.reason is not None
    [notice] = notices(post.database)
    assert (notice.kind, notice.address) == (NoticeKind.ALERT, "desk@news.example")
    assert notice.key_hash == post.keys.key_hash("desk@news.example")
    assert notice.status is DeliveryStatus.QUEUED
    assert notice.from_address == "daily@news.example"
    assert notice.subject == f"Digest {digest_id} (daily/morning) is paused"
    for part in (notice.text, notice.html):
        assert "554 5.7.1" in part
        assert "Sent: 1. Waiting: 2. Failed: 0. In doubt: 0." in part
        for verb in ("show", "resume", "cancel"):
            assert f"mailer digest {verb} {digest_id}" in part
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert f"digest {digest_id} is paused: 5 in a row" in told[0]
    for text in (notice.text, notice.html, digest.reason, *told):
        assert "reader1" not in text


def test_all_sending_that_is_paused_is_told_once(
    post: Post, alerts: Alerts, caplog: pytest.LogCaptureFixture
) -> None:
    post.build(1)
    with post.database.write() as session:
        factories.newsletter(session, "weekly", from_address="weekly@news.example")
        assert on_sending_paused(session, alerts, "535 5.7.8 bad password", NOW)
        assert not on_sending_paused(session, alerts, "535 5.7.8 bad password", NOW)
        assert session.scalars(select(Installation.paused_at)).one() == NOW
        assert session.scalars(select(Installation.paused_reason)).one() == "535 5.7.8 bad password"
    [notice] = notices(post.database)
    assert notice.from_address == "daily@news.example"
    assert notice.subject == "All sending is paused"
    assert "24 November 2026, 06:00\N{NO-BREAK SPACE}UTC" in notice.text
    assert "mailer resume" in notice.text
    [told] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert told == "all sending is paused: 535 5.7.8 bad password; `mailer resume` starts it again"


def test_nothing_is_told_of_what_is_paused_already(post: Post, alerts: Alerts) -> None:
    digest_id = post.build(1)
    with post.database.write() as session:
        digest_state.pause_digest(session, digest_id, "by staff")
        pause.pause_sending(session, "the relay moves", NOW)
        assert not on_digest_paused(session, alerts, digest_id, REASON, NOW)
        assert not on_sending_paused(session, alerts, REASON, NOW)
    assert notices(post.database) == []


def test_several_addresses_get_a_copy_each_once(
    post: Post, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    digest_id = post.build(1)
    staff = ("desk@news.example", "chief@news.example", "owner@news.example")
    for alerts in (make_alerts(keys, *staff), make_alerts(keys, *reversed(staff))):
        with post.database.write() as session:
            on_digest_paused(session, alerts, digest_id, REASON, NOW)
    told = notices(post.database)
    assert [one.address for one in told] == list(staff)
    assert [one.key_hash for one in told] == [post.keys.key_hash(one) for one in staff]
    assert len({(one.subject, one.text, one.html) for one in told}) == 1
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1


def test_what_is_told_once_a_day_is_told_to_each_once_a_day(post: Post, keys: Keys) -> None:
    staff = ("desk@news.example", "chief@news.example")
    for at in (NOW, NOW + timedelta(hours=23), NOW + timedelta(hours=25)):
        with post.database.write() as session:
            newsletter = session.scalars(select(Newsletter)).first()
            newsletter = newsletter or factories.newsletter(session)
            since = at - timedelta(days=1)
            facts = {"sender": {"title": "The Daily"}, "commands": ["mailer status"]}
            queue_alert(
                session, make_alerts(keys, *staff), newsletter, "550", facts, at, unless_since=since
            )
    assert [one.address for one in notices(post.database)] == [*staff, *staff]


def test_without_a_staff_address_only_the_log_tells(
    post: Post, alerts: Alerts, caplog: pytest.LogCaptureFixture
) -> None:
    digest_id = post.build(1)
    nobody = replace(alerts, staff_address=())
    with post.database.write() as session:
        assert on_digest_paused(session, nobody, digest_id, REASON, NOW)
        assert on_sending_paused(session, nobody, REASON, NOW)
    assert notices(post.database) == []
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 2


@ON_SQLITE
def test_a_broken_template_does_not_stand_in_the_way(
    post: Post, alerts: Alerts, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    digest_id = post.build(1)
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/alert.txt").write_text("{{ nothing }}")
    broken = replace(alerts, templates=Templates(tmp_path))
    with post.database.write() as session:
        assert on_digest_paused(session, broken, digest_id, REASON, NOW)
    assert post.digest().status is DigestStatus.PAUSED
    assert notices(post.database) == []
    assert "the alert cannot be rendered" in caplog.text


@ON_SQLITE
def test_the_language_is_the_newsletters(post: Post, alerts: Alerts) -> None:
    digest_id = post.build(1)
    with post.database.write() as session:
        session.execute(update(Newsletter).values(language="ar"))
        assert on_digest_paused(session, alerts, digest_id, REASON, NOW)
    [notice] = notices(post.database)
    assert notice.language == "ar"
    assert 'dir="rtl"' in notice.html


def test_the_relay_gets_an_alert_without_a_fault(post: Post, alerts: Alerts) -> None:
    post.build(1)
    with post.database.write() as session:
        on_digest_paused(session, alerts, post.digest_id, REASON, NOW)
    with post.relay() as relay:
        wait_until(lambda: relay.mails)
    [mail] = relay.mails
    assert mail.recipient == "desk@news.example"
    assert mail.header("Auto-Submitted") == "auto-generated"
    assert mail.header("List-Unsubscribe") is None
    assert judge(mail.data) == ()


def test_an_alert_about_all_sending_comes_when_it_goes_on(post: Post, alerts: Alerts) -> None:
    post.build(1)
    with post.database.write() as session:
        on_sending_paused(session, alerts, "535 5.7.8 bad password", NOW)
    with receiver() as relay, sending(post.sender(relay.port)) as sender:
        with post.database.write() as session:
            assert relay.mails == []
            pause.resume_sending(session)
        sender.wake()
        wait_until(lambda: len(relay.mails) == 2)
        assert relay.recipients == ["desk@news.example", "reader1@example.com"]
