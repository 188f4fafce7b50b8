"""The bucket of tokens from which all workers pay for the mails that they claim.

Only the row and its clock, which is the database's, because workers' clocks differ: what is in the bucket
is reckoned in `mailer.sending.flow_control.pace`. Nothing here commits.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from mailer.db import UTCDateTime, insert_missing
from mailer.models import Pace
from mailer.sending.flow_control.pace import SendRate, filled, until_next

_FIRST_TOKENS = 1.0
"""The very first mail need not wait, not even at one a day; a full bucket would be a burst at no rate."""


class Spent(NamedTuple):
    """How many mails are paid for, and in how many seconds there is a token again (0: there is one)."""

    number: int
    wait_seconds: float


def spend(session: Session, rate: SendRate, wanted: int) -> Spent:
    """Take up to `wanted` whole tokens, for as many mails.

    Workers that do so at the same time wait for one another until the session ends (PostgreSQL), so
    rows that others may wait for must be locked after this, never before.
    """
    tokens, filled_at, now = _look(session, rate)
    number = max(0, min(wanted, int(tokens)))
    # Where nothing is taken, what has come in since can as well be reckoned the next time; but when
    # the clock was set back, that would be only after it has caught up.
    if number or now < filled_at:
        _keep(session, tokens - number, now)
    return Spent(number, until_next(tokens - number, rate))


def refund(session: Session, rate: SendRate, number: int) -> None:
    """Put back what was paid for mails that were not begun: rows released, or skipped at the claim."""
    tokens, _, now = _look(session, rate)
    _keep(session, min(rate.burst, tokens + number), now)


def _look(session: Session, rate: SendRate) -> tuple[float, datetime, datetime]:
    """The tokens that are there now, when they were last counted, and the database's clock."""
    # When another worker changed the row while we waited for it, PostgreSQL works out the whole line
    # anew, the clock included; so it is never older than what that worker wrote.
    reading = (
        select(Pace.tokens, Pace.filled_at, _clock(session)).where(Pace.id == 1).with_for_update()
    )
    found = session.execute(reading).one_or_none()
    if found is None:
        first = {
            "id": 1,
            "tokens": _FIRST_TOKENS,
            "filled_at": session.scalar(select(_clock(session))),
        }
        insert_missing(session, Pace, [first])
        found = session.execute(reading).one()
    tokens, filled_at, now = found
    return filled(tokens, (now - filled_at).total_seconds(), rate), filled_at, now


def _keep(session: Session, tokens: float, now: datetime) -> None:
    session.execute(
        update(Pace)
        .where(Pace.id == 1)
        .values(tokens=tokens, filled_at=now)
        .execution_options(synchronize_session=False)
    )


def _clock(session: Session) -> ColumnElement[datetime]:
    if session.get_bind().dialect.name == "sqlite":
        return func.strftime("%Y-%m-%d %H:%M:%f000", "now", type_=UTCDateTime())
    # `now()` would stand still for the length of the transaction.
    return func.clock_timestamp(type_=UTCDateTime())
