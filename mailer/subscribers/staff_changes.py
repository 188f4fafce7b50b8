"""Enters readers whose consent staff hold elsewhere, and adds or unsubscribes one reader for staff.

Never brings back somebody who left or is suppressed: such a reader can only be asked to confirm. A reader
who subscribes already changes schedule only if one is named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.db import AdvisoryLock, take_lock
from mailer.errors import NotFound, Refused
from mailer.models import ConsentKind, Subscriber, Subscription
from mailer.newsletters import newsletters
from mailer.newsletters.offer import lock_schedules
from mailer.permission.consent import NewConsentEvent, Origin, record
from mailer.permission.leave import leave
from mailer.permission.rule import only_the_person_may_return, suppressed
from mailer.subscribers.new_subscribers import add_subscribers, add_subscriptions
from mailer.subscribers.signup import (
    ScheduleChoice,
    SignupContext,
    SignupRequest,
    SignupResult,
    sign_up,
)
from mailer.text.english import command


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


_NEED_CONFIRMATION: Final = (EntryResult.ADDED, EntryResult.UNSUBSCRIBED)

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
    if option.id not in lock_schedules(session, [choice.offer.id]):
        raise Refused(
            f"the schedule {look.slug}/{option.name} has just been removed, and readers entered "
            "before that were moved with its others; repeat this with another schedule"
        )
    subscriptions = _subscriptions(session, readers, choice)
    results = _results(session, readers, choice, subscriptions)
    added, updated = (
        [reader for reader, result in zip(readers, results, strict=True) if result is wanted]
        for wanted in (EntryResult.ADDED, EntryResult.UPDATED)
    )
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
    _record(session, ConsentKind.IMPORTED, added, choice, option.id, now)
    _record(session, ConsentKind.CHANGED, updated, choice, option.id, now)
    return results


def add_reader(
    session: Session,
    address: Address,
    choice: ScheduleChoice,
    consent_source: str | None,
    origin: Origin,
    context: SignupContext,
) -> EntryResult | SignupResult:
    """Enter a reader, or mail them a confirmation if no consent source says that they agreed.

    Raises:
        Refused: the address is suppressed, has unsubscribed, or was written to just now.
    """
    source = f"{origin.source}: {consent_source or 'staff'}"
    reader = NewReader(address, context.keys.key_hash(address.key), None, source)
    (result,) = preview(session, [reader], choice)
    is_erased = only_the_person_may_return(session, reader.key_hash, choice.offer.id)
    if is_erased and consent_source is not None:
        raise Refused(
            f"{address.typed} was erased, and only that person can come back: "
            "leave out --consent-source to mail them a link"
        )
    if result is EntryResult.SUPPRESSED and not is_erased:
        raise Refused(
            f"{address.typed} is suppressed; `mailer suppression list` says why, "
            f"`{command('suppression', 'lift', address.typed)}` lifts it"
        )
    if consent_source is None and (is_erased or result in _NEED_CONFIRMATION):
        signup = sign_up(session, SignupRequest(address, [choice]), origin, context)
        if not signup.mailed:
            raise Refused(
                f"{address.typed} was mailed just now, or too often recently; "
                "wait ten minutes, or see `signup_limits`"
            )
        return signup
    if result is EntryResult.UNSUBSCRIBED:
        raise Refused(
            f"{address.typed} unsubscribed from {choice.offer.look.slug}; only the reader can undo that: "
            "leave out --consent-source to mail them a link"
        )
    enter(session, [reader], choice, random=context.random, now=origin.at)
    return result


def unsubscribe_reader(
    session: Session, address: Address, slug: str | None, origin: Origin
) -> tuple[int, int]:
    """Unsubscribe a reader from one newsletter, or from all.

    Returns:
        How many they left now, and how many they had left before.

    Raises:
        NotFound: there is no such newsletter, or they never subscribed.
    """
    which = [Subscriber.address_key == address.key]
    if slug is not None:
        which.append(Subscription.newsletter_id == newsletters.find(session, slug).id)
    subscriptions = session.scalars(
        select(Subscription).join(Subscriber).where(*which).order_by(Subscription.id)
    ).all()
    if not subscriptions:
        raise NotFound(
            f"{address.typed} does not subscribe to {slug or 'any newsletter'}; "
            "`mailer subscriber list` shows who does"
        )
    left = sum(leave(session, row, origin, reason="staff") for row in subscriptions)
    return left, len(subscriptions) - left


def _record(
    session: Session,
    kind: ConsentKind,
    readers: Sequence[NewReader],
    choice: ScheduleChoice,
    schedule_id: int,
    now: datetime,
) -> None:
    look = choice.offer.look
    events = [
        NewConsentEvent(
            kind=kind,
            address=reader.address.typed,
            key_hash=reader.key_hash,
            origin=Origin(reader.source, now),
            newsletter_id=choice.offer.id,
            schedule_id=schedule_id,
            publisher=look.publisher,
            privacy_url=look.privacy_url,
        )
        for reader in readers
    ]
    record(session, events)


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
