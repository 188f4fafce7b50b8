"""Recovers rows: of workers that died, and of a clock that was set wrong."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import CursorResult, and_, case, literal, or_, select, update
from sqlalchemy.orm import Session

from mailer.db import UTCDateTime
from mailer.db.prepared_statements import execute
from mailer.ledger.outcomes import resend_once
from mailer.ledger.statements import releasing
from mailer.ledger.transitions import (
    DOUBT,
    HELD,
    QUARANTINE,
    TABLES,
    WAITING,
    Claim,
    changing,
    ending,
    is_in,
)
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus, Notice, Worker

MOST_CRASHES: Final = 3
"""A mail that so many workers died of is not tried again."""


def recover(session: Session, silent: Collection[int], *, resend: bool, now: datetime) -> int:
    """Take over the rows of workers that are considered dead.

    Rows that they had only claimed wait again, unless three workers have died while they made that mail:
    then it has failed. Rows that they were sending are in doubt. With `resend` those are queued once more,
    but only the first time, and not if their digest was cancelled.

    Returns:
        How many rows are in doubt because of this.
    """
    doubtful = 0
    for table in TABLES:
        is_orphaned = and_(is_in(table, HELD), table.worker_id.in_(silent))
        for statement in ending(QUARANTINE, table):
            session.execute(
                statement.where(
                    is_orphaned,
                    table.crashes >= MOST_CRASHES,
                    table.status == DeliveryStatus.CLAIMED,
                ).values(
                    outcome_at=now,
                    step="compose",
                    reply=f"{MOST_CRASHES} workers ended while they made this mail; it is not tried again",
                )
            )
        # The worker may have died of any of them. One that was tried out alone has been counted.
        crashes = case((table.crashes == 0, 1), else_=table.crashes)
        session.execute(releasing(table).where(is_orphaned).values(crashes=crashes))
        ids = session.scalars(
            changing(DOUBT, table)
            .where(is_orphaned)
            .values(
                in_doubt=table.in_doubt + 1,
                outcome_at=now,
                step="dot",
                code=None,
                reply="the worker ended before it could record what the relay said",
            )
            .returning(table.id)
        ).all()
        doubtful += len(ids)
        if resend and ids:
            execute(resend_once(table, ids, now), session)
    return doubtful


def note_crashes(session: Session, claim: Claim, crashes: int) -> None:
    """Note on a claimed row how many workers may have died while they made its mail."""
    table = claim.row.table
    session.execute(
        update(table)
        .where(
            table.id == claim.row.id,
            table.worker_id == claim.worker_id,
            table.status == DeliveryStatus.CLAIMED,
        )
        .values(crashes=crashes)
        .execution_options(synchronize_session=False)
    )


def stopped_holders(session: Session) -> frozenset[int]:
    """Return the workers that have stopped and still hold rows, which nobody else would give back."""
    return frozenset(
        worker_id
        for table in TABLES
        for worker_id in session.scalars(
            select(Worker.id)
            .join(table, table.worker_id == Worker.id)
            .where(Worker.stopped_at.is_not(None), is_in(table, HELD))
        )
    )


def clamp_due_times(session: Session, longest_waits: Sequence[timedelta], now: datetime) -> int:
    """Make every row due that waits longer than it may: a clock that was ahead may have deferred it by hours.

    Doing it again changes nothing. What the limits on sign-ups put off stays as it is.

    Args:
        longest_waits: of a row that was attempted 0, 1, 2, … times; the last one is of all after it.

    Returns:
        How many rows are due sooner than they were.
    """
    *limits, last_limit = (now + wait for wait in longest_waits)
    number = 0
    for table in TABLES:
        latest = case(
            {attempts: literal(at, UTCDateTime()) for attempts, at in enumerate(limits)},
            value=table.attempts,
            else_=literal(last_limit, UTCDateTime()),
        )
        statement = update(table).where(
            is_in(table, WAITING), table.next_attempt_at > now, table.next_attempt_at > latest
        )
        if table is Notice:
            statement = statement.where(or_(Notice.not_before.is_(None), Notice.attempts > 0))
        else:
            # Named by digest, so that the index is used.
            unfinished = select(Digest.id).where(
                Digest.status.in_((DigestStatus.SENDING, DigestStatus.PAUSED))
            )
            statement = statement.where(Delivery.digest_id.in_(unfinished))
        clamped = session.execute(
            statement.values(next_attempt_at=latest).execution_options(synchronize_session=False)
        )
        number += cast("CursorResult[Any]", clamped).rowcount
    return number
