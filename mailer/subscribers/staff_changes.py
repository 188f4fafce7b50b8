"""Adds and unsubscribes one reader for staff: enters them, or asks them to confirm. Commits nothing."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.errors import NotFound, Refused
from mailer.models import Newsletter, Subscriber, Subscription
from mailer.newsletters import newsletters
from mailer.permission.consent import Origin
from mailer.permission.leave import leave
from mailer.subscribers.signup import (
    ScheduleChoice,
    SignupContext,
    SignupRequest,
    SignupResult,
    sign_up,
)
from mailer.subscribers.staff_entry import EntryResult, NewReader, enter, preview
from mailer.text.english import command

_NEED_CONFIRMATION: Final = (EntryResult.ADDED, EntryResult.UNSUBSCRIBED)


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
    if result is EntryResult.SUPPRESSED:
        raise Refused(
            f"{address.typed} is suppressed; `mailer suppression list` says why, "
            f"`{command('suppression', 'lift', address.typed)}` lifts it"
        )
    if consent_source is None and result in _NEED_CONFIRMATION:
        signup = sign_up(session, SignupRequest(address, [choice]), origin, context)
        if not signup.mailed:
            raise Refused(
                f"{address.typed} was written to just now or too often lately; "
                "wait ten minutes, or see `signup_limits`"
            )
        return signup
    if result is EntryResult.UNSUBSCRIBED:
        raise Refused(
            f"{address.typed} has left {choice.offer.look.slug}; only they can come back: "
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
    newsletter = None if slug is None else newsletters.find(session, slug)
    subscriptions = _subscriptions(session, address, newsletter)
    if not subscriptions:
        raise NotFound(
            f"{address.typed} does not subscribe to {slug or 'any newsletter'}; "
            "`mailer subscriber list` shows who does"
        )
    left = sum(leave(session, row, origin, reason="staff") for row in subscriptions)
    return left, len(subscriptions) - left


def _subscriptions(
    session: Session, address: Address, newsletter: Newsletter | None
) -> Sequence[Subscription]:
    statement = (
        select(Subscription)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscriber.address_key == address.key)
        .order_by(Subscription.id)
    )
    if newsletter is not None:
        statement = statement.where(Subscription.newsletter_id == newsletter.id)
    return session.scalars(statement).all()
