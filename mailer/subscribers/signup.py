"""Sign-ups: a request by form or command becomes a row and one notice, and nobody is subscribed yet.

Every address gets the same answer, and the same statements run for it, whatever we know about it: nobody can
ask the form who reads the paper. Confirming is done next door.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.address import Address, rate_key
from mailer.clock import format_instant, zone
from mailer.db import insert_if
from mailer.errors import Refused
from mailer.models import (
    ConsentKind,
    NoticeKind,
    Signup,
    SignupChoice,
    Subscriber,
    Subscription,
)
from mailer.newsletters.offer import (
    Offer,
    Option,
    Publisher,
    consent_sentence,
    hold_schedules,
    offer,
)
from mailer.notices.alert import Alerts, on_signups_held
from mailer.notices.notice import queue_notice, render_notice
from mailer.permission.consent import Event, record_if, wording
from mailer.rate import SignupLimits
from mailer.subscribers.client import Client
from mailer.subscribers.limits import admit, network_of
from mailer.tokens import Keys

if TYPE_CHECKING:
    from mailer.templating.templates import Templates


@dataclass(frozen=True)
class ScheduleChoice:
    """A newsletter that somebody asks for; without an option it is whichever they have, or the default."""

    offer: Offer
    option: Option | None = None


@dataclass(frozen=True)
class SignupRequest:
    """What somebody asks for. `name` is a `reader_name`; no mail repeats it before they confirm."""

    address: Address
    choices: Sequence[ScheduleChoice]
    name: str | None = None


@dataclass(frozen=True)
class SignupPolicy:
    """Under which terms people sign up here."""

    limits: SignupLimits
    expiry: timedelta


@dataclass(frozen=True)
class MailContext:
    """What it takes to write to somebody, and to staff. Links in mails start with `base_url`."""

    base_url: str
    keys: Keys
    templates: "Templates"
    random: Callable[[int], bytes]
    alerts: Alerts


@dataclass(frozen=True)
class Requested:
    """What became of a wish. Only staff may be told: for others every address looks the same."""

    kind: NoticeKind
    mailed: bool
    not_before: datetime


def request(
    session: Session,
    wish: SignupRequest,
    client: Client,
    desk: MailContext,
    terms: SignupPolicy,
    *,
    now: datetime,
) -> Requested:
    """Write down a sign-up and queue the mail that it causes.

    Where the limits let no mail go, the same statements write nothing: nobody could confirm it.

    Raises:
        TooManySignups: the client's network has reached its limit; nothing is written.
        Refused: the newsletter's last schedule has just been removed.
    """
    limits, folded = terms.limits, rate_key(wish.address)
    allowed = admit(session, rate_key=folded, client=network_of(client.ip), limits=limits, now=now)
    there = hold_schedules(session, [choice.offer.id for choice in wish.choices])
    wish = replace(wish, choices=[_standing(session, choice, there) for choice in wish.choices])
    has = _current(session, wish)
    kind = NoticeKind.ALREADY if _has_all(has, wish.choices) else NoticeKind.CONFIRMATION
    # There is nothing to confirm where they have it all: then it is purged as soon as it counts no more.
    lives = terms.expiry if kind is NoticeKind.CONFIRMATION else timedelta()
    expires_at = allowed.not_before + lives
    signup_id = _write(session, wish, client, desk, has, expires_at, wanted=allowed.mail, now=now)
    first = wish.choices[0].offer
    tells: dict[str, object] = {
        "titles": [choice.offer.look.title for choice in wish.choices],
        "expires_on": expires_at.astimezone(zone(_default(first).zone)).date(),
        "preferences_url": f"{desk.base_url}/preferences",
    }
    content = render_notice(
        desk.templates, kind, first.look, first.look.language, tells, desk.random
    )
    queue_notice(
        session,
        kind=kind,
        address=wish.address.typed,
        key_hash=desk.keys.key_hash(wish.address.key),
        content=content,
        now=now,
        newsletter_id=first.id,
        signup_id=signup_id,
        rate_key=folded,
        not_before=allowed.not_before,
        wanted=allowed.mail,
    )
    if allowed.first_held:
        hours = limits.total.span / timedelta(hours=1)
        reason = f"signup_limits lets {limits.total.count} mails go in {hours:g} h altogether"
        reason += f"; the first that waits goes out at {format_instant(allowed.not_before)}"
        on_signups_held(session, desk.alerts, first.id, reason, now)
    return Requested(kind, allowed.mail, allowed.not_before)


def _current(session: Session, wish: SignupRequest) -> dict[int, int]:
    """What the address gets at present of what was asked for: newsletter to schedule."""
    rows = session.execute(
        select(Subscription.newsletter_id, Subscription.schedule_id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscriber.address_key == wish.address.key,
            Subscription.newsletter_id.in_([choice.offer.id for choice in wish.choices]),
            Subscription.left_at.is_(None),
            Subscription.paused_at.is_(None),
        )
    )
    return {row.newsletter_id: row.schedule_id for row in rows}


def _has_all(has: Mapping[int, int], choices: Sequence[ScheduleChoice]) -> bool:
    return all(
        choice.offer.id in has
        and (choice.option is None or has[choice.offer.id] == choice.option.id)
        for choice in choices
    )


def _schedule_id(choice: ScheduleChoice, has: Mapping[int, int]) -> int:
    if choice.option is not None:
        return choice.option.id
    return has.get(choice.offer.id, _default(choice.offer).id)


def _standing(session: Session, choice: ScheduleChoice, there: frozenset[int]) -> ScheduleChoice:
    """The same choice, where none of its schedules was removed since it was read; else the default."""
    if {option.id for option in choice.offer.options} <= there:
        return choice
    slug = choice.offer.look.slug
    now_on_offer = offer(session, Publisher(), slug)
    if now_on_offer.default is None:
        raise Refused(f"the newsletter {slug} has no schedule any more; nobody can subscribe to it")
    kept = choice.option is not None and choice.option.id in there
    return ScheduleChoice(
        replace(choice.offer, options=now_on_offer.options), choice.option if kept else None
    )


def _default(offer: Offer) -> Option:
    if offer.default is None:
        raise ValueError("a newsletter without a schedule is not on offer")
    return offer.default


def _write(
    session: Session,
    wish: SignupRequest,
    client: Client,
    desk: MailContext,
    has: Mapping[int, int],
    expires_at: datetime,
    *,
    wanted: bool,
    now: datetime,
) -> int | None:
    key_hash = desk.keys.key_hash(wish.address.key)
    public_id = new_public_id(desk.random)
    signup_id = insert_if(
        session,
        Signup,
        {
            "public_id": public_id,
            "address": wish.address.typed,
            "address_key": wish.address.key,
            "key_hash": key_hash,
            "name": wish.name,
            "language": wish.choices[0].offer.look.language,
            "ip": client.ip,
            "user_agent": client.user_agent,
            "source": client.source,
            "created_at": now,
            "expires_at": expires_at,
        },
        wanted=wanted,
    )
    events = []
    for choice in wish.choices:
        look = choice.offer.look
        sentence = consent_sentence(desk.templates.gettext(look.language), look)
        chosen = {
            "newsletter_id": choice.offer.id,
            "schedule_id": _schedule_id(choice, has),
            "wording_id": wording(session, look.language, sentence),
        }
        insert_if(session, SignupChoice, {"signup_id": signup_id, **chosen}, wanted=wanted)
        events.append(
            Event(
                kind=ConsentKind.REQUESTED,
                address=wish.address.typed,
                key_hash=key_hash,
                source=client.source,
                signup_public_id=public_id,
                publisher=look.publisher,
                privacy_url=look.privacy_url,
                ip=client.ip,
                user_agent=client.user_agent,
                **chosen,
            )
        )
    record_if(session, events, wanted=wanted, now=now)
    return signup_id


def new_public_id(random: Callable[[int], bytes]) -> int:
    """A random 63-bit number for a row that links will name."""
    return int.from_bytes(random(8)) >> 1
