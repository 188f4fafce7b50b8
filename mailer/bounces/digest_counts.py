"""Counts what a digest sent and what came back of it. Only reads, and only rows of that digest."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from mailer.models import BounceEvent, Delivery, DeliveryStatus, EvidenceKind

ATTEMPTED: Final = (DeliveryStatus.SENT, DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN)
"""The statuses of a mail of which an attempt has ended. One that is deferred has not."""


def attempts_at_most(
    session: Session, digest_id: int, most: int, *, since: datetime | None = None
) -> int:
    """Count the mails of a digest whose attempts have ended, and stop counting at `most`.

    Args:
        since: only mails that were first tried later.
    """
    some = select(literal(1).label("one")).where(
        Delivery.digest_id == digest_id, Delivery.status.in_(ATTEMPTED)
    )
    if since is not None:
        some = some.where(Delivery.first_attempt_at > since)
    return session.scalar(select(func.count()).select_from(some.limit(most).subquery())) or 0


def events_of(
    session: Session, digest_id: int, *, since: datetime | None = None
) -> Mapping[EvidenceKind, int]:
    """Count what came back of a digest, by kind.

    Args:
        since: only of mails that were first tried later.
    """
    statement = (
        select(BounceEvent.kind, func.count())
        .where(BounceEvent.digest_id == digest_id)
        .group_by(BounceEvent.kind)
    )
    if since is not None:
        statement = statement.where(BounceEvent.mailed_at > since)
    return {kind: number for kind, number in session.execute(statement)}  # noqa: C416
