"""The send loop against a relay on loopback, with the ledger in a real database."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.db import Database
from mailer.delivery import ledger
from mailer.delivery.mail import Composer
from mailer.delivery.send import Sender
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus, Notice
from mailer.tokens import Keys, Purpose
from tests import factories
from tests.factories import NOW
from tests.receiver import fine, receiver
from tests.sending import sending
from tests.waiting import wait_until

MakeSender = Callable[..., Sender]


def build(database: Database, keys: Keys, readers: int) -> int:
    """A digest that is being sent to so many readers; its id."""
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        digest = factories.digest(session, schedule)
        edition = factories.edition(session, digest)
        for subscription in factories.readers(session, keys, schedule, readers):
            factories.delivery(session, edition, subscription)
        return digest.id


def status_of(database: Database, digest_id: int) -> DigestStatus:
    with database.read() as session:
        return session.scalars(select(Digest.status).where(Digest.id == digest_id)).one()


def counts(database: Database, digest_id: int) -> ledger.Counts:
    with database.read() as session:
        return ledger.counts(session, digest_id)


def test_every_reader_gets_the_digest_once(
    database: Database, keys: Keys, make_sender: MakeSender
) -> None:
    digest_id = build(database, keys, 50)
    with receiver() as relay, sending(make_sender(relay.port)):
        wait_until(lambda: status_of(database, digest_id) is DigestStatus.SENT)
    assert relay.recipients == sorted(f"reader{n}@example.com" for n in range(1, 51))
    assert len({mail.header("Message-ID") for mail in relay.mails}) == 50
    found = counts(database, digest_id)
    assert (found.total, found.sent, found.in_doubt) == (50, 50, 0)
    assert 1 <= relay.connections <= 4
    assert relay.count("QUIT") == relay.connections
