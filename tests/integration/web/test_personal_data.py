"""Readers see or delete their data by mailed links; nothing happens before a button is pressed."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from mailer.db import Database
from mailer.models import (
    ConsentEvent,
    ConsentKind,
    Delivery,
    DeliveryStatus,
    Notice,
    NoticeKind,
    Subscriber,
    Suppression,
    SuppressionReason,
)
from mailer.tokens import Keys, Purpose
from tests.integration.web.conftest import Paper, Serve
from tests.support import factories
from tests.support.factories import NOW
from tests.support.traces import columns_with
from tests.support.website import Website

LATER = NOW + timedelta(hours=1)
ADDRESS = "anna@whole.example"
KINDS = {"data": NoticeKind.DATA, "erase": NoticeKind.ERASE}
WANTED = pytest.mark.parametrize("ask", KINDS)


@pytest.fixture
def person(database: Database, keys: Keys, paper: Paper) -> Subscriber:
    """A reader of whom something is held everywhere."""
    with database.write() as session:
        return factories.whole_person(session, keys, paper.morning, ADDRESS, name="Anna Muster")


@WANTED
def test_a_link_is_mailed_and_nothing_else_happens(
    website: Website, paper: Paper, ask: str
) -> None:
    reader = website.reader(paper.morning, "Anna@example.com")
    (public_id,) = website.rows(
        select(Subscriber.public_id).where(Subscriber.id == reader.subscriber_id)
    )
    before = columns_with(website.app.database, "anna@example.com")
    answer = website.post(website.link(Purpose.PREFERENCES, public_id, LATER), {"ask": ask})
    assert answer.status == 200
    assert "sent you a link" in answer.body
    notice = website.row(select(Notice))
    assert (notice.kind, notice.address, notice.status) == (
        KINDS[ask],
        "Anna@example.com",
        DeliveryStatus.QUEUED,
    )
    assert set(before) < set(columns_with(website.app.database, "anna@example.com"))
    assert website.rows(select(Subscriber.erased_at)) == [None]


@WANTED
def test_asking_again_mails_once_and_one_network_is_limited(
    serve: Serve, paper: Paper, ask: str
) -> None:
    with serve(signup_limits="address=3/24h,network=3/d,total=200/h") as website:
        reader = website.reader(paper.morning)
        (public_id,) = website.rows(
            select(Subscriber.public_id).where(Subscriber.id == reader.subscriber_id)
        )
        link = website.link(Purpose.PREFERENCES, public_id, LATER)
        statuses = [website.post(link, {"ask": ask}).status for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        assert len(website.rows(select(Notice.id))) == 1


def test_who_has_left_everything_still_gets_there(website: Website, paper: Paper) -> None:
    website.reader(paper.morning, "anna@example.com", left_at=NOW)
    assert website.post("/preferences", {"email": "anna@example.com"}).status == 200
    notice = website.row(select(Notice))
    assert (notice.kind, notice.status) == (NoticeKind.PREFERENCES, DeliveryStatus.QUEUED)
    (public_id,) = website.rows(select(Subscriber.public_id))
    page = website.get(website.link(Purpose.PREFERENCES, public_id, LATER))
    assert 'value="erase"' in page.body


def test_a_word_that_is_neither_asks_for_nothing(website: Website, paper: Paper) -> None:
    reader = website.reader(paper.morning)
    (public_id,) = website.rows(
        select(Subscriber.public_id).where(Subscriber.id == reader.subscriber_id)
    )
    answer = website.post(website.link(Purpose.PREFERENCES, public_id, LATER), {"ask": "all"})
    assert answer.status == 200
    assert website.rows(select(Notice.id)) == []


@pytest.mark.thorough
def test_the_page_and_the_file_say_what_is_held(website: Website, person: Subscriber) -> None:
    link = website.link(Purpose.DATA, person.public_id, LATER)
    before = website.content()
    page = website.get(link)
    file = website.get(f"{link}?format=json")
    assert website.content() == before
    assert (page.status, file.status) == (200, 200)
    for text in (ADDRESS, "Anna Muster", "192.0.2.77", "Browser/7", "8888", "550 5.1.1", "55"):
        assert text in page.body, text
        assert text in file.body, text
    assert file.headers["content-disposition"].startswith("attachment")
    assert file.headers["cache-control"] == "no-store"
    data = json.loads(file.body)
    assert len(data["consent"]) == len(ConsentKind)
    assert data["retention"] == {"ip_and_browser_days": 1095, "digest_days": None}
    assert data["not_held"]


def test_what_a_stranger_typed_is_escaped_on_the_page(
    website: Website, database: Database, keys: Keys, paper: Paper
) -> None:
    with database.write() as session:
        person = factories.whole_person(session, keys, paper.morning, ADDRESS, name="<b>Anna</b>")
        factories.consent_event(session, keys, ADDRESS, user_agent="<script>alert(1)</script>")
    body = website.get(website.link(Purpose.DATA, person.public_id, LATER)).body
    assert "<script" not in body
    assert "<b>Anna" not in body


def test_a_button_erases_and_pressing_again_is_success_again(
    website: Website, database: Database, person: Subscriber
) -> None:
    link = website.link(Purpose.ERASE, person.public_id, LATER)
    assert 'method="post"' in website.get(link).body
    assert columns_with(database, ADDRESS)
    for _ in range(2):
        answer = website.post(link)
        assert (answer.status, "has been deleted" in answer.body) == (200, True)
        assert columns_with(database, ADDRESS, "Anna Muster", "192.0.2.77") == []
    answer = website.get(link)
    assert (answer.status, "has been deleted" in answer.body) == (200, True)
    assert "whole.example" not in answer.body
    events = website.rows(select(ConsentEvent.kind).order_by(ConsentEvent.id.desc()).limit(1))
    assert events == [ConsentKind.ERASED]
    assert website.rows(select(func.count()).where(Delivery.id > 0)) == [1]


def test_pages_stay_in_the_language_of_a_reader_without_subscriptions(
    website: Website, paper: Paper, database: Database
) -> None:
    reader = website.reader(paper.morning)
    with database.write() as session:
        person = session.get_one(Subscriber, reader.subscriber_id)
        person.language = "fr"
    preferences = website.link(Purpose.PREFERENCES, person.public_id, LATER)
    data, erase = (
        website.link(each, person.public_id, LATER) for each in (Purpose.DATA, Purpose.ERASE)
    )
    answers = [
        website.post(preferences, {"leave": "all"}),
        website.get(preferences),
        website.post(preferences, {"ask": "data"}),
        website.get(data),
        website.get(erase),
        website.post(erase),
    ]
    for answer in answers:
        assert (answer.status, '<html lang="fr"' in answer.body) == (200, True)


def test_other_links_of_an_erased_reader_show_nothing_of_them(
    website: Website, person: Subscriber
) -> None:
    website.post(website.link(Purpose.ERASE, person.public_id, LATER))
    data = website.link(Purpose.DATA, person.public_id, LATER)
    page, file = website.get(data), website.get(f"{data}?format=json")
    assert (page.status, "hold any data about you" in page.body) == (200, True)
    assert json.loads(file.body) == {}
    preferences = website.link(Purpose.PREFERENCES, person.public_id, LATER)
    assert website.get(preferences).status == 200
    before = website.content()
    assert website.post(preferences, {"ask": "data"}).status == 200
    assert website.content()["notice"] == before["notice"]


def test_a_form_answers_the_same_for_an_erased_reader(
    website: Website, database: Database, person: Subscriber
) -> None:
    website.post(website.link(Purpose.ERASE, person.public_id, LATER))
    fields = {"newsletter": "daily"}
    erased = website.post("/subscribe", {"email": ADDRESS, **fields})
    anybody = website.post("/subscribe", {"email": "new@example.com", **fields})
    assert (erased.status, erased.body) == (anybody.status, anybody.body)
    assert website.rows(select(Suppression.reason).where(Suppression.newsletter_id.is_(None))) == [
        SuppressionReason.STAFF
    ]


@pytest.mark.parametrize("purpose", [Purpose.DATA, Purpose.ERASE])
def test_a_link_dies_after_an_hour_and_belongs_to_one_page(
    website: Website, person: Subscriber, purpose: Purpose
) -> None:
    link = website.link(purpose, person.public_id, LATER)
    token = link.rpartition("/")[2]
    for other in ("data", "erase", "preferences", "unsubscribe", "confirm"):
        if f"/{other}/" not in link:
            assert website.get(f"/{other}/{token}").status == 404
    website.pass_time(timedelta(hours=1))
    assert website.get(link).status == 410
    if purpose is Purpose.ERASE:
        assert website.post(link).status == 410
        assert columns_with(website.app.database, ADDRESS)
    else:
        assert website.post(link).status == 405
