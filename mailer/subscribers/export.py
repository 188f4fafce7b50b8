"""Reads all subscriptions, or all suppressions, as rows for a CSV file that the mailer can import again.

Never writes, and never holds all of them in memory. Erased people are in neither: nothing is known of them.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import String, and_, func, literal, not_, select, type_coerce
from sqlalchemy.orm import Session, aliased

from mailer.clock import format_instant
from mailer.models import (
    ConsentEvent,
    ConsentKind,
    Newsletter,
    Schedule,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.permission.rule import why_not

Cells = Sequence[str | None]

SUBSCRIPTION_COLUMNS: Final = (
    "email",
    "name",
    "language",
    "newsletter",
    "schedule",
    "status",
    "opted_in_at",
    "opt_in_ip",
    "left_at",
    "paused_at",
    "source",
)
SUPPRESSION_COLUMNS: Final = ("email", "status", "suppressed_at", "note")

_WORDS: Final = {
    SuppressionReason.BOUNCED: "bounced",
    SuppressionReason.COMPLAINED: "complained",
}
"""What the status of a suppressed address is called; for every other reason it is "blocked"."""

_AT_ONCE: Final = 1000


def subscription_rows(session: Session, newsletter_id: int | None = None) -> Iterator[Cells]:
    """Yield the cells of each subscription, or of those to one newsletter, by when they began."""
    statement = _SUBSCRIPTIONS.order_by(Subscription.id)
    if newsletter_id is not None:
        statement = statement.where(Subscription.newsletter_id == newsletter_id)
    for row in session.execute(statement.execution_options(yield_per=_AT_ONCE)):
        yield _subscription(row)


def suppression_rows(session: Session) -> Iterator[Cells]:
    """Yield the cells of each suppression for all newsletters whose address is known, the oldest first."""
    statement = (
        select(Suppression.address, Suppression.reason, Suppression.created_at, Suppression.detail)
        .where(Suppression.newsletter_id.is_(None), Suppression.address.is_not(None))
        .order_by(Suppression.created_at, Suppression.id)
    )
    for address, reason, since, note in session.execute(
        statement.execution_options(yield_per=_AT_ONCE)
    ):
        yield (address, _word(reason), format_instant(since), note)


def left_out(session: Session) -> tuple[int, int]:
    """Count what `suppression_rows` leaves out: those without an address, and those for one newsletter."""
    everywhere = Suppression.newsletter_id.is_(None)
    unknown = everywhere & Suppression.address.is_(None)
    row = session.execute(
        select(func.count().filter(unknown), func.count().filter(not_(everywhere))).select_from(
            Suppression
        )
    ).one()
    return row[0], row[1]


def _word(reason: SuppressionReason) -> str:
    return _WORDS.get(reason, "blocked")


def _subscription(row: Any) -> Cells:
    status, left_at = row.state, row.left_at
    if status == "suppressed" and row.reason is not None:
        status, left_at = _word(row.reason), row.suppressed_at
    elif status == "suppressed":
        # It holds for this newsletter only, as if they had left it.
        status, left_at = "unsubscribed", row.suppressed_here_at
    elif status == "left":
        status = "unsubscribed"
    return (
        row.address,
        row.name,
        row.language,
        row.slug,
        row.schedule,
        status,
        _instant(row.opted_in_at or row.confirmed_at),
        row.ip,
        _instant(left_at),
        _instant(row.paused_at),
        row.source,
    )


def _instant(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


_LATEST: Final = aliased(ConsentEvent)
_LATEST_ID: Final = (
    select(func.max(_LATEST.id))
    .where(
        _LATEST.key_hash == Subscriber.key_hash,
        _LATEST.newsletter_id == Subscription.newsletter_id,
        _LATEST.kind.in_((ConsentKind.CONFIRMED, ConsentKind.IMPORTED)),
    )
    .scalar_subquery()
)
_EVERYWHERE: Final = aliased(Suppression)
_HERE: Final = aliased(Suppression)
_SUBSCRIPTIONS: Final = (
    select(
        Subscriber.address,
        Subscriber.name,
        Subscriber.language,
        Newsletter.slug,
        Schedule.name.label("schedule"),
        type_coerce(func.coalesce(why_not(), literal("active")), String).label("state"),
        Subscription.confirmed_at,
        Subscription.left_at,
        Subscription.paused_at,
        ConsentEvent.at.label("opted_in_at"),
        ConsentEvent.ip,
        ConsentEvent.source,
        _EVERYWHERE.reason,
        _EVERYWHERE.created_at.label("suppressed_at"),
        _HERE.created_at.label("suppressed_here_at"),
    )
    .join(Subscription, Subscription.subscriber_id == Subscriber.id)
    .join(Newsletter, Newsletter.id == Subscription.newsletter_id)
    .join(Schedule, Schedule.id == Subscription.schedule_id)
    .outerjoin(ConsentEvent, ConsentEvent.id == _LATEST_ID)
    .outerjoin(
        _EVERYWHERE,
        and_(_EVERYWHERE.key_hash == Subscriber.key_hash, _EVERYWHERE.newsletter_id.is_(None)),
    )
    .outerjoin(
        _HERE,
        and_(
            _HERE.key_hash == Subscriber.key_hash,
            _HERE.newsletter_id == Subscription.newsletter_id,
        ),
    )
    .where(Subscriber.erased_at.is_(None))
)
