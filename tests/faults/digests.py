"""Digests of any size for the tests of faults, and what the ledger says of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from mailer.db import Database
from mailer.ledger import digest_state
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Edition,
    Notice,
    NoticeKind,
    Schedule,
    Subscriber,
    Suppression,
)
from mailer.tokens import Keys
from tests.support import factories


def queue_digest(database: Database, keys: Keys, readers: int, **content: Any) -> int:
    """A digest that is being sent to reader1@example.com and so on; its id.

    Args:
        content: of its edition, where the test cares.
    """
    with database.write() as session:
        schedule = factories.schedule(session, factories.newsletter(session))
        digest = factories.digest(session, schedule)
        edition = factories.edition(session, digest, **content)
        factories.many_readers(session, keys, schedule, readers)
        factories.deliveries(session, edition, schedule, status=DeliveryStatus.QUEUED, attempts=0)
        found: int = digest.id
        return found


def add_readers(database: Database, keys: Keys, digest_id: int, addresses: Sequence[str]) -> None:
    """More readers of a digest that is being sent."""
    with database.write() as session:
        schedule = session.scalars(
            select(Schedule)
            .join(Digest, Digest.schedule_id == Schedule.id)
            .where(Digest.id == digest_id)
        ).one()
        edition = session.scalars(select(Edition).where(Edition.digest_id == digest_id)).one()
        for address in addresses:
            subscription = factories.reader(session, keys, schedule, address)
            factories.delivery(session, edition, subscription)


def counts(database: Database, digest_id: int) -> digest_state.Counts:
    """Where its deliveries stand."""
    with database.read() as session:
        return digest_state.counts(session, digest_id)


def status(database: Database, digest_id: int) -> DigestStatus:
    """Where the digest stands."""
    with database.read() as session:
        return session.scalars(select(Digest.status).where(Digest.id == digest_id)).one()


def rows(database: Database, digest_id: int, *statuses: DeliveryStatus) -> dict[str, Delivery]:
    """Its deliveries in one of these statuses, by address."""
    with database.read() as session:
        found = session.execute(
            select(Subscriber.address, Delivery)
            .join(Delivery, Delivery.subscriber_id == Subscriber.id)
            .where(Delivery.digest_id == digest_id, Delivery.status.in_(statuses))
        )
        return {address: delivery for address, delivery in found if address is not None}


def last_in_queue(database: Database, digest_id: int, number: int) -> list[str]:
    """The addresses of those who are served last."""
    with database.read() as session:
        found = session.scalars(
            select(Subscriber.address)
            .join(Delivery, Delivery.subscriber_id == Subscriber.id)
            .where(Delivery.digest_id == digest_id)
            .order_by(Delivery.id.desc())
            .limit(number)
        )
        return [address for address in found if address is not None]


def suppressed(database: Database) -> int:
    """How many addresses get no mail any more."""
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Suppression)) or 0


def alerts(database: Database) -> list[Notice]:
    """What staff were told."""
    with database.read() as session:
        return list(session.scalars(select(Notice).where(Notice.kind == NoticeKind.ALERT)))
