"""Writes what the rows of a file changed of many readers, with a few statements for all of them.

Never decides what changes, and never commits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from mailer.db import insert_missing
from mailer.db.prepared_statements import Prepared
from mailer.journal.record import NewEntry
from mailer.journal.record import record as record_in_journal
from mailer.message.look import Look
from mailer.models import ConsentEvent, JournalKind, Schedule, Subscriber, Subscription
from mailer.permission.suppress import NewSuppression, suppress_many
from mailer.subscribers.entering.decide import ReaderState
from mailer.subscribers.entering.load import subscriber_ids
from mailer.subscribers.new_subscribers import new_public_id, newest_article

LEFT_REASON: Final = "import"
"""Why somebody left, if a file says so."""


class EntryTarget(NamedTuple):
    """The newsletter whose readers are written."""

    newsletter_id: int
    look: Look


Changed = Sequence[tuple[str, ReaderState]]
"""Readers whom the rows of a file changed, by key hash."""


def store(
    session: Session,
    states: Mapping[str, ReaderState],
    target: EntryTarget,
    *,
    random: Callable[[int], bytes],
    now: datetime,
) -> None:
    """Write the changes of these readers."""
    changed = [(key_hash, state) for key_hash, state in states.items() if state.changes]
    new = [(key_hash, state) for key_hash, state in changed if "subscribed" in state.changes]
    _add_subscribers(session, new, random, now)
    _add_subscriptions(session, new, target, random, now)
    _update(session, changed)
    store_suppressions(session, changed, now=now)
    _journal(session, changed, target, now)
    _log_consent(session, changed, target)


def store_suppressions(session: Session, changed: Changed, *, now: datetime) -> None:
    """Write the suppressions of these readers."""
    suppressions = [
        NewSuppression(
            key_hash,
            state.address.typed if state.address else None,
            state.suppression,
            state.suppression_detail,
            state.suppressed_at or now,
        )
        for key_hash, state in changed
        if "suppression" in state.changes and state.suppression
    ]
    suppress_many(session, suppressions, now=now)


def _add_subscribers(
    session: Session, new: Changed, random: Callable[[int], bytes], now: datetime
) -> None:
    """Add those who are no subscribers of any newsletter yet, and note their ids."""
    unknown = [(key_hash, state) for key_hash, state in new if state.subscriber_id is None]
    if not unknown:
        return
    rows = [
        {
            "public_id": new_public_id(random),
            "address": state.address.typed,
            "address_key": state.address.key,
            "key_hash": key_hash,
            "name": state.name,
            "language": state.language,
            "created_at": now,
        }
        for key_hash, state in unknown
        if state.address
    ]
    insert_missing(session, Subscriber, rows)
    ids = subscriber_ids(session, [key_hash for key_hash, _ in unknown])
    for key_hash, state in unknown:
        state.subscriber_id = ids[key_hash]


def _add_subscriptions(
    session: Session,
    new: Changed,
    target: EntryTarget,
    random: Callable[[int], bytes],
    now: datetime,
) -> None:
    if not new:
        return
    start_article = newest_article(session)
    rows = [
        {
            "public_id": new_public_id(random),
            "subscriber_id": state.subscriber_id,
            "newsletter_id": target.newsletter_id,
            "schedule_id": state.schedule_id,
            "start_article": start_article,
            "confirmed_at": state.since or now,
            "paused_at": state.paused_at,
            "left_at": state.left_at,
            "left_reason": LEFT_REASON if state.left_at else None,
        }
        for _, state in new
    ]
    _ADD_SUBSCRIPTION.execute_many(session, rows)


def _update(session: Session, changed: Changed) -> None:
    """Change what is stored already: the names and languages of subscribers, and subscriptions."""
    names, moved, left = [], [], []
    for _, state in changed:
        stored_before = "subscribed" not in state.changes
        if not state.changes.isdisjoint({"name", "language"}):
            names.append({"row": state.subscriber_id, "to": state.name, "also": state.language})
        if stored_before and "schedule_id" in state.changes:
            moved.append({"row": state.subscription_id, "to": state.schedule_id})
        if stored_before and "left_at" in state.changes:
            left.append({"row": state.subscription_id, "to": state.left_at})
    for statement, rows in ((_NAME, names), (_MOVE, moved), (_LEAVE, left)):
        if rows:
            statement.execute_many(session, rows)


def _journal(session: Session, changed: Changed, target: EntryTarget, now: datetime) -> None:
    slug = target.look.slug
    entries = [
        NewEntry(JournalKind.LEFT, now, key_hash, newsletter=slug, reason=LEFT_REASON)
        for key_hash, state in changed
        if "left_at" in state.changes
    ]
    moved = [
        (key_hash, state.schedule_id)
        for key_hash, state in changed
        if "schedule_id" in state.changes
        and "subscribed" not in state.changes
        and state.schedule_id is not None
    ]
    if moved:
        schedules = {schedule_id for _, schedule_id in moved}
        names = dict(
            session.execute(
                select(Schedule.id, Schedule.name).where(Schedule.id.in_(schedules))
            ).all()
        )
        entries += [
            NewEntry(JournalKind.MOVED, now, key_hash, newsletter=slug, detail=names[schedule_id])
            for key_hash, schedule_id in moved
        ]
    record_in_journal(session, entries)


def _log_consent(session: Session, changed: Changed, target: EntryTarget) -> None:
    rows = [
        {
            "kind": event.kind,
            "at": event.at,
            "address": state.address and state.address.typed,
            "key_hash": key_hash,
            "newsletter_id": target.newsletter_id,
            "schedule_id": state.schedule_id,
            "publisher": target.look.publisher,
            "privacy_url": target.look.privacy_url,
            "ip": event.ip,
            "source": event.source,
        }
        for key_hash, state in changed
        for event in state.events
    ]
    if rows:
        _LOG_CONSENT.execute_many(session, rows)


def _inserting(columns: Iterable[InstrumentedAttribute[Any]]) -> dict[str, Any]:
    return {column.key: bindparam(column.key, type_=column.type) for column in columns}


_ADD_SUBSCRIPTION: Final = Prepared(
    insert(Subscription).values(
        _inserting(
            (
                Subscription.public_id,
                Subscription.subscriber_id,
                Subscription.newsletter_id,
                Subscription.schedule_id,
                Subscription.start_article,
                Subscription.confirmed_at,
                Subscription.paused_at,
                Subscription.left_at,
                Subscription.left_reason,
            )
        )
    )
)
_LOG_CONSENT: Final = Prepared(
    insert(ConsentEvent).values(
        _inserting(
            (
                ConsentEvent.kind,
                ConsentEvent.at,
                ConsentEvent.address,
                ConsentEvent.key_hash,
                ConsentEvent.newsletter_id,
                ConsentEvent.schedule_id,
                ConsentEvent.publisher,
                ConsentEvent.privacy_url,
                ConsentEvent.ip,
                ConsentEvent.source,
            )
        )
    )
)
_NAME: Final = Prepared(
    update(Subscriber)
    .where(Subscriber.id == bindparam("row", type_=Subscriber.id.type))
    .values(
        # What somebody else has filled in meanwhile stays.
        name=func.coalesce(Subscriber.name, bindparam("to", type_=Subscriber.name.type)),
        language=func.coalesce(
            Subscriber.language, bindparam("also", type_=Subscriber.language.type)
        ),
    )
)
_MOVE: Final = Prepared(
    update(Subscription)
    .where(Subscription.id == bindparam("row", type_=Subscription.id.type))
    .values(schedule_id=bindparam("to", type_=Subscription.schedule_id.type))
)
_LEAVE: Final = Prepared(
    update(Subscription)
    .where(Subscription.id == bindparam("row", type_=Subscription.id.type))
    .values(left_at=bindparam("to", type_=Subscription.left_at.type), left_reason=LEFT_REASON)
)
