"""Defines the conditions on the ledger's rows as SQL predicates."""

from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, and_, func, not_, or_, select

from mailer.ledger.transitions import HELD, WAITING, Table, is_in
from mailer.models import (
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
    return and_(Digest.status == DigestStatus.SENDING, not_(_has_waiting()), not_(_has_held()))


def waits_for_later() -> ColumnElement[bool]:
    """Match a digest that is being sent and of which only deferred mails are left.

    Not before any mail is finished: a relay that defers all mails at first has not begun yet.
    """
    done = (DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN)
    # Queued mails come before those that are deferred, which wait for a later time.
    is_queued = and_(is_in(Delivery, WAITING), Delivery.status == DeliveryStatus.QUEUED)
    return and_(
        Digest.status == DigestStatus.SENDING,
        not_(_has(func.min(Delivery.next_attempt_at), is_queued)),
        not_(_has_held()),
        _has_waiting(),
        _has(func.min(Delivery.subscriber_id), Delivery.status.in_(done)),
    )


def has_left_overs() -> ColumnElement[bool]:
    """Match a cancelled digest of which a row waits because it was on its way at that time."""
    claimed = Delivery.status == DeliveryStatus.CLAIMED
    return and_(Digest.status == DigestStatus.CANCELLED, or_(_has_waiting(), _has_held(claimed)))


def _has_waiting() -> ColumnElement[bool]:
    return _has(func.max(Delivery.next_attempt_at), is_in(Delivery, WAITING))


def _has_held(*which: ColumnElement[bool]) -> ColumnElement[bool]:
    return _has(func.max(Delivery.worker_id), is_in(Delivery, HELD), *which)


def _has(end: ColumnElement[Any], *which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Match a digest that has such a delivery. `end` is the first or last value of an index's second column.

    Both databases read that one entry. EXISTS might read a whole table instead, and on PostgreSQL many
    entries of rows that are no longer such: while a transaction is open they stay, the oldest first.
    """
    return select(end).where(Delivery.digest_id == Digest.id, *which).scalar_subquery().is_not(None)
