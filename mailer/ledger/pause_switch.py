"""The pause switch: stops and restarts all sending, and survives restarts.

Only the switch: that nothing is sent while it is set is the business of the statement that begins a mail.
"""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from mailer.models import Installation


def pause(session: Session, reason: str | None, *, now: datetime) -> None:
    """Stop all sending. Pausing again only changes the reason, where one is given."""
    session.execute(
        update(Installation).where(Installation.paused_at.is_(None)).values(paused_at=now)
    )
    if reason is not None:
        session.execute(update(Installation).values(paused_reason=reason))


def resume(session: Session) -> bool:
    """Let mail go out again; whether it was stopped."""
    found = session.scalar(
        update(Installation)
        .where(Installation.paused_at.is_not(None))
        .values(paused_at=None, paused_reason=None)
        .returning(Installation.id)
    )
    return found is not None
