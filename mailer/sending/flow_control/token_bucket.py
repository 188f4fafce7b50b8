"""Keeps the token bucket from which all workers pay for the mails that they claim.

Only the row and its clock, which is the database's, because workers' clocks differ: `rate` computes what is
in the bucket. Nothing here commits.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from mailer.db import UTCDateTime, insert_missing
from mailer.models import TokenBucket
from mailer.rate import Rate
from mailer.sending.flow_control.send_rate import burst, filled, until_next

_FIRST_TOKENS = 1.0
"""The very first mail need not wait, not even at one a day. A full bucket would allow a burst."""


class Spent(NamedTuple):
    """How many mails are paid for, and in how many seconds there is a token again (0: now)."""

    number: int
    wait_seconds: float


def spend(session: Session, rate: Rate, wanted: int) -> Spent:
    """Take up to `wanted` whole tokens, for as many mails.

    Workers that do so at the same time wait for one another until the session ends (PostgreSQL), so
    rows that others may wait for must be locked after this, never before.
    """
    tokens, filled_at, now = _read(session, rate)
    number = max(0, min(wanted, int(tokens)))
    # If nothing is taken, what has come in since can as well be counted the next time. But if the clock was
    # set back, that would be only after it has caught up.
    if number or now < filled_at:
        _write(session, tokens - number, now)
    return Spent(number, until_next(tokens - number, rate))


def refund(session: Session, rate: Rate, number: int) -> None:
    """Pay back mails that were not begun: rows released, or skipped at the claim."""
    tokens, _, now = _read(session, rate)
    _write(session, min(burst(rate), tokens + number), now)


def _read(session: Session, rate: Rate) -> tuple[float, datetime, datetime]:
    """Return the tokens that are there now, when they were last counted, and the database's clock."""
    # If another worker changed the row while we waited for it, PostgreSQL evaluates the whole row anew,
    # the clock included; so it is never older than what that worker wrote.
    reading = (
        select(TokenBucket.tokens, TokenBucket.filled_at, _clock(session))
        .where(TokenBucket.id == 1)
        .with_for_update()
    )
    row = session.execute(reading).one_or_none()
    if row is None:
        clock = session.scalar(select(_clock(session)))
        insert_missing(
            session, TokenBucket, [{"id": 1, "tokens": _FIRST_TOKENS, "filled_at": clock}]
        )
        row = session.execute(reading).one()
    tokens, filled_at, now = row
    return filled(tokens, (now - filled_at).total_seconds(), rate), filled_at, now


def _write(session: Session, tokens: float, now: datetime) -> None:
    session.execute(
        update(TokenBucket)
        .where(TokenBucket.id == 1)
        .values(tokens=tokens, filled_at=now)
        .execution_options(synchronize_session=False)
    )


def _clock(session: Session) -> ColumnElement[datetime]:
    if session.get_bind().dialect.name == "sqlite":
        return func.strftime("%Y-%m-%d %H:%M:%f000", "now", type_=UTCDateTime())
    # `now()` would stand still for the length of the transaction.
    return func.clock_timestamp(type_=UTCDateTime())
