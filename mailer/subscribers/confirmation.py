"""Answers to a confirmation mail: this is me, which makes a subscriber, or it was not me.

Reading changes nothing, because mail scanners open links. What the person may be mailed afterwards is
decided by `mailer.permission.rule` as for everybody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, insert_missing, take_lock
from mailer.message.look import Look
from mailer.models import (
    Article,
    ConsentKind,
    Newsletter,
    Signup,
    SignupChoice,
    Subscriber,
    Subscription,
    SuppressionReason,
)
from mailer.newsletters.offer import Publisher, hold_schedules
from mailer.permission.consent import Event, record
from mailer.permission.suppress import lift, suppress
from mailer.subscribers.client import Client
from mailer.subscribers.signup import new_public_id


class SignupState(Enum):
    """Where a sign-up stands for the person who holds its link."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    LEFT = "left"
    DROPPED = "dropped"
    EXPIRED = "expired"


@dataclass(frozen=True)
class SignupView:
    """A sign-up for the pages behind its links; names no address."""

    state: SignupState
    look: Look
    slugs: Sequence[str]
    titles: Sequence[str]


def read_signup(
    session: Session, publisher: Publisher, public_id: int, *, now: datetime
) -> SignupView | None:
    """The sign-up with this public id; None where it was purged."""
    signup = session.scalar(select(Signup).where(Signup.public_id == public_id))
    return None if signup is None else _view(session, signup, publisher, now)


def confirm(
    session: Session,
    publisher: Publisher,
    public_id: int,
    client: Client,
    *,
    random: Callable[[int], bytes],
    now: datetime,
) -> SignupView | None:
    """Subscribe the person who pressed the button, to the schedules that were asked for.

    Doing it again changes nothing. Neither does a link that is older than the reader's leaving.

    Returns:
        Where the sign-up stands afterwards; None where it was purged.
    """
    take_lock(session, AdvisoryLock.CHANGE_SUBSCRIBERS)
    signup = session.scalar(select(Signup).where(Signup.public_id == public_id))
    if signup is None:
        return None
    if _view(session, signup, publisher, now).state is SignupState.WAITING:
        # Whoever removes a schedule moves its sign-ups: before this line, or after the reader is on it.
        hold_schedules(session, [choice.newsletter_id for choice in _choices(session, signup)])
        subscriber_id = _subscriber(session, signup, random, now)
        # Whoever presses the button has got our mail: the address works again.
        lift(session, signup.key_hash, only=SuppressionReason.BOUNCED)
        for choice in _choices(session, signup):
            kind = _subscribe(session, subscriber_id, signup, choice, random, now)
            if kind is not None:
                record(session, [_event(kind, signup, choice, client)], now=now)
        session.execute(update(Signup).where(Signup.id == signup.id).values(confirmed_at=now))
        session.refresh(signup)
    return _view(session, signup, publisher, now)


def not_me(
    session: Session, publisher: Publisher, public_id: int, client: Client, *, now: datetime
) -> SignupView | None:
    """Drop a sign-up that its address did not make, and mute the address for its newsletters.

    Returns:
        Where the sign-up stands afterwards; None where it was purged.
    """
    signup = session.scalar(select(Signup).where(Signup.public_id == public_id))
    if signup is None:
        return None
    dropped = session.scalar(
        update(Signup)
        .where(Signup.id == signup.id, Signup.dropped_at.is_(None))
        .values(dropped_at=now)
        .returning(Signup.id)
    )
    if dropped is not None:
        for choice in _choices(session, signup):
            suppress(
                session,
                key_hash=signup.key_hash,
                address=signup.address,
                reason=SuppressionReason.NOT_ME,
                newsletter_id=choice.newsletter_id,
                now=now,
            )
            event = _event(ConsentKind.REFUSED, signup, choice, client)
            record(session, [event], now=now)
        session.refresh(signup)
    return _view(session, signup, publisher, now)


def newest_article(session: Session) -> int:
    """The newest article of the whole installation: what a reader is due begins after it."""
    return session.scalar(select(func.coalesce(func.max(Article.id), 0))) or 0


def _view(session: Session, signup: Signup, publisher: Publisher, now: datetime) -> SignupView:
    newsletters = session.scalars(
        select(Newsletter)
        .join(SignupChoice, SignupChoice.newsletter_id == Newsletter.id)
        .where(SignupChoice.signup_id == signup.id)
        .order_by((Newsletter.language == signup.language).desc(), Newsletter.title, Newsletter.id)
    ).all()
    return SignupView(
        state=_state(signup, _subscriptions(session, signup), len(newsletters), now),
        look=Look.of(newsletters[0], publisher=publisher.name, privacy_url=publisher.privacy_url),
        slugs=[one.slug for one in newsletters],
        titles=[one.title for one in newsletters],
    )


def _state(
    signup: Signup, subscriptions: Sequence[Subscription], asked: int, now: datetime
) -> SignupState:
    if signup.dropped_at is not None:
        return SignupState.DROPPED
    left = [row for row in subscriptions if row.left_at and row.left_at >= signup.created_at]
    if len(left) == asked:
        return SignupState.LEFT
    if signup.confirmed_at is not None:
        return SignupState.CONFIRMED
    return SignupState.EXPIRED if signup.expires_at <= now else SignupState.WAITING


def _subscriptions(session: Session, signup: Signup) -> Sequence[Subscription]:
    """What the address has of what this sign-up asks for, left or not."""
    return session.scalars(
        select(Subscription)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .join(SignupChoice, SignupChoice.newsletter_id == Subscription.newsletter_id)
        .where(Subscriber.address_key == signup.address_key, SignupChoice.signup_id == signup.id)
        .execution_options(populate_existing=True)
    ).all()


def _choices(session: Session, signup: Signup) -> Sequence[SignupChoice]:
    return session.scalars(
        select(SignupChoice)
        .where(SignupChoice.signup_id == signup.id)
        .order_by(SignupChoice.newsletter_id)
        .execution_options(populate_existing=True)
    ).all()


def _subscriber(
    session: Session, signup: Signup, random: Callable[[int], bytes], now: datetime
) -> int:
    row = {
        "public_id": new_public_id(random),
        "address": signup.address,
        "address_key": signup.address_key,
        "key_hash": signup.key_hash,
        "name": signup.name,
        "created_at": now,
    }
    insert_missing(session, Subscriber, [row])
    return session.scalars(
        select(Subscriber.id).where(Subscriber.address_key == signup.address_key)
    ).one()


def _subscribe(
    session: Session,
    subscriber_id: int,
    signup: Signup,
    choice: SignupChoice,
    random: Callable[[int], bytes],
    now: datetime,
) -> ConsentKind | None:
    """Give the reader this choice; what happened, or None where they have left since they asked."""
    has = session.scalar(
        select(Subscription).where(
            Subscription.subscriber_id == subscriber_id,
            Subscription.newsletter_id == choice.newsletter_id,
        )
    )
    anew: dict[str, object] = {
        "schedule_id": choice.schedule_id,
        "start_article": newest_article(session),
        "first_digest_id": None,
        "confirmed_at": now,
        "paused_at": None,
        "left_at": None,
        "left_reason": None,
    }
    if has is None:
        named = {
            "public_id": new_public_id(random),
            "subscriber_id": subscriber_id,
            "newsletter_id": choice.newsletter_id,
        }
        session.execute(insert(Subscription).values(named | anew))
        return ConsentKind.CONFIRMED
    if has.left_at is not None and has.left_at >= signup.created_at:
        return None
    if has.left_at is None and has.paused_at is None:
        anew, kind = {"schedule_id": choice.schedule_id}, ConsentKind.CHANGED
    else:
        kind = ConsentKind.CONFIRMED
    session.execute(update(Subscription).where(Subscription.id == has.id).values(anew))
    return kind


def _event(kind: ConsentKind, signup: Signup, choice: SignupChoice, client: Client) -> Event:
    return Event(
        kind=kind,
        address=signup.address,
        key_hash=signup.key_hash,
        source=client.source,
        newsletter_id=choice.newsletter_id,
        schedule_id=choice.schedule_id,
        signup_public_id=signup.public_id,
        wording_id=choice.wording_id,
        ip=client.ip,
        user_agent=client.user_agent,
    )
