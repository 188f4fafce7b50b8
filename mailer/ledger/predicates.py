"""Defines the conditions on the ledger's rows as SQL predicates."""

from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, and_, not_, select

from mailer.ledger.transitions import CANCEL, WAITING, Table, is_in
from mailer.models import (
    PENDING,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Installation,
    Subscriber,
    Subscription,
)
from mailer.permission.rule import may_mail


def waits(table: Table, now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Match rows that are queued or deferred and due."""
    return and_(is_in(table, WAITING), table.next_attempt_at <= now)


def sending_is_on() -> ColumnElement[bool]:
    """Match unless all sending is paused."""
    return select(Installation.id).where(Installation.paused_at.is_(None)).exists()


def digest_is(status: DigestStatus) -> ColumnElement[bool]:
    """Match a delivery whose digest has this status."""
    return (
        select(Digest.id).where(Digest.id == Delivery.digest_id, Digest.status == status).exists()
    )


def reader_may_be_mailed() -> ColumnElement[bool]:
    """Match a delivery whose reader we may mail."""
    return (
        select(Subscription.id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscription.id == Delivery.subscription_id, may_mail())
        .exists()
    )


def is_finished() -> ColumnElement[bool]:
    """Match a digest that is being sent and of which nothing is pending."""
    return and_(Digest.status == DigestStatus.SENDING, not_(_has_rows(PENDING)))


def waits_for_later() -> ColumnElement[bool]:
    """Match a digest that is being sent and of which only deferred mails are left.

    Not before any mail is finished: a relay that defers all mails at first has not begun yet.
    """
    done = frozenset({DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN})
    deferred = frozenset({DeliveryStatus.DEFERRED})
    return and_(
        Digest.status == DigestStatus.SENDING,
        _has_rows(deferred),
        _has_rows(done),
        not_(_has_rows(PENDING - deferred)),
    )


def has_left_overs() -> ColumnElement[bool]:
    """Match a cancelled digest of which a row waits because it was on its way at that time."""
    return and_(Digest.status == DigestStatus.CANCELLED, _has_rows(CANCEL.before))


def _has_rows(statuses: frozenset[DeliveryStatus]) -> ColumnElement[bool]:
    return (
        select(Delivery.id)
        .where(Delivery.digest_id == Digest.id, Delivery.status.in_(statuses))
        .exists()
    )
