"""A schedule that is removed while somebody is put on it: nobody stays on it, on either engine."""

import threading
from collections.abc import Callable
from secrets import token_bytes

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.address import parse
from mailer.db import Database
from mailer.digests.schedules import schedule_changes
from mailer.models import Schedule, SignupChoice, Subscription
from mailer.newsletters.offer import Publisher, offer
from mailer.permission.consent import Origin
from mailer.subscribers import confirmation, preferences, signup
from mailer.tokens import Keys
from tests.support import factories as make
from tests.support.factories import NOW
from tests.support.signups import signup_context

ORIGIN = Origin("/subscribe", NOW)
Act = Callable[[Session], object]


def _sign_up(session: Session, keys: Keys) -> Act:
    choice = signup.ScheduleChoice(offer(session, Publisher(), "daily"))
    request = signup.SignupRequest(parse("new@example.com"), [choice])
    return lambda later: signup.sign_up(later, request, ORIGIN, signup_context(keys))


def _confirm(session: Session, keys: Keys) -> Act:
    public_id = make.signup(session, keys, session.scalars(select(Schedule)).all()[0]).public_id
    return lambda later: confirmation.confirm(
        later, Publisher(), public_id, ORIGIN, random=token_bytes
    )


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
    ended = threading.Event()
    errors: list[BaseException] = []

    def run_second() -> None:
        try:
            with database.write() as session:
                second(session)
        except BaseException as error:
            errors.append(error)
        ended.set()

    thread = threading.Thread(target=run_second)
    with database.write() as session:
        first(session)
        thread.start()
        # It comes while the first one has not committed, and waits for it.
        assert not ended.wait(0.3)
    thread.join(60)
    assert not errors
    with database.read() as session:
        assert session.get_one(Schedule, old.id).removed_at == NOW
        for table in (Subscription, SignupChoice):
            assert set(session.scalars(select(table.schedule_id))) <= {kept.id}
        assert (
            session.scalars(select(SignupChoice)).all()
            or session.scalars(select(Subscription)).all()
        )
