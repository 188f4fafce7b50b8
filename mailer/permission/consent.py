"""The consent log: writes what happened to somebody's consent, and the sentences that were shown.

Only adds, and forgets in time from where people acted; what they agreed to is never changed or removed.
Whether anybody may be mailed is not decided here.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import insert, or_, select, update
from sqlalchemy.orm import Session

from mailer.db import insert_if, insert_missing
from mailer.models import ConsentEvent, ConsentKind, Wording


@dataclass(frozen=True)
class Event:
    """One thing that happened to one person's consent to one newsletter.

    Args:
        source: where: the form's path, the import with its consent source, or the link pressed.
        publisher: who was named to the person, where a sentence was shown.
    """

    kind: ConsentKind
    address: str | None
    key_hash: str
    source: str
    newsletter_id: int | None = None
    schedule_id: int | None = None
    signup_public_id: int | None = None
    wording_id: int | None = None
    publisher: str | None = None
    privacy_url: str | None = None
    ip: str | None = None
    user_agent: str | None = None


def record(session: Session, events: Sequence[Event], *, now: datetime) -> None:
    """Write these events into the log, in their order."""
    if events:
        session.execute(insert(ConsentEvent), [{"at": now, **asdict(event)} for event in events])


def record_if(session: Session, events: Sequence[Event], *, wanted: bool, now: datetime) -> None:
    """Write these events if they are `wanted`; else the same statements run, and write nothing."""
    for event in events:
        insert_if(session, ConsentEvent, {"at": now, **asdict(event)}, wanted=wanted)


def wording(session: Session, language: str, text: str) -> int:
    """The id of the `Wording` with exactly this text in this language; written if it is new."""
    sha256 = hashlib.sha256(f"{language}\0{text}".encode()).hexdigest()
    insert_missing(session, Wording, [{"sha256": sha256, "language": language, "text": text}])
    return session.scalars(select(Wording.id).where(Wording.sha256 == sha256)).one()


def forget_clients(session: Session, *, before: datetime, limit: int) -> int:
    """Delete the network addresses and browsers of events up to `before` (UTC), and keep the events.

    Args:
        limit: so many events at most, the oldest first.

    Returns:
        How many there were.
    """
    ids = session.scalars(
        select(ConsentEvent.id)
        .where(
            ConsentEvent.at <= before,
            or_(ConsentEvent.ip.is_not(None), ConsentEvent.user_agent.is_not(None)),
        )
        .order_by(ConsentEvent.at)
        .limit(limit)
    ).all()
    session.execute(
        update(ConsentEvent)
        .where(ConsentEvent.id.in_(ids))
        .values(ip=None, user_agent=None)
        .execution_options(synchronize_session=False)
    )
    return len(ids)
