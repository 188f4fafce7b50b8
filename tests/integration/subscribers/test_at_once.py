"""Two things at the same moment end as if one had come after the other."""

import threading
from collections.abc import Callable
from secrets import token_bytes

import pytest
from sqlalchemy import func, select

from mailer.db import Database
from mailer.models import ConsentEvent, Signup, Subscriber, Subscription
from mailer.newsletters.offer import Publisher
from mailer.permission.consent import Origin
from mailer.subscribers.confirmation import confirm
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW


def together(*acts: Callable[[], object]) -> None:
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        barrier.wait()
        try:
            act()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert not errors


@pytest.mark.parametrize("signups", [1, 2])
def test_the_button_pressed_twice_at_once_makes_one_subscriber(
    database: Database, keys: Keys, signups: int
) -> None:
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        rows = [factories.signup(session, keys, schedule) for _ in range(signups)]

    def press(signup: Signup) -> None:
        with database.write() as session:
            origin = Origin("/confirm", NOW)
            confirm(session, Publisher(), signup.public_id, origin, random=token_bytes)

    together(*(lambda row=rows[number % signups]: press(row) for number in range(6)))

    with database.read() as session:
        for table in (Subscriber, Subscription):
            assert session.scalar(select(func.count()).select_from(table)) == 1
        assert session.scalar(select(func.count()).select_from(ConsentEvent)) == signups
