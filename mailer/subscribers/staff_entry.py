"""Enters readers whose consent staff hold elsewhere: one, or a chunk of an import.

Never brings back somebody who left or is suppressed, and mails nobody. A reader who subscribes already
changes schedule only if one is named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.db import AdvisoryLock, take_lock
from mailer.errors import Refused
from mailer.models import ConsentKind, Subscriber, Subscription
from mailer.newsletters.offer import hold_schedules
from mailer.permission.consent import NewConsentEvent, Origin, record
from mailer.permission.rule import suppressed
from mailer.subscribers.new_subscribers import add_subscribers, add_subscriptions
from mailer.subscribers.signup import ScheduleChoice


class EntryResult(StrEnum):
    """What entering one address does. The last two are refusals."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True)
class NewReader:
    """An address to enter, the hash of its key, and its source for the consent log."""

    address: Address
    key_hash: str
    name: str | None
    source: str

    def columns(self) -> dict[str, object]:
        """Return the columns of a new subscriber."""
        address = {"address": self.address.typed, "address_key": self.address.key}
        return {**address, "key_hash": self.key_hash, "name": self.name}


_Subscriptions = dict[str, Row[str, int, int, datetime | None]]
"""Subscriptions to one newsletter, left or not, by the key hash of their readers."""


def preview(
    session: Session, readers: Sequence[NewReader], choice: ScheduleChoice
) -> list[EntryResult]:
    """Return what `enter` would do to each; only reads."""
    subscriptions = _subscriptions(session, readers, choice)
    return _results(session, readers, choice, subscriptions)


def enter(
    session: Session,
    readers: Sequence[NewReader],
    choice: ScheduleChoice,
    *,
    random: Callable[[int], bytes],
    now: datetime,
) -> list[EntryResult]:
    """Enter these readers, no address twice, for one newsletter that has a schedule.

    Returns:
        What it did to each, in their order.

    Raises:
        Refused: the schedule was removed since it was chosen.
    """
    option, look = choice.option or choice.default, choice.offer.look
    take_lock(session, AdvisoryLock.CHANGE_SUBSCRIBERS)
    # The choice of a long import may be old, and readers on a removed schedule would get nothing.
    # Until the commit nobody can remove it.
    if option.id not in hold_schedules(session, [choice.offer.id]):
        raise Refused(
            f"the schedule {look.slug}/{option.name} was removed meanwhile, and what was entered "
            "before was moved with its readers; repeat this with another one"
        )
    subscriptions = _subscriptions(session, readers, choice)
    results = _results(session, readers, choice, subscriptions)
    by_result: dict[EntryResult, list[NewReader]] = {result: [] for result in EntryResult}
    for reader, result in zip(readers, results, strict=True):
        by_result[result].append(reader)
    added, updated = by_result[EntryResult.ADDED], by_result[EntryResult.UPDATED]
    if added:
        people = [reader.columns() for reader in added]
        add_subscriptions(
            session,
            add_subscribers(session, people, random=random, now=now),
            newsletter_id=choice.offer.id,
            schedule_id=option.id,
            random=random,
            now=now,
        )
    if updated:
        session.connection().execute(
            update(Subscription)
            .where(Subscription.id == bindparam("row_id"))
            .values(schedule_id=option.id),
            [{"row_id": subscriptions[reader.key_hash].id} for reader in updated],
        )
    events = [
        NewConsentEvent(
            kind=kind,
            address=reader.address.typed,
            key_hash=reader.key_hash,
            origin=Origin(reader.source, now),
            newsletter_id=choice.offer.id,
            schedule_id=option.id,
            publisher=look.publisher,
            privacy_url=look.privacy_url,
        )
        for kind, those in ((ConsentKind.IMPORTED, added), (ConsentKind.CHANGED, updated))
        for reader in those
    ]
    record(session, events)
    return results


def _subscriptions(
    session: Session, readers: Sequence[NewReader], choice: ScheduleChoice
) -> _Subscriptions:
    rows = session.execute(
        select(Subscriber.key_hash, Subscription.id, Subscription.schedule_id, Subscription.left_at)
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(
            Subscriber.key_hash.in_([reader.key_hash for reader in readers]),
            Subscription.newsletter_id == choice.offer.id,
        )
    )
    return {row.key_hash: row for row in rows}


def _results(
    session: Session,
    readers: Sequence[NewReader],
    choice: ScheduleChoice,
    subscriptions: _Subscriptions,
) -> list[EntryResult]:
    blocked = suppressed(session, [reader.key_hash for reader in readers], choice.offer.id)

    def result(reader: NewReader) -> EntryResult:
        subscription = subscriptions.get(reader.key_hash)
        if reader.key_hash in blocked:
            return EntryResult.SUPPRESSED
        if subscription is None:
            return EntryResult.ADDED
        if subscription.left_at is not None:
            return EntryResult.UNSUBSCRIBED
        if choice.option is None or subscription.schedule_id == choice.option.id:
            return EntryResult.UNCHANGED
        return EntryResult.UPDATED

    return [result(reader) for reader in readers]
