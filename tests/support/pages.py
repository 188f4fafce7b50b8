"""Every page of the web role, in every state, for tests of how pages read and look."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from mailer.db import Database
from mailer.models import Newsletter, ReviewAct, Schedule, Signup, Subscriber
from mailer.tokens import Keys, Purpose
from tests.support import factories
from tests.support.factories import NOW
from tests.support.website import Answer, Website

LATER = timedelta(hours=1)


def newspaper(database: Database, language: str) -> None:
    """A newsletter without a word of its own, with a schedule of every kind."""
    with database.write() as session:
        daily = factories.newsletter(session, title="1111", language=language)
        factories.schedule(session, daily, "22")
        factories.schedule(session, daily, "33", days="mon,tue,wed,thu,fri,sat,sun")
        factories.schedule(session, daily, "44", kind="monthday", monthday=1)
        for name in ("daily", "weekly", "monthly", "weekend", "morning", "evening"):
            factories.schedule(session, daily, name)


def all_pages(website: Website, keys: Keys) -> Iterator[tuple[str, Answer]]:
    """Every page that a newsletter has, in every state, by a name for it."""
    database = website.app.database

    def sign_up(address: str) -> Signup:
        website.post("/subscribe", {"email": address})
        with database.read() as session:
            return session.scalars(select(Signup).order_by(Signup.id.desc())).first()  # type: ignore[return-value]

    yield "form", website.get("/subscribe/daily")
    yield "home", website.get("/")
    yield "embedded", website.get("/embed/daily")
    for name, fields in {
        "wrong address": {"email": "no address"},
        "no address": {"email": ""},
        "wrong newsletter": {"newsletter": "x"},
        "wrong schedule": {"schedule": "daily/x"},
        "quick": {"stamp": keys.form_stamp(NOW)},
        "slow": {"stamp": keys.form_stamp(NOW - timedelta(days=2))},
        "inbox": {"email": "anna@reader.example"},
    }.items():
        yield name, website.post("/subscribe", {"email": "a@b.example", **fields})

    one, two = sign_up("one@reader.example"), sign_up("two@reader.example")
    confirm = website.link(Purpose.CONFIRM, one.public_id, NOW + LATER)
    yield "confirm", website.get(confirm)
    yield "confirmed", website.post(confirm)
    not_me = website.link(Purpose.NOT_ME, two.public_id, NOW + LATER)
    yield "not me", website.get(not_me)
    yield "dropped", website.post(not_me)
    dropped = website.link(Purpose.CONFIRM, two.public_id, NOW + LATER)
    yield "dropped before", website.get(dropped)

    with database.write() as session:
        schedule = session.scalars(select(Schedule).where(Schedule.is_default)).one()
        reader = factories.reader(session, keys, schedule, "r@reader.example")
        nothing = factories.subscriber(session, keys, "n@reader.example")
        subscriber_id = session.get_one(Subscriber, reader.subscriber_id).public_id
        nothing_id, reader_id = nothing.public_id, reader.public_id
    yield "ask", website.get("/preferences")
    yield "ask again", website.post("/preferences", {"email": "no address"})
    yield "asked", website.post("/preferences", {"email": "r@reader.example"})
    preferences, empty, expired = (
        website.link(Purpose.PREFERENCES, public_id, NOW + lives)
        for public_id, lives in (
            (subscriber_id, LATER),
            (nothing_id, LATER),
            (subscriber_id, -LATER),
        )
    )
    yield "preferences", website.get(preferences)
    yield "saved", website.post(preferences, {"daily": "33"})
    yield "no newsletter", website.get(empty)
    yield "too late", website.get(expired)
    yield from _own_data(website, keys, schedule)
    leave = website.link(Purpose.UNSUBSCRIBE, reader_id)
    yield "leave", website.get(leave)
    yield "changed", website.post(leave, {"schedule": "daily/44"})
    yield "left", website.post(leave, {"List-Unsubscribe": "One-Click"})
    yield from _reviews(website)
    with database.write() as session:
        session.scalars(select(Newsletter)).one().closed = True
    yield "closed", website.get("/subscribe/daily")
    fields = {"email": "a@b.example", "newsletter": "daily"}
    yield "closed to all", website.post("/subscribe", fields)


def _own_data(website: Website, keys: Keys, schedule: Schedule) -> Iterator[tuple[str, Answer]]:
    """The pages on which readers see and delete their data, with everything that there can be to see."""
    with website.app.database.write() as session:
        address = "whole@reader.example"
        person = factories.whole_person(session, keys, schedule, address)
        public_id = person.public_id
    preferences, data, erase = (
        website.link(purpose, public_id, NOW + LATER)
        for purpose in (Purpose.PREFERENCES, Purpose.DATA, Purpose.ERASE)
    )
    yield "data asked for", website.post(preferences, {"ask": "data"})
    shown = website.get(data)
    yield "data", replace(shown, body=_without_data(shown.body))
    yield "erase", website.get(erase)
    yield "erased", website.post(erase)
    yield "no data", website.get(data)


def _without_data(body: str) -> str:
    """A page without what it shows as it is held: addresses, names of formats, what a relay said."""
    return re.sub(r'<bdi>.*?</bdi>|<dd (?:lang|dir="ltr").*?</dd>|\b(?:UTC|JSON|IP)\b', "", body)


def _reviews(website: Website) -> Iterator[tuple[str, Answer]]:
    """The pages of reviews: to decide, decided, on its way, and too late to decide."""
    with website.app.database.write() as session:
        schedule = session.scalars(select(Schedule).where(Schedule.is_default)).one()
        reviews = [factories.review(session, schedule, days) for days in range(4)]
        factories.digest(session, schedule, due_at=reviews[2].due_at)
        reviews[3].due_at += LATER
    links = {
        (number, act): website.link(Purpose.REVIEW, one.link_id(act), NOW + LATER)
        for number, one in enumerate(reviews)
        for act in ReviewAct
    }
    yield "stop?", website.get(links[0, ReviewAct.STOP])
    yield "send?", website.get(links[0, ReviewAct.SEND])
    yield "send", website.post(links[1, ReviewAct.SEND])
    yield "stop one that is asked for?", website.get(links[1, ReviewAct.STOP])
    yield "stop", website.post(links[0, ReviewAct.STOP])
    yield "on its way", website.get(links[2, ReviewAct.SEND])
    yield "stop one that is on its way?", website.get(links[2, ReviewAct.STOP])
    yield "nothing to decide", website.get(links[3, ReviewAct.STOP])


def pages_of_none(website: Website, language: str) -> Iterator[tuple[str, Answer]]:
    """Every page that belongs to no newsletter, asked for in a language."""
    headers = {"Accept-Language": f"{language}-XX, en;q=0.5"}
    for name, method, path in (
        ("review late", "POST", website.link(Purpose.REVIEW, 1, NOW - LATER)),
        ("nothing on offer", "GET", "/"),
        ("confirm late", "GET", website.link(Purpose.CONFIRM, 1, NOW - LATER)),
        ("not me late", "POST", website.link(Purpose.NOT_ME, 1, NOW - LATER)),
        ("nowhere", "GET", "/nowhere"),
        ("wrong method", "DELETE", "/"),
    ):
        yield name, website.ask(method, path, headers=headers)
