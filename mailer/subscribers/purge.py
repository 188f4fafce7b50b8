"""Forgets in time what strangers typed: requests, sign-ups, notices, and where people acted from.

Never touches what readers agreed to, nor the ledger of digests. A purge deletes a few rows in the caller's
transaction, so that others can write between two of them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailer.models import PENDING, ClientRequest, ConsentEvent, Notice, Review, Signup

AT_ONCE: Final = 200
"""How many rows one transaction takes: for some milliseconds nobody else writes to SQLite."""

NOTICES_STAY: Final = timedelta(days=1)
"""How long finished notices stay at least. Until then they decide how soon an address may be mailed again and
whether staff get the same alert again, and `mailer status` counts those in doubt."""

Purge = Callable[[Session], int]
"""Forgets at most `AT_ONCE` rows, and returns how many. Fewer means that no more are due."""


def due_purges(
    *, limit_span: timedelta, client_retention: timedelta, now: datetime
) -> Mapping[str, Purge]:
    """Return the purges that are due at `now`, by their names.

    Args:
        limit_span: the longest span of the limits on sign-ups. What they may count stays that long.
        client_retention: how long network addresses and browsers stay in the consent log and in sign-ups.
    """
    uncounted, old = now - limit_span, now - client_retention
    finished = now - max(limit_span, NOTICES_STAY)
    return {
        "counted requests": partial(_purge_requests, uncounted),
        "expired sign-ups": partial(_purge_signups, uncounted),
        "finished notices": partial(_purge_notices, finished),
        "old clients in the consent log": partial(
            _forget_clients, old, ConsentEvent, ConsentEvent.at
        ),
        "old clients of sign-ups": partial(_forget_clients, old, Signup, Signup.created_at),
    }


def _purge_requests(before: datetime, session: Session) -> int:
    ids = _oldest(session, ClientRequest.id, ClientRequest.at, before)
    session.execute(delete(ClientRequest).where(ClientRequest.id.in_(ids)))
    return len(ids)


def _purge_signups(before: datetime, session: Session) -> int:
    """Delete sign-ups that expired unconfirmed, and from the consent log who asked for them."""
    ids = _oldest(session, Signup.id, Signup.expires_at, before, Signup.confirmed_at.is_(None))
    public_ids = session.scalars(select(Signup.public_id).where(Signup.id.in_(ids))).all()
    session.execute(
        update(ConsentEvent)
        .where(ConsentEvent.signup_public_id.in_(public_ids))
        .values(address=None, ip=None, user_agent=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(Signup).where(Signup.id.in_(ids)))
    return len(ids)


def _purge_notices(before: datetime, session: Session) -> int:
    """Delete finished notices, except those that a review refers to."""
    reviewed = exists().where(Review.notice_id == Notice.id)
    finished = Notice.status.not_in(PENDING)
    ids = _oldest(session, Notice.id, Notice.outcome_at, before, finished, ~reviewed)
    # A notice that staff have just sent again stays.
    session.execute(delete(Notice).where(Notice.id.in_(ids), finished))
    return len(ids)


def _forget_clients(
    before: datetime,
    table: type[ConsentEvent] | type[Signup],
    at: InstrumentedAttribute[datetime],
    session: Session,
) -> int:
    """Delete the addresses and browsers of clients, and keep the rest of their rows."""
    has_client = or_(table.ip.is_not(None), table.user_agent.is_not(None))
    ids = _oldest(session, table.id, at, before, has_client)
    session.execute(
        update(table)
        .where(table.id.in_(ids))
        .values(ip=None, user_agent=None)
        .execution_options(synchronize_session=False)
    )
    return len(ids)


def _oldest(
    session: Session,
    row_id: InstrumentedAttribute[int],
    at: InstrumentedAttribute[Any],
    before: datetime,
    *which: ColumnElement[bool],
) -> list[int]:
    """Return the oldest rows up to `before`, at most `AT_ONCE`."""
    rows = select(row_id).where(at <= before, *which).order_by(at).limit(AT_ONCE)
    return list(session.scalars(rows))
