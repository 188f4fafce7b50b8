"""Shows a reader their subscriptions, and changes what they ask to change.

A link to unsubscribe, which a forwarded digest gives away, shows no address and reaches one newsletter only.
All newsletters are reached by a link that was mailed to the reader within the hour.
"""

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from mailer.address import Address, rate_key
from mailer.db import AdvisoryLock, take_lock
from mailer.journal import record as journal
from mailer.journal.record import NewEntry
from mailer.models import (
    ConsentKind,
    JournalKind,
    NoticeKind,
    Schedule,
    Subscriber,
    Subscription,
)
from mailer.newsletters.offer import Offer, Option, Publisher, lock_schedules, offers
from mailer.notices.notice import queue_notice, render_notice
from mailer.permission.consent import Origin, record_change
from mailer.subscribers.new_subscribers import newest_article
from mailer.subscribers.signup import SignupContext
from mailer.subscribers.signup_limits import admit

_NOT_A_READER: Final = "nobody subscribes with this address"
"""Why a notice is never sent: it is kept for a while, so that every address leaves the same rows."""


@dataclass(frozen=True)
class SubscriptionView:
    """A subscription as the pages show it; names no address.

    `schedule` may be one that can no longer be chosen, and is then not among the offer's options.
    """

    subscription: Subscription
    offer: Offer
    schedule: str

    @property
    def left(self) -> bool:
        """Whether the reader has left this newsletter."""
        return self.subscription.left_at is not None

    @property
    def others(self) -> tuple[Option, ...]:
        """The schedules that the reader may change to."""
        return tuple(option for option in self.offer.options if option.name != self.schedule)


def read_subscription(
    session: Session, publisher: Publisher, public_id: int
) -> SubscriptionView | None:
    """Return the subscription with this public id; None if there is none."""
    views = _views(session, publisher, Subscription.public_id == public_id)
    return views[0] if views else None


def read_subscriptions(
    session: Session, publisher: Publisher, public_id: int
) -> list[SubscriptionView]:
    """Return the subscriptions of the subscriber with this public id, by title, without those left."""
    views = _views(session, publisher, Subscriber.public_id == public_id)
    return [view for view in views if not view.left]


def own_language(session: Session, public_id: int) -> str | None:
    """Return the language of the subscriber with this public id; None if they have none of their own."""
    return session.scalar(select(Subscriber.language).where(Subscriber.public_id == public_id))


def change_schedule(
    session: Session, view: SubscriptionView, option: Option, origin: Origin
) -> SubscriptionView:
    """Change a reader's schedule to `option`, unless they have left or it has just been removed."""
    if (
        view.left
        or option.name == view.schedule
        or option.id not in lock_schedules(session, [view.offer.id])
        or not _change(session, view, origin, schedule_id=option.id)
    ):
        return view
    return replace(view, schedule=option.name)


def pause(session: Session, view: SubscriptionView, origin: Origin) -> None:
    """Stop a reader's digests of this newsletter until they resume, also those already queued.

    Does nothing if the reader has left or paused before.
    """
    origin = replace(origin, source=f"{origin.source}: pause")
    _change(session, view, origin, Subscription.paused_at.is_(None), paused_at=origin.at)


def resume(session: Session, view: SubscriptionView, origin: Origin) -> None:
    """Send a reader this newsletter again, with only the articles that come in from now on.

    Does nothing if the reader has left or had not paused.
    """
    _change(
        session,
        view,
        replace(origin, source=f"{origin.source}: resume"),
        Subscription.paused_at.is_not(None),
        paused_at=None,
        start_article=newest_article(session),
    )


def request_link(
    session: Session, address: Address, origin: Origin, context: SignupContext
) -> None:
    """Queue a mail with a link to the preferences, if the address subscribes to something, or did.

    The mail goes to the address that confirmed: the typed one may differ from it in letters that mail
    servers tell apart, and could then be somebody else's. For any other address the same statements
    run, and leave a notice that is never sent; a repeat leaves none for either. No such mail waits for
    the limit on all sign-ups together, because only a reader gets one.

    Raises:
        TooManySignups: the client's network has reached its limit; nothing is written.
    """
    # First: nobody may be erased between here and the notice, which holds the address.
    take_lock(session, AdvisoryLock.COUNT_SIGNUPS)
    reader = session.execute(
        select(
            Subscription.newsletter_id,
            Subscription.subscriber_id,
            Subscriber.address,
            Subscriber.language,
        )
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscriber.address_key == address.key)
        # Who has left everything may still ask for their data, or to be erased.
        .order_by(Subscription.left_at.is_not(None), Subscription.newsletter_id)
        .limit(1)
    ).one_or_none()
    # Counted apart from sign-ups: who confirmed a minute ago may want to change the schedule now. And
    # apart from what is never sent: who asked too early gets a link once they subscribe.
    counted_as = f"{'preferences' if reader else 'no preferences'} {rate_key(address)}"
    allowance = admit(session, origin, counted_as, context.limits)
    looks = {offer.id: offer.look for offer in offers(session, context.publisher)}
    if not looks:
        return
    newsletter_id = reader.newsletter_id if reader else next(iter(looks))
    look = looks[newsletter_id]
    language = (reader and reader.language) or look.language
    kind = NoticeKind.PREFERENCES
    queue_notice(
        session,
        kind=kind,
        address=reader.address if reader else address.typed,
        key_hash=context.keys.key_hash(address.key),
        content=render_notice(context.templates, kind, look, language, {}, context.random),
        now=origin.at,
        newsletter_id=newsletter_id,
        subscriber_id=reader.subscriber_id if reader else None,
        rate_key=counted_as,
        skip=None if reader else _NOT_A_READER,
        wanted=allowance.mail,
    )


def _views(
    session: Session, publisher: Publisher, which: ColumnElement[bool]
) -> list[SubscriptionView]:
    by_id = {offer.id: offer for offer in offers(session, publisher)}
    rows = session.execute(
        select(Subscription, Schedule.name, Subscriber.language)
        .join(Schedule, Schedule.id == Subscription.schedule_id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(which)
    )
    views = [
        SubscriptionView(row, _in_language(by_id[row.newsletter_id], language), name)
        for row, name, language in rows
    ]
    return sorted(views, key=lambda view: (view.offer.look.title, view.offer.id))


def _in_language(offer: Offer, language: str | None) -> Offer:
    """Show a newsletter to a reader who has a language of their own."""
    return (
        offer if language is None else replace(offer, look=replace(offer.look, language=language))
    )


def _change(
    session: Session,
    view: SubscriptionView,
    origin: Origin,
    *where: ColumnElement[bool],
    **values: object,
) -> bool:
    """Change the row and record it, unless the reader has left; return whether anything changed."""
    schedule_id = session.scalar(
        update(Subscription)
        .where(Subscription.id == view.subscription.id, Subscription.left_at.is_(None), *where)
        .values(values)
        .returning(Subscription.schedule_id)
    )
    if schedule_id is None:
        return False
    record_change(session, ConsentKind.CHANGED, view.subscription, origin, schedule_id)
    if "schedule_id" in values:
        key_hash = session.get_one(Subscriber, view.subscription.subscriber_id).key_hash
        name = session.get_one(Schedule, schedule_id).name
        entry = NewEntry(
            JournalKind.MOVED, origin.at, key_hash, newsletter=view.offer.look.slug, detail=name
        )
        journal.record(session, [entry])
    return True
