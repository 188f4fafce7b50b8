"""Says why queued work would wait: no process runs that does it, or all sending is paused.

Only reads, and decides nothing: it goes by the wall clock.
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.models import Installation, Worker, WorkerRole

_NAMES: Final = {WorkerRole.BUILDER: "scheduler", WorkerRole.SENDER: "worker"}


def why_idle(session: Session, role: WorkerRole, *, lease: timedelta, now: datetime) -> str | None:
    """Say what keeps this role from working now, with the next step; None if nothing does.

    Args:
        lease: how long a process may be silent before it is considered dead.
        now: the present instant.
    """
    paused = select(Installation.id).where(Installation.paused_at.is_not(None))
    if role is WorkerRole.SENDER and session.scalar(paused) is not None:
        return "all sending is paused; `mailer resume` starts it again"
    alive = select(Worker.id).where(
        Worker.role == role, Worker.stopped_at.is_(None), Worker.heartbeat_at >= now - lease
    )
    if session.scalar(alive.limit(1)) is not None:
        return None
    return f"no {_NAMES[role]} is running: start one with `mailer run`"
