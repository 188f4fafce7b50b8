"""What a reader who holds a link may see and change: one subscription, or all of them.

A link to leave, which a forwarded digest gives away, shows no address and reaches one newsletter only. All
newsletters are reached by a link that was mailed to the reader within the hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from mailer.address import Address, rate_key
from mailer.models import ConsentKind, NoticeKind, Schedule, Subscriber, Subscription
from mailer.newsletters.offer import Offer, Option, Publisher, hold_schedules, offers
from mailer.notices.notice import queue_notice, render_notice
from mailer.permission.consent import Event, record
from mailer.permission.leave import leave
from mailer.rate import SignupLimits
from mailer.subscribers.client import Client
from mailer.subscribers.confirmation import newest_article
from mailer.subscribers.limits import admit, network_of
from mailer.subscribers.signup import MailContext

_NOBODY: Final = "nobody subscribes with this address"
"""Why a notice is never to be sent: it is kept for a while, so that every address leaves the same rows."""


@dataclass(frozen=True)
class Place:
    """A reader's place in one newsletter, as the pages show it; names no address.

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
    def paused(self) -> bool:
        """Whether the reader wants no digests for now."""
        return self.subscription.paused_at is not None

    @property
    def others(self) -> tuple[Option, ...]:
        """What the reader may change to."""
        return tuple(option for option in self.offer.options if option.name != self.schedule)


def place(session: Session, publisher: Publisher, public_id: int) -> Place | None:
    """The subscription with this public id, or None where there is none."""
    found = _places(session, publisher, Subscription.public_id == public_id)
    return found[0] if found else None


def places(session: Session, publisher: Publisher, public_id: int) -> list[Place]:
    """The newsletters that the subscriber with this public id has not left, by title."""
    found = _places(session, publisher, Subscriber.public_id == public_id)
    return [place for place in found if not place.left]


def change(
    session: Session, place: Place, option: Option, client: Client, *, now: datetime
) -> Place:
    """Let the reader get the newsletter by another of its schedules; one who has left stays away.

    So does the reader's schedule where the other one has just been removed.
    """
    if place.left or option.name == place.schedule:
        return place
    if option.id not in hold_schedules(session, [place.offer.id]):
        return place
    if _update(session, place, schedule_id=option.id) is None:
        return place
    _record_change(session, place, option.id, client, client.source, now)
    return replace(place, schedule=option.name)


def pause(session: Session, place: Place, client: Client, *, now: datetime) -> None:
    """Let the reader get nothing of this newsletter until they resume, nor what is queued for them.

    One who has left, or paused before, stays as they are.
    """
    schedule_id = _update(session, place, Subscription.paused_at.is_(None), paused_at=now)
    if schedule_id is not None:
        _record_change(session, place, schedule_id, client, f"{client.source}: pause", now)


def resume(session: Session, place: Place, client: Client, *, now: datetime) -> None:
    """Let the reader get this newsletter again, and nothing that came in before this moment.

    One who has left, or had not paused, stays as they are.
    """
    schedule_id = _update(
        session,
        place,
        Subscription.paused_at.is_not(None),
        paused_at=None,
        start_article=newest_article(session),
    )
    if schedule_id is not None:
        _record_change(session, place, schedule_id, client, f"{client.source}: resume", now)


def leave_places(
    session: Session, places: Sequence[Place], client: Client, *, now: datetime
) -> None:
    """Take the reader off these newsletters; where they have left before, nothing changes."""
    for place in places:
        leave(
            session,
            place.subscription,
            reason="reader",
            source=client.source,
            now=now,
            ip=client.ip,
            user_agent=client.user_agent,
        )


def request_link(
    session: Session,
    address: Address,
    client: Client,
    desk: MailContext,
    limits: SignupLimits,
    publisher: Publisher,
    *,
    now: datetime,
) -> None:
    """Queue a mail with a link to the preferences, where the address subscribes to something.

    The mail goes to the address that confirmed: what was typed may differ from it in letters that mail
    servers tell apart, and then somebody else may read it. For any other address the same statements
    run, and leave a notice that is never sent; a repeat leaves none for either. No such mail waits for
    the limit on all sign-ups together: only a reader gets one.

    Raises:
        TooManySignups: the client's network has reached its limit; nothing is written.
    """
    subscription = session.execute(
        select(Subscription.newsletter_id, Subscription.subscriber_id, Subscriber.address)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscriber.address_key == address.key, Subscription.left_at.is_(None))
        .order_by(Subscription.newsletter_id)
        .limit(1)
    ).one_or_none()
    # Counted apart from sign-ups: who confirmed a minute ago may want to change the schedule now. And
    # apart from what is never sent: who asked too early gets a link once they subscribe.
    counted = "preferences" if subscription else "no preferences"
    folded = f"{counted} {rate_key(address)}"
    allowed = admit(session, rate_key=folded, client=network_of(client.ip), limits=limits, now=now)
    known = offers(session, publisher)
    if not known:
        return
    newsletter_id = subscription.newsletter_id if subscription else known[0].id
    look = next(one.look for one in known if one.id == newsletter_id)
    queue_notice(
        session,
        kind=NoticeKind.PREFERENCES,
        address=subscription.address if subscription else address.typed,
        key_hash=desk.keys.key_hash(address.key),
        content=render_notice(
            desk.templates, NoticeKind.PREFERENCES, look, look.language, {}, desk.random
        ),
        now=now,
        newsletter_id=newsletter_id,
        subscriber_id=subscription.subscriber_id if subscription else None,
        rate_key=folded,
        skip=None if subscription else _NOBODY,
        wanted=allowed.mail,
    )


def _places(session: Session, publisher: Publisher, which: ColumnElement[bool]) -> list[Place]:
    by_id = {offer.id: offer for offer in offers(session, publisher)}
    rows = session.execute(
        select(Subscription, Schedule.name)
        .join(Schedule, Schedule.id == Subscription.schedule_id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(which)
    )
    found = [Place(row, by_id[row.newsletter_id], name) for row, name in rows]
    return sorted(found, key=lambda place: (place.offer.look.title, place.offer.id))


def _update(
    session: Session, place: Place, *where: ColumnElement[bool], **values: object
) -> int | None:
    """Change the reader's row if they have not left; their schedule, or None where nothing changed."""
    return session.scalar(
        update(Subscription)
        .where(Subscription.id == place.subscription.id, Subscription.left_at.is_(None), *where)
        .values(values)
        .returning(Subscription.schedule_id)
    )


def _record_change(
    session: Session,
    place: Place,
    schedule_id: int,
    client: Client,
    source: str,
    now: datetime,
) -> None:
    subscriber = _subscriber(session, place.subscription)
    event = Event(
        kind=ConsentKind.CHANGED,
        address=subscriber.address,
        key_hash=subscriber.key_hash,
        source=source,
        newsletter_id=place.subscription.newsletter_id,
        schedule_id=schedule_id,
        ip=client.ip,
        user_agent=client.user_agent,
    )
    record(session, [event], now=now)


def _subscriber(session: Session, subscription: Subscription) -> Subscriber:
    return session.scalars(
        select(Subscriber).where(Subscriber.id == subscription.subscriber_id)
    ).one()
