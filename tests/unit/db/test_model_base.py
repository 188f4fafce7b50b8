"""What the columns and constraints of all tables hold to."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError, StatementError

from mailer.db import Database
from mailer.models import Installation, Newsletter, Subscription
from tests.support import factories
from tests.support.factories import NOW


def test_instants_come_back_aware_and_in_utc(database: Database) -> None:
    elsewhere = datetime(2026, 11, 24, 10, 0, tzinfo=timezone(timedelta(hours=4)))
    with database.write() as session:
        factories.newsletter(session, created_at=elsewhere)
    with database.read() as session:
        found = session.query(Newsletter).one().created_at
    assert (found, found.tzinfo) == (NOW, UTC)


def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive"), database.write() as session:
        factories.newsletter(session, created_at=datetime(2026, 11, 24))  # noqa: DTZ001


def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(
            Subscription(
                public_id=1,
                subscriber_id=77,
                newsletter_id=77,
                schedule_id=77,
                start_article=0,
                confirmed_at=NOW,
            )
        )


def test_the_installation_has_one_row(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Installation(id=2, identity_fingerprint="x", created_at=NOW))
    with database.write() as session:
        assert session.scalars(update(Installation).values(id=1).returning(Installation.id)).all()
