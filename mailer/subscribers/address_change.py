"""Changes a reader's address once the new one confirms: asks it by mail, and takes it when it answers.

Never sends a digest to an address that has not confirmed, and never merges two readers.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, select, update
from sqlalchemy.orm import Session

from mailer.address import Address, rate_key
from mailer.clock import zone
from mailer.errors import Refused
from mailer.journal import record as journal
from mailer.journal.record import NewEntry
from mailer.models import (
    BounceEvent,
    ConsentEvent,
    ConsentKind,
    JournalKind,
    Newsletter,
    Notice,
    NoticeKind,
    Signup,
    SignupChoice,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.newsletters.offer import Offer, consent_sentence, offers
from mailer.notices.notice import queue_notice, render_notice
from mailer.permission.consent import NewConsentEvent, Origin, record, wording_id
from mailer.permission.rule import only_the_person_may_return, suppressed
from mailer.permission.suppress import keep_away, lift
from mailer.subscribers.new_subscribers import new_public_id
from mailer.subscribers.signup import SignupContext
from mailer.subscribers.signup_limits import admit
from mailer.text.english import command

REPLACED: Final = "the address changed"
"""Why somebody left, in the journal; its detail is the hash of the new address."""


class _Subscribed(NamedTuple):
    offer: Offer
    schedule_id: int


def ask_new_address(
    session: Session,
    subscriber: Subscriber,
    new: Address,
    origin: Origin,
    context: SignupContext,
) -> None:
    """Mail a link to `new`; once it is used, the reader has that address.

    Raises:
        Refused: it is the present one, another reader's or suppressed, was mailed just now, or the reader
            subscribes to nothing.
    """
    subscribed = _subscribed(session, subscriber, context)
    _check(session, subscriber, new, subscribed, context)
    counted_as = rate_key(new)
    allowance = admit(session, origin, counted_as, context.limits)
    if not allowance.mail:
        raise Refused(
            f"{new.typed} was mailed just now, or too often recently; "
            "wait ten minutes, or see `signup_limits`"
        )
    offer, schedule_id = subscribed[0]
    language = subscriber.language or offer.look.language
    expires_at = allowance.not_before + context.expiry
    signup_id = _write(session, subscriber, new, subscribed, language, expires_at, origin, context)
    kind = NoticeKind.ADDRESS_CHANGE
    fields = {
        "titles": tuple(each.offer.look.title for each in subscribed),
        "expires_on": expires_at.astimezone(zone(_zone(offer, schedule_id))).date(),
    }
    queue_notice(
        session,
        kind=kind,
        address=new.typed,
        key_hash=context.keys.key_hash(new.key),
        content=render_notice(
            context.templates, kind, offer.look, language, fields, context.random
        ),
        now=origin.at,
        newsletter_id=offer.id,
        signup_id=signup_id,
        rate_key=counted_as,
        not_before=allowance.not_before,
    )


def take_new_address(session: Session, signup: Signup, origin: Origin) -> bool:
    """Give a reader the address that has just confirmed; their subscriptions and what they had stay.

    What the consent log and the log of bounces hold of the reader is found under the new address from now
    on; what was written stays as it is. No import enters the old address again; its owner can sign up anew.

    Args:
        signup: with a `subscriber_id`. The caller holds the lock on changes of subscribers.

    Returns:
        Whether it was possible: not if the reader was erased or left everything meanwhile, or another one
        has the address.
    """
    subscriber = session.scalar(
        select(Subscriber).where(
            Subscriber.id == signup.subscriber_id,
            Subscriber.erased_at.is_(None),
        )
    )
    taken = _is_another(signup.address_key, signup.subscriber_id)
    if subscriber is None or session.scalar(select(exists().where(taken))):
        return False
    choices = _still_wanted(session, subscriber, signup)
    if not choices:
        return False
    record(session, _events(subscriber, signup, choices, origin))
    if signup.key_hash != subscriber.key_hash:
        journal.record(session, _journal_entries(session, subscriber, signup, origin))
    for table in (ConsentEvent, BounceEvent):
        session.execute(
            update(table)
            .where(table.key_hash == subscriber.key_hash)
            .values(key_hash=signup.key_hash)
            .execution_options(synchronize_session=False)
        )
    if signup.key_hash != subscriber.key_hash:
        _forget_old_address(session, subscriber, origin.at)
        # They confirmed it themselves, as somebody does who comes back after being erased.
        lift(session, signup.key_hash, now=origin.at, only=SuppressionReason.ERASED)
    subscriber.address = signup.address
    subscriber.address_key = signup.address_key
    subscriber.key_hash = signup.key_hash
    # What came back from the old address says nothing about this one.
    subscriber.reachable_at = origin.at
    session.flush()
    return True


def _forget_old_address(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Keep the old address out of later imports, and let an erasure of the reader find what holds it."""
    old = subscriber.key_hash
    session.execute(
        update(Suppression)
        .where(Suppression.key_hash == old)
        .values(address=None, detail=None)
        .execution_options(synchronize_session=False)
    )
    # An older file of readers still has it: they would be entered a second time, also once they are erased.
    keep_away(session, old, now=now)
    session.execute(
        update(Notice)
        .where(Notice.key_hash == old, Notice.subscriber_id.is_(None))
        .values(subscriber_id=subscriber.id)
        .execution_options(synchronize_session=False)
    )


def _subscribed(
    session: Session, subscriber: Subscriber, context: SignupContext
) -> list[_Subscribed]:
    by_id = {offer.id: offer for offer in offers(session, context.publisher)}
    rows = session.execute(
        select(Subscription.newsletter_id, Subscription.schedule_id)
        .where(Subscription.subscriber_id == subscriber.id, Subscription.left_at.is_(None))
        .order_by(Subscription.newsletter_id)
    )
    return [_Subscribed(by_id[row.newsletter_id], row.schedule_id) for row in rows]


def _check(
    session: Session,
    subscriber: Subscriber,
    new: Address,
    subscribed: Sequence[_Subscribed],
    context: SignupContext,
) -> None:
    """Check that the reader may have this address.

    Raises:
        Refused: they may not.
    """
    old = subscriber.address
    if (new.key, new.typed) == (subscriber.address_key, old):
        raise Refused(f"{old} is the address of this reader already; nothing to change")
    if session.scalar(select(exists().where(_is_another(new.key, subscriber.id)))):
        raise Refused(
            f"{new.typed} is the address of another reader; "
            f"`{command('subscriber', 'unsubscribe', old)}` stops the mails to the old one"
        )
    if not subscribed:
        raise Refused(
            f"{old} has unsubscribed from everything, so nothing can be sent to a new address; "
            f"`{command('subscriber', 'add', new.typed)} --newsletter SLUG` invites it"
        )
    key_hash = context.keys.key_hash(new.key)
    if any(
        suppressed(session, [key_hash], each.offer.id)
        and not only_the_person_may_return(session, key_hash, each.offer.id)
        for each in subscribed
    ):
        raise Refused(
            f"{new.typed} is suppressed; `mailer suppression list` says why, "
            f"`{command('suppression', 'lift', new.typed)}` lifts it"
        )


def _write(
    session: Session,
    subscriber: Subscriber,
    new: Address,
    subscribed: Sequence[_Subscribed],
    language: str,
    expires_at: datetime,
    origin: Origin,
    context: SignupContext,
) -> int:
    """Write the request, and that it was made; return its id."""
    signup = Signup(
        public_id=new_public_id(context.random),
        address=new.typed,
        address_key=new.key,
        key_hash=context.keys.key_hash(new.key),
        # The new address may be mistyped: it may belong to somebody who asks for their own data.
        name=None,
        language=language,
        source=origin.source,
        created_at=origin.at,
        expires_at=expires_at,
        subscriber_id=subscriber.id,
    )
    session.add(signup)
    session.flush()
    for offer, schedule_id in subscribed:
        sentence = consent_sentence(context.templates.gettext(language), offer.look)
        columns = {
            "newsletter_id": offer.id,
            "schedule_id": schedule_id,
            "wording_id": wording_id(session, language, sentence),
        }
        session.add(SignupChoice(signup_id=signup.id, **columns))
        event = NewConsentEvent(
            kind=ConsentKind.REQUESTED,
            address=new.typed,
            key_hash=signup.key_hash,
            origin=origin,
            signup_public_id=signup.public_id,
            publisher=offer.look.publisher,
            privacy_url=offer.look.privacy_url,
            **columns,
        )
        record(session, [event])
    session.flush()
    return signup.id


def _still_wanted(
    session: Session, subscriber: Subscriber, signup: Signup
) -> Sequence[SignupChoice]:
    """Return the newsletters that the request named and that the reader has not left since."""
    return session.scalars(
        select(SignupChoice)
        .join(
            Subscription,
            and_(
                Subscription.newsletter_id == SignupChoice.newsletter_id,
                Subscription.subscriber_id == subscriber.id,
            ),
        )
        .where(SignupChoice.signup_id == signup.id, Subscription.left_at.is_(None))
        .order_by(SignupChoice.newsletter_id)
    ).all()


def _events(
    subscriber: Subscriber, signup: Signup, choices: Sequence[SignupChoice], origin: Origin
) -> list[NewConsentEvent]:
    """Make the events of a change of address: one under the old address, and the new one's consents."""
    changed = NewConsentEvent(
        kind=ConsentKind.CHANGED,
        address=subscriber.address,
        key_hash=subscriber.key_hash,
        origin=replace(origin, source=f"{origin.source}: {REPLACED}"),
        signup_public_id=signup.public_id,
    )
    return [
        changed,
        *(
            NewConsentEvent(
                kind=ConsentKind.CONFIRMED,
                address=signup.address,
                key_hash=signup.key_hash,
                origin=origin,
                newsletter_id=choice.newsletter_id,
                schedule_id=choice.schedule_id,
                signup_public_id=signup.public_id,
                wording_id=choice.wording_id,
            )
            for choice in choices
        ),
    ]


def _journal_entries(
    session: Session, subscriber: Subscriber, signup: Signup, origin: Origin
) -> list[NewEntry]:
    """Make the entries that keep the old address from being mailed after a restore."""
    slugs = session.scalars(
        select(Newsletter.slug)
        .join(Subscription, Subscription.newsletter_id == Newsletter.id)
        .where(Subscription.subscriber_id == subscriber.id, Subscription.left_at.is_(None))
        .order_by(Newsletter.id)
    ).all()
    old, new = subscriber.key_hash, signup.key_hash
    return [
        *(
            NewEntry(JournalKind.LEFT, origin.at, old, slug, reason=REPLACED, detail=new)
            for slug in slugs
        ),
        *(NewEntry(JournalKind.RETURNED, origin.at, new, slug) for slug in slugs),
    ]


def _is_another(address_key: str, subscriber_id: int | None) -> ColumnElement[bool]:
    return and_(Subscriber.address_key == address_key, Subscriber.id != subscriber_id)


def _zone(offer: Offer, schedule_id: int) -> str:
    return next((option.zone for option in offer.options if option.id == schedule_id), "UTC")
