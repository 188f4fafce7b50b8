"""Two things at the same moment end as if one had come after the other, on either engine."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from secrets import token_bytes

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.address import parse
from mailer.db import Database
from mailer.digests.schedules import schedule_changes
from mailer.models import (
    ConsentEvent,
    Delivery,
    DeliveryStatus,
    EvidenceKind,
    NoticeKind,
    Schedule,
    SignupChoice,
    Subscriber,
    Subscription,
)
from mailer.newsletters.offer import Publisher, offer
from mailer.permission.consent import Origin
from mailer.permission.leave import leave
from mailer.subscribers import confirmation, preferences, signup
from mailer.subscribers.erase import erase
from mailer.subscribers.rights.data_links import mail_data_link
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support.bounces import report
from tests.support.factories import NOW
from tests.support.signups import signup_context
from tests.support.traces import columns_with

ORIGIN = Origin("/test", NOW)
Act = Callable[[Session], object]


def confirming(public_id: int) -> Act:
    return lambda session: confirmation.confirm(
        session, Publisher(), public_id, ORIGIN, random=token_bytes
    )


@pytest.mark.parametrize("signups", [1, 2])
def test_the_button_pressed_twice_at_once_makes_one_subscriber(
    database: Database, keys: Keys, signups: int
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        ids = [make.signup(session, keys, schedule).public_id for _ in range(signups)]
    ready = threading.Barrier(6)

    def press(number: int) -> None:
        ready.wait()
        with database.write() as session:
            confirming(ids[number % signups])(session)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(press, range(6)))

    with database.read() as session:
        for table in (Subscriber, Subscription):
            assert session.scalar(select(func.count()).select_from(table)) == 1
        assert session.scalar(select(func.count()).select_from(ConsentEvent)) == signups


def _sign_up(session: Session, keys: Keys) -> Act:
    choice = signup.ScheduleChoice(offer(session, Publisher(), "daily"))
    request = signup.SignupRequest(parse("new@example.com"), [choice])
    return lambda later: signup.sign_up(later, request, ORIGIN, signup_context(keys))


def _confirm(session: Session, keys: Keys) -> Act:
    old = session.scalars(select(Schedule).order_by(Schedule.id)).all()[0]
    return confirming(make.signup(session, keys, old).public_id)


def _change(session: Session, keys: Keys) -> Act:
    old, kept = session.scalars(select(Schedule).order_by(Schedule.id))
    reader = make.reader(session, keys, kept)
    view = preferences.read_subscription(session, Publisher(), reader.public_id)
    assert view is not None
    option = view.offer.option(old.name)
    assert option is not None
    return lambda later: preferences.change_schedule(later, view, option, ORIGIN)


@pytest.mark.parametrize("ready", [_sign_up, _confirm, _change])
@pytest.mark.parametrize("removal_first", [True, False])
def test_nobody_is_put_on_a_schedule_that_is_being_removed(
    database: Database, keys: Keys, ready: Callable[[Session, Keys], Act], removal_first: bool
) -> None:
    with database.write() as session:
        newsletter = make.newsletter(session)
        old, kept = (make.schedule(session, newsletter, name) for name in ("old", "kept"))
        session.flush()
        act = ready(session, keys)

    def remove(session: Session) -> None:
        mine = session.get_one(Schedule, old.id)
        schedule_changes.remove(session, mine, session.get_one(Schedule, kept.id), now=NOW)

    first, second = (remove, act) if removal_first else (act, remove)

    def run_second() -> None:
        with database.write() as session:
            second(session)

    with ThreadPoolExecutor() as pool:
        with database.write() as session:
            first(session)
            running = pool.submit(run_second)
            # It comes while the first one has not committed, and waits for it.
            assert wait([running], 0.3).not_done
        running.result(60)
    with database.read() as session:
        assert session.get_one(Schedule, old.id).removed_at == NOW
        places = [
            *session.scalars(select(Subscription.schedule_id)),
            *session.scalars(select(SignupChoice.schedule_id)),
        ]
    assert set(places) == {kept.id}


READER = "reader@example.com"


def _ask_for_a_link(keys: Keys, public_id: int) -> Act:
    return lambda session: preferences.request_link(
        session, parse(READER), ORIGIN, signup_context(keys)
    )


def _ask_for_data(keys: Keys, public_id: int) -> Act:
    return lambda session: mail_data_link(
        session, public_id, NoticeKind.DATA, ORIGIN, signup_context(keys)
    )


def _leave(keys: Keys, public_id: int) -> Act:
    def act(session: Session) -> None:
        for view in preferences.read_subscriptions(session, Publisher(), public_id):
            leave(session, view.subscription, ORIGIN, reason="reader")

    return act


def _complain(keys: Keys, public_id: int) -> Act:
    def act(session: Session) -> None:
        report(session, keys, session.scalars(select(Delivery)).all(), EvidenceKind.COMPLAINT)

    return act


@pytest.mark.thorough
@pytest.mark.parametrize("other", [_ask_for_a_link, _ask_for_data, _leave, _complain])
@pytest.mark.parametrize("erased_first", [True, False])
def test_what_happens_while_somebody_is_erased_leaves_no_trace_of_them(
    database: Database, keys: Keys, other: Callable[[Keys, int], Act], erased_first: bool
) -> None:
    with database.write() as session:
        schedule = make.schedule(session, make.newsletter(session))
        reader = make.reader(session, keys, schedule, READER)
        edition = make.edition(session, make.digest(session, schedule))
        make.delivery(session, edition, reader, status=DeliveryStatus.SENT)
        public_id = session.get_one(Subscriber, reader.subscriber_id).public_id

    def erasing(session: Session) -> None:
        erase(session, keys.key_hash(READER), source="/erase", now=NOW)

    act = other(keys, public_id)
    first, second = (erasing, act) if erased_first else (act, erasing)

    def run_second() -> None:
        with database.write() as session:
            second(session)

    with ThreadPoolExecutor() as pool:
        with database.write() as session:
            first(session)
            running = pool.submit(run_second)
            assert wait([running], 0.3).not_done
        running.result(60)
    kept = [] if not (erased_first and other is _ask_for_a_link) else ["notice"]
    places = {place.split(".")[1].strip('"') for place in columns_with(database, READER)}
    assert places == set(kept)
