"""Staff enter readers whose consent they hold elsewhere: one, or a chunk of an import.

Nobody who left or is suppressed is brought back this way, and one who subscribes already changes schedule
only where one is given. Never writes to anybody.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.db import AdvisoryLock, insert_missing, take_lock
from mailer.errors import Refused
from mailer.models import ConsentKind, Schedule, Subscriber, Subscription
from mailer.permission.consent import Event, record
from mailer.permission.rule import stopped
from mailer.subscribers.confirmation import newest_article
from mailer.subscribers.signup import ScheduleChoice, new_public_id
from mailer.tokens import Keys


class ImportResult(StrEnum):
    """What entering one address does. The last two are refusals."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True)
class NewReader:
    """An address to enter, its key's hash, and where it came from, for the consent log."""

    address: Address
    key_hash: str
    name: str | None
    source: str


@dataclass(frozen=True)
class KnownReader:
    """What is known of some addresses, by key hash: their place in one newsletter, and suppressions."""

    places: Mapping[str, Row[str, int, int, datetime | None]]
    suppressed: frozenset[str]


def entry(keys: Keys, address: Address, name: str | None, source: str) -> NewReader:
    """What it takes to enter this address."""
    return NewReader(address, keys.key_hash(address.key), name, source)


def known(session: Session, entries: Sequence[NewReader], newsletter_id: int) -> KnownReader:
    """What is known of these addresses; only reads."""
    hashes = [entry.key_hash for entry in entries]
    rows = session.execute(
        select(Subscriber.key_hash, Subscription.id, Subscription.schedule_id, Subscription.left_at)
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(Subscriber.key_hash.in_(hashes), Subscription.newsletter_id == newsletter_id)
    )
    return KnownReader({row.key_hash: row for row in rows}, stopped(session, hashes, newsletter_id))


def fate(entry: NewReader, known: KnownReader, choice: ScheduleChoice) -> ImportResult:
    """What entering this address for this choice does."""
    if entry.key_hash in known.suppressed:
        return ImportResult.SUPPRESSED
    has = known.places.get(entry.key_hash)
    if has is None:
        return ImportResult.ADDED
    if has.left_at is not None:
        return ImportResult.UNSUBSCRIBED
    other = choice.option is not None and has.schedule_id != choice.option.id
    return ImportResult.UPDATED if other else ImportResult.UNCHANGED


def enter(
    session: Session,
    entries: Sequence[NewReader],
    choice: ScheduleChoice,
    *,
    random: Callable[[int], bytes],
    now: datetime,
) -> list[ImportResult]:
    """Enter these addresses, no key twice, for one newsletter which has a schedule.

    Returns:
        What it did to each, in their order.

    Raises:
        Refused: the schedule was removed since it was chosen.
    """
    option = choice.option or choice.offer.default
    if option is None:
        raise ValueError("a newsletter without a schedule takes no readers")
    take_lock(session, AdvisoryLock.CHANGE_SUBSCRIBERS)
    # An import goes on for long after it was chosen; on a removed schedule readers would get nothing.
    # Until the commit nobody can remove it.
    there = select(Schedule.id).where(Schedule.id == option.id, Schedule.removed_at.is_(None))
    if session.scalar(there.with_for_update(read=True)) is None:
        slug = choice.offer.look.slug
        raise Refused(
            f"the schedule {slug}/{option.name} was removed meanwhile, and what was entered before "
            "was moved with its readers; repeat this with another one"
        )
    before = known(session, entries, choice.offer.id)
    fates = [fate(one, before, choice) for one in entries]
    added = _with(ImportResult.ADDED, entries, fates)
    updated = _with(ImportResult.UPDATED, entries, fates)
    _add(session, added, choice.offer.id, option.id, random, now)
    if updated:
        session.connection().execute(
            update(Subscription)
            .where(Subscription.id == bindparam("row_id"))
            .values(schedule_id=option.id),
            [{"row_id": before.places[one.key_hash].id} for one in updated],
        )
    look = choice.offer.look
    events = [
        Event(
            kind=kind,
            address=one.address.typed,
            key_hash=one.key_hash,
            source=one.source,
            newsletter_id=choice.offer.id,
            schedule_id=option.id,
            publisher=look.publisher,
            privacy_url=look.privacy_url,
        )
        for kind, those in ((ConsentKind.IMPORTED, added), (ConsentKind.CHANGED, updated))
        for one in those
    ]
    record(session, events, now=now)
    return fates


def _with(
    wanted: ImportResult, entries: Sequence[NewReader], fates: Sequence[ImportResult]
) -> list[NewReader]:
    return [one for one, fate in zip(entries, fates, strict=True) if fate is wanted]


def _add(
    session: Session,
    entries: Sequence[NewReader],
    newsletter_id: int,
    schedule_id: int,
    random: Callable[[int], bytes],
    now: datetime,
) -> None:
    if not entries:
        return
    insert_missing(
        session,
        Subscriber,
        [
            {
                "public_id": new_public_id(random),
                "address": one.address.typed,
                "address_key": one.address.key,
                "key_hash": one.key_hash,
                "name": one.name,
                "created_at": now,
            }
            for one in entries
        ],
    )
    start_article = newest_article(session)
    ids = session.scalars(
        select(Subscriber.id)
        .where(Subscriber.key_hash.in_([one.key_hash for one in entries]))
        .order_by(Subscriber.id)
    )
    session.execute(
        insert(Subscription),
        [
            {
                "public_id": new_public_id(random),
                "subscriber_id": subscriber_id,
                "newsletter_id": newsletter_id,
                "schedule_id": schedule_id,
                "start_article": start_article,
                "confirmed_at": now,
            }
            for subscriber_id in ids
        ],
    )
