"""What the scheduler purges is what the settings say: clients of consent events, and old digests."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from mailer.db import Database
from mailer.models import Article, ConsentEvent, Delivery, Digest, DigestStatus
from mailer.scheduler.purging import Purging
from mailer.scheduler.step_runner import StepRunner
from mailer.tokens import Keys
from tests.integration.test_scheduler import app_at
from tests.support import factories as make
from tests.support.factories import NOW

DAY = timedelta(days=1)
OLD, YOUNG = NOW - 200 * DAY, NOW - 200 * DAY + timedelta(seconds=1)


@pytest.fixture
def kept_and_due(database: Database, keys: Keys) -> None:
    """A consent event and a digest that are 200 days old, and a second of each that is a moment younger."""
    with database.write() as session:
        newsletter = make.newsletter(session)
        schedule = make.schedule(session, newsletter)
        reader = make.reader(session, keys, schedule)
        for at in (OLD, YOUNG):
            make.consent_event(session, keys, at=at, ip="192.0.2.7", user_agent="B/1")
            digest = make.digest(
                session,
                schedule,
                due_at=at.replace(second=0) + (at - OLD) * 60,
                status=DigestStatus.SENT,
                finished_at=at,
                failures_read_at=at,
            )
            edition = make.edition(session, digest, [make.article(session, newsletter)])
            make.delivery(session, edition, reader, status="sent")


def run(database: Database, keys: Keys, **settings: str) -> None:
    stopping = threading.Event()
    app = app_at(database, keys, lambda: NOW, **settings)
    Purging(app, StepRunner(stopping), stopping).run()


@pytest.mark.usefixtures("kept_and_due")
def test_it_purges_what_is_older_than_the_settings_say(database: Database, keys: Keys) -> None:
    run(database, keys, ledger_retention="200d", consent_retention="200d")
    with database.read() as session:
        purged = session.scalars(select(Digest.purged_at).order_by(Digest.finished_at)).all()
        assert purged == [NOW, None]
        assert session.scalar(select(func.count()).select_from(Delivery)) == 1
        assert session.scalars(select(Article.closed_at).order_by(Article.id)).all() == [NOW, None]
        clients = session.execute(
            select(ConsentEvent.ip, ConsentEvent.user_agent).order_by(ConsentEvent.at)
        ).all()
        assert [tuple(row) for row in clients] == [(None, None), ("192.0.2.7", "B/1")]


@pytest.mark.usefixtures("kept_and_due")
def test_without_a_retention_every_digest_stays(database: Database, keys: Keys) -> None:
    run(database, keys)
    with database.read() as session:
        assert session.scalars(select(Digest.purged_at)).all() == [None, None]
        assert session.scalars(select(Article.closed_at)).all() == [None, None]
        assert session.scalar(select(func.count()).select_from(Delivery)) == 2
