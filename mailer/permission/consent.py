"""Writes the consent log, and the consent sentences exactly as they were shown.

Never changes what was written; only `mailer.subscribers.purge` deletes the clients' addresses and browsers
in time. Does not decide whether anybody may be mailed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from mailer.db import insert_if, insert_missing
from mailer.db.prepared_statements import Prepared
from mailer.models import ConsentEvent, ConsentKind, Subscriber, Subscription, Wording


@dataclass(frozen=True)
class Origin:
    """Where and when somebody acted: on a page, with the client's address and browser, or by a command.

    Args:
        source: the page's path without its token, or the command.
        at: when (UTC).
        user_agent: what the browser calls itself, as one short line.
    """

    source: str
    at: datetime
    ip: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True)
class NewConsentEvent:
    """What happened to one person's consent to one newsletter, to be written as a row.

    Args:
        publisher: who was named to the person, if a sentence was shown.
    """

    kind: ConsentKind
    address: str | None
    key_hash: str
    origin: Origin
    newsletter_id: int | None = None
    schedule_id: int | None = None
    signup_public_id: int | None = None
    wording_id: int | None = None
    publisher: str | None = None
    privacy_url: str | None = None

    def columns(self) -> dict[str, object]:
        """Return the columns of the row."""
        columns = {**vars(self.origin), **vars(self)}
        del columns["origin"]
        return columns


def record(session: Session, events: Sequence[NewConsentEvent]) -> None:
    """Write these events into the log, in their order."""
    if events:
        session.execute(insert(ConsentEvent), [event.columns() for event in events])


def record_if(session: Session, events: Sequence[NewConsentEvent], *, wanted: bool) -> None:
    """Write these events if they are `wanted`; else run the same statements, which write nothing."""
    for event in events:
        insert_if(session, ConsentEvent, event.columns(), wanted=wanted)


def record_change(
    session: Session,
    kind: ConsentKind,
    subscription: Subscription,
    origin: Origin,
    schedule_id: int | None = None,
) -> None:
    """Write what happened to `subscription`, whose schedule is now `schedule_id`, if one is given."""
    subscriber = session.get_one(Subscriber, subscription.subscriber_id)
    event = NewConsentEvent(
        kind=kind,
        address=subscriber.address,
        key_hash=subscriber.key_hash,
        origin=origin,
        newsletter_id=subscription.newsletter_id,
        schedule_id=schedule_id or subscription.schedule_id,
    )
    record(session, [event])


_WORDING_ID: Final = Prepared(
    select(Wording.id).where(Wording.sha256 == bindparam("sha256")), Wording.id.type
)


def wording_id(session: Session, language: str, text: str) -> int:
    """Return the id of the `Wording` with exactly this text, and write it if it is new."""
    sha256 = hashlib.sha256(f"{language}\0{text}".encode()).hexdigest()
    insert_missing(session, Wording, [{"sha256": sha256, "language": language, "text": text}])
    ((row_id,),) = _WORDING_ID.execute(session, {"sha256": sha256})
    return int(row_id)
