"""What strangers typed is forgotten in time: requests, sign-ups, notices, and where people acted from.

Each act takes a few rows in the caller's transaction: whoever wants all of them commits in between and lets
others write. What readers agreed to, and the ledger of digests, are never touched.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Select, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from mailer.models import PENDING, ClientRequest, ConsentEvent, Notice, Review, Signup
from mailer.permission.consent import forget_clients

AT_ONCE: Final = 200
"""So many rows are forgotten in one transaction: for some milliseconds nobody else writes to SQLite."""

NOTICES_STAY: Final = timedelta(days=1)
"""At least, once they are finished: how soon an address is written to, and what staff are told anew or shown
of the last day, is read from them, whatever the limits."""

Act = Callable[[Session], int]
"""Forgets at most `AT_ONCE` rows, and says how many. Fewer means that no more are due."""


def acts(*, counted: timedelta, clients: timedelta, now: datetime) -> Mapping[str, Act]:
    """What is to be forgotten at `now`, by what to call it.

    Args:
        counted: the longest span of the limits on sign-ups. What may count stays that long.
        clients: how long network addresses and browsers stay in the consent log and in sign-ups.
    """
    return {
        "counted requests": partial(purge_requests, before=now - counted),
        "expired sign-ups": partial(purge_signups, before=now - counted),
        "finished notices": partial(purge_notices, before=now - max(counted, NOTICES_STAY)),
        "old clients in the consent log": partial(
            forget_clients, before=now - clients, limit=AT_ONCE
        ),
        "old clients of sign-ups": partial(forget_clients_of_signups, before=now - clients),
    }


def purge_requests(session: Session, *, before: datetime) -> int:
    """Delete requests that were counted up to `before`; how many."""
    ids = _few(
        session,
        select(ClientRequest.id).where(ClientRequest.at <= before).order_by(ClientRequest.at),
    )
    session.execute(delete(ClientRequest).where(ClientRequest.id.in_(ids)))
    return len(ids)


def purge_signups(session: Session, *, before: datetime) -> int:
    """Delete sign-ups that expired up to `before` unconfirmed, with what the consent log has of who it was.

    Returns:
        How many sign-ups were deleted.
    """
    ids = _few(
        session,
        select(Signup.id)
        .where(Signup.expires_at <= before, Signup.confirmed_at.is_(None))
        .order_by(Signup.expires_at),
    )
    public_ids = session.scalars(select(Signup.public_id).where(Signup.id.in_(ids))).all()
    session.execute(
        update(ConsentEvent)
        .where(ConsentEvent.signup_public_id.in_(public_ids))
        .values(address=None, ip=None, user_agent=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(delete(Signup).where(Signup.id.in_(ids)))
    return len(ids)


def purge_notices(session: Session, *, before: datetime) -> int:
    """Delete notices that were finished up to `before`, but keep those that a review refers to; how many."""
    reviewed = exists().where(Review.notice_id == Notice.id)
    finished = Notice.status.not_in(PENDING)
    ids = _few(
        session,
        select(Notice.id)
        .where(Notice.outcome_at <= before, finished, ~reviewed)
        .order_by(Notice.outcome_at),
    )
    # One that staff want sent once more at this moment stays.
    session.execute(delete(Notice).where(Notice.id.in_(ids), finished))
    return len(ids)


def forget_clients_of_signups(session: Session, *, before: datetime) -> int:
    """Delete network addresses and browsers of sign-ups up to `before`, and keep the rest; how many."""
    ids = _few(
        session,
        select(Signup.id)
        .where(
            Signup.created_at <= before,
            or_(Signup.ip.is_not(None), Signup.user_agent.is_not(None)),
        )
        .order_by(Signup.created_at),
    )
    session.execute(update(Signup).where(Signup.id.in_(ids)).values(ip=None, user_agent=None))
    return len(ids)


def _few(session: Session, ids: Select[int]) -> list[int]:
    return list(session.scalars(ids.limit(AT_ONCE)))
