"""Suppresses addresses, lifts suppressions, and lists them.

A suppression is found by the keyed hash of the address, so that it outlives the address. Only
`mailer.permission.rule` decides what follows from one.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailer.db import insert_missing
from mailer.models import Newsletter, Suppression, SuppressionReason


@dataclass(frozen=True)
class SuppressionView:
    """A suppression for people to read; without a newsletter it holds for all."""

    address: str | None
    newsletter: str | None
    reason: str
    detail: str | None
    since: datetime


def suppress(
    session: Session,
    *,
    key_hash: str,
    address: str | None,
    reason: SuppressionReason,
    now: datetime,
    newsletter_id: int | None = None,
    detail: str | None = None,
) -> bool:
    """Stop all mail to this address, or that of one newsletter.

    If it is suppressed already, the first reason stays, unless that is a bounce: a bounce expires, and a
    decision of people does not.

    Returns:
        Whether anything changed.
    """
    values = {"reason": reason, "detail": detail, "created_at": now}
    row = {"key_hash": key_hash, "address": address, "newsletter_id": newsletter_id, **values}
    before = session.execute(
        select(Suppression.id, Suppression.reason).where(
            Suppression.key_hash == key_hash,
            Suppression.newsletter_id.is_not_distinct_from(newsletter_id),
        )
    ).one_or_none()
    if before is None:
        insert_missing(session, Suppression, [row])
        return True
    if before.reason is not SuppressionReason.BOUNCED or reason is SuppressionReason.BOUNCED:
        return False
    session.execute(update(Suppression).where(Suppression.id == before.id).values(values))
    return True


def lift(session: Session, key_hash: str, *, only: SuppressionReason | None = None) -> int:
    """Delete all suppressions of an address, or those with one reason.

    Returns:
        How many there were.
    """
    statement = delete(Suppression).where(Suppression.key_hash == key_hash)
    if only is not None:
        statement = statement.where(Suppression.reason == only)
    return len(session.scalars(statement.returning(Suppression.id)).all())


def list_suppressions(session: Session, key_hash: str | None = None) -> list[SuppressionView]:
    """List all suppressions, or those of one address; the oldest first."""
    statement = (
        select(Suppression, Newsletter.slug)
        .outerjoin(Newsletter, Newsletter.id == Suppression.newsletter_id)
        .order_by(Suppression.created_at, Suppression.id)
    )
    if key_hash is not None:
        statement = statement.where(Suppression.key_hash == key_hash)
    return [
        SuppressionView(row.address, slug, row.reason.value, row.detail, row.created_at)
        for row, slug in session.execute(statement)
    ]
