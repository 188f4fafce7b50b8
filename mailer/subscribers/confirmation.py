"""Confirms a sign-up, which makes a subscriber, or cancels one that its address did not make.

Never changes anything when a link is only opened, because mail scanners open links.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, take_lock
from mailer.journal import record as journal
from mailer.journal.record import NewEntry
from mailer.message.look import Look
from mailer.models import (
    ConsentKind,
    JournalKind,
    Newsletter,
    Schedule,
    Signup,
    SignupChoice,
    Subscriber,
    Subscription,
    SuppressionReason,
)
from mailer.newsletters.offer import Publisher, lock_schedules
from mailer.permission.consent import NewConsentEvent, Origin, record
from mailer.permission.suppress import lift, suppress
from mailer.subscribers.address_change import take_new_address
from mailer.subscribers.new_subscribers import add_subscribers, add_subscriptions, newest_article


class SignupState(Enum):
    """Where a sign-up stands for the person who holds its link."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    LEFT = "left"
    DROPPED = "dropped"
    EXPIRED = "expired"


@dataclass(frozen=True)
class SignupView:
    """A sign-up as the pages behind its links show it; names no address."""

    state: SignupState
    look: Look
    slugs: Sequence[str]
    titles: Sequence[str]
    changes_address: bool


def read_signup(
    session: Session, publisher: Publisher, public_id: int, *, now: datetime
) -> SignupView | None:
    """Return the sign-up with this public id; None if it was purged."""
    signup = _signup(session, public_id)
    if signup is None:
        return None
    newsletters = session.scalars(
        select(Newsletter)
        .join(SignupChoice, SignupChoice.newsletter_id == Newsletter.id)
        .where(SignupChoice.signup_id == signup.id)
        .order_by((Newsletter.language == signup.language).desc(), Newsletter.title, Newsletter.id)
    ).all()
    look = Look.of(newsletters[0], publisher=publisher.name, privacy_url=publisher.privacy_url)
    return SignupView(
        state=_state(session, signup, now),
        look=replace(look, language=signup.language) if signup.subscriber_id else look,
        slugs=[newsletter.slug for newsletter in newsletters],
        titles=[newsletter.title for newsletter in newsletters],
        changes_address=signup.subscriber_id is not None,
    )


def confirm(
    session: Session,
    publisher: Publisher,
    public_id: int,
    origin: Origin,
    *,
    random: Callable[[int], bytes],
) -> SignupView | None:
    """Subscribe the person who pressed the button to the schedules that were asked for.

    If a reader's address is to change, the new one is theirs from now on, and nothing else changes. If that
    is not possible any more, the request is dropped.

    Does nothing the second time, nor if the reader has left since the link was mailed.

    Returns:
        The sign-up afterwards; None if it was purged.
    """
    take_lock(session, AdvisoryLock.CHANGE_SUBSCRIBERS)
    signup = _signup(session, public_id)
    if signup is not None and _state(session, signup, origin.at) is SignupState.WAITING:
        # Removing a schedule moves its sign-ups: before this line, or after the reader is on it.
        lock_schedules(session, [choice.newsletter_id for choice in _choices(session, signup)])
        if signup.subscriber_id is None:
            _make_reader(session, signup, origin, random)
            is_done = True
        else:
            is_done = take_new_address(session, signup, origin)
        ended = {"confirmed_at": origin.at} if is_done else {"dropped_at": origin.at}
        session.execute(update(Signup).where(Signup.id == signup.id).values(ended))
    return read_signup(session, publisher, public_id, now=origin.at)


def cancel_signup(
    session: Session, publisher: Publisher, public_id: int, origin: Origin
) -> SignupView | None:
    """Cancel a sign-up that its address did not make, and suppress the address for its newsletters.

    Returns:
        The sign-up afterwards; None if it was purged.
    """
    dropped = session.scalar(
        update(Signup)
        .where(Signup.public_id == public_id, Signup.dropped_at.is_(None))
        .values(dropped_at=origin.at)
        .returning(Signup.id)
    )
    signup = None if dropped is None else _signup(session, public_id)
    if signup is not None:
        for choice in _choices(session, signup):
            suppress(
                session,
                key_hash=signup.key_hash,
                address=signup.address,
                reason=SuppressionReason.NOT_ME,
                newsletter_id=choice.newsletter_id,
                now=origin.at,
            )
            _record(session, ConsentKind.REFUSED, signup, choice, origin)
    return read_signup(session, publisher, public_id, now=origin.at)


def _make_reader(
    session: Session, signup: Signup, origin: Origin, random: Callable[[int], bytes]
) -> None:
    columns = ("address", "address_key", "key_hash", "name")
    person = {column: getattr(signup, column) for column in columns}
    (subscriber_id,) = add_subscribers(session, [person], random=random, now=origin.at)
    # Our mail has arrived: the address works again.
    lift(session, signup.key_hash, now=origin.at, only=SuppressionReason.BOUNCED)
    # And a person who was erased has come back by themselves.
    lift(session, signup.key_hash, now=origin.at, only=SuppressionReason.ERASED)
    for choice in _choices(session, signup):
        kind = _subscribe(session, subscriber_id, signup, choice, random, origin.at)
        if kind is not None:
            _record(session, kind, signup, choice, origin)
            _journal(session, kind, signup, choice, origin)


def _journal(
    session: Session, kind: ConsentKind, signup: Signup, choice: SignupChoice, origin: Origin
) -> None:
    slug = session.get_one(Newsletter, choice.newsletter_id).slug
    schedule = session.get_one(Schedule, choice.schedule_id).name
    did = JournalKind.RETURNED if kind is ConsentKind.CONFIRMED else JournalKind.MOVED
    journal.record(
        session, [NewEntry(did, origin.at, signup.key_hash, newsletter=slug, detail=schedule)]
    )


def _signup(session: Session, public_id: int) -> Signup | None:
    statement = select(Signup).where(Signup.public_id == public_id)
    return session.scalar(statement.execution_options(populate_existing=True))


def _state(session: Session, signup: Signup, now: datetime) -> SignupState:
    if signup.dropped_at is not None:
        return SignupState.DROPPED
    left_since = session.scalars(
        select(Subscription.id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .join(SignupChoice, SignupChoice.newsletter_id == Subscription.newsletter_id)
        .where(
            Subscriber.address_key == signup.address_key,
            SignupChoice.signup_id == signup.id,
            Subscription.left_at >= signup.created_at,
        )
    ).all()
    if len(left_since) == len(_choices(session, signup)):
        return SignupState.LEFT
    if signup.confirmed_at is not None:
        return SignupState.CONFIRMED
    return SignupState.EXPIRED if signup.expires_at <= now else SignupState.WAITING


def _choices(session: Session, signup: Signup) -> Sequence[SignupChoice]:
    return session.scalars(
        select(SignupChoice)
        .where(SignupChoice.signup_id == signup.id)
        .order_by(SignupChoice.newsletter_id)
        .execution_options(populate_existing=True)
    ).all()


def _subscribe(
    session: Session,
    subscriber_id: int,
    signup: Signup,
    choice: SignupChoice,
    random: Callable[[int], bytes],
    now: datetime,
) -> ConsentKind | None:
    """Subscribe to this choice; return what happened, or None if the reader has left since asking."""
    subscription = session.scalar(
        select(Subscription).where(
            Subscription.subscriber_id == subscriber_id,
            Subscription.newsletter_id == choice.newsletter_id,
        )
    )
    if subscription is None:
        add_subscriptions(
            session,
            [subscriber_id],
            newsletter_id=choice.newsletter_id,
            schedule_id=choice.schedule_id,
            random=random,
            now=now,
        )
        return ConsentKind.CONFIRMED
    if subscription.left_at is not None and subscription.left_at >= signup.created_at:
        return None
    values: dict[str, object] = {"schedule_id": choice.schedule_id}
    kind = ConsentKind.CHANGED
    if subscription.left_at is not None or subscription.paused_at is not None:
        kind = ConsentKind.CONFIRMED
        values |= {
            "start_article": newest_article(session),
            "first_digest_id": None,
            "confirmed_at": now,
            "paused_at": None,
            "left_at": None,
            "left_reason": None,
        }
    session.execute(update(Subscription).where(Subscription.id == subscription.id).values(values))
    return kind


def _record(
    session: Session, kind: ConsentKind, signup: Signup, choice: SignupChoice, origin: Origin
) -> None:
    event = NewConsentEvent(
        kind=kind,
        address=signup.address,
        key_hash=signup.key_hash,
        origin=origin,
        newsletter_id=choice.newsletter_id,
        schedule_id=choice.schedule_id,
        signup_public_id=signup.public_id,
        wording_id=choice.wording_id,
    )
    record(session, [event])
