"""Stops and restarts all sending. The switch survives restarts of every process.

Only sets the switch; `predicates.sending_is_on` is what every claim and every start asks.
"""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailer.models import Installation


def pause_sending(
    session: Session, reason: str | None, now: datetime, *, replace_reason: bool = False
) -> bool:
    """Stop all sending until staff resume it. Return False if it is stopped already.

    Args:
        replace_reason: replace the reason of a pause that is on, if one is given. Staff do so; what a
            worker finds must not hide why sending was stopped first.
    """
    statement = (
        update(Installation).returning(Installation.id).execution_options(synchronize_session=False)
    )
    is_on = Installation.paused_at.is_(None)
    was_on = session.scalar(statement.where(is_on).values(paused_at=now, paused_reason=reason))
    if was_on is None and replace_reason and reason is not None:
        session.execute(statement.values(paused_reason=reason))
    return was_on is not None


def resume_sending(session: Session) -> bool:
    """Restart all sending. Return whether it was stopped."""
    resumed = session.scalar(
        update(Installation)
        .where(Installation.paused_at.is_not(None))
        .values(paused_at=None, paused_reason=None)
        .returning(Installation.id)
        .execution_options(synchronize_session=False)
    )
    return resumed is not None
