"""Adds or unsubscribes one reader for staff.

Never brings back somebody who left or is suppressed: such a reader can only be asked to confirm. A reader
who subscribes already changes schedule only if one is named.
"""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.errors import NotFound, Refused
from mailer.models import Subscriber, Subscription
from mailer.newsletters import newsletters
from mailer.permission.consent import Origin
from mailer.permission.leave import leave
from mailer.permission.rule import only_the_person_may_return
from mailer.subscribers.entering.decide import EntryResult, NewReader
from mailer.subscribers.entering.enter import enter, preview
from mailer.subscribers.importing.rows import ImportRow
from mailer.subscribers.signup import (
    ScheduleChoice,
    SignupContext,
    SignupRequest,
    SignupResult,
    sign_up,
)
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
    key_hash = context.keys.key_hash(address.key)
    reader = NewReader(address, key_hash, ImportRow(0, address.typed), source)
    (result,), _ = preview(session, [reader], choice, now=origin.at)
    is_erased = only_the_person_may_return(session, key_hash, choice.offer.id)
    if is_erased and consent_source is not None:
        raise Refused(
            f"{address.typed} was erased, or replaced by a new address, and only that person can come back: "
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
