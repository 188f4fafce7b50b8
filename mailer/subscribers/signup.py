"""Records a sign-up by form or command, and queues the one notice that it causes. Subscribes nobody.

Never lets the form tell who is a reader: every address gets the same answer and runs the same statements.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from mailer.address import Address, rate_key
from mailer.clock import format_instant, zone
from mailer.db import insert_if
from mailer.db.prepared_statements import Among, Prepared
from mailer.errors import Refused
from mailer.message.content import Content
from mailer.message.look import Look
from mailer.models import ConsentKind, NoticeKind, Signup, SignupChoice, Subscriber, Subscription
from mailer.newsletters.offer import (
    Offer,
    Option,
    Publisher,
    consent_sentence,
    lock_schedules,
    offer,
)
from mailer.notices.alert import Alerts, on_signups_held
from mailer.notices.notice import queue_notice, render_notice
from mailer.permission.consent import NewConsentEvent, Origin, record_if, wording_id
from mailer.rate import SignupLimits
from mailer.subscribers.new_subscribers import new_public_id
from mailer.subscribers.signup_limits import admit
from mailer.tokens import Keys

if TYPE_CHECKING:
    from mailer.templating.templates import Templates


_SUBSCRIBED: Final = Prepared(
    select(Subscription.newsletter_id, Subscription.schedule_id)
    .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
    .where(
        Subscriber.address_key == bindparam("address_key"),
        Among(Subscription.newsletter_id, "newsletter_ids"),
        Subscription.left_at.is_(None),
        Subscription.paused_at.is_(None),
    ),
    Subscription.newsletter_id.type,
    Subscription.schedule_id.type,
)


@dataclass(frozen=True)
class SignupContext:
    """What this installation brings to every sign-up: its keys, its templates and its limits.

    Args:
        base_url: the start of links.
        expiry: how long a confirmation link is valid.
    """

    base_url: str
    publisher: Publisher
    keys: Keys
    templates: "Templates"
    random: Callable[[int], bytes]
    alerts: Alerts
    limits: SignupLimits
    expiry: timedelta


@dataclass(frozen=True)
class ScheduleChoice:
    """A newsletter that somebody wants; no option means the current schedule, else the default."""

    offer: Offer
    option: Option | None = None

    @property
    def default(self) -> Option:
        """The newsletter's default schedule.

        Raises:
            ValueError: it has none, and so is not on offer.
        """
        if self.offer.default is None:
            raise ValueError("a newsletter without a schedule is not on offer")
        return self.offer.default


@dataclass(frozen=True)
class SignupRequest:
    """What somebody asks for. `name` is a `reader_name`; no mail repeats it before they confirm."""

    address: Address
    choices: Sequence[ScheduleChoice]
    name: str | None = None


@dataclass(frozen=True)
class SignupResult:
    """What a request caused. Only staff may learn it: for others every address looks the same."""

    kind: NoticeKind
    mailed: bool
    not_before: datetime


def sign_up(
    session: Session, request: SignupRequest, origin: Origin, context: SignupContext
) -> SignupResult:
    """Write a sign-up, and queue the mail that it causes.

    If the limits allow no mail, the same statements write nothing, because nobody could confirm it.

    Raises:
        TooManySignups: the client's network has reached its limit; nothing is written.
        Refused: the newsletter's last schedule has just been removed.
    """
    counted_as = rate_key(request.address)
    allowance = admit(session, origin, counted_as, context.limits)
    request = replace(request, choices=_current_choices(session, request.choices))
    subscribed = _subscribed(session, request)
    schedule_ids = {
        choice.offer.id: choice.option.id
        if choice.option
        else subscribed.get(choice.offer.id, choice.default.id)
        for choice in request.choices
    }
    is_confirmation = schedule_ids != subscribed
    kind = NoticeKind.CONFIRMATION if is_confirmation else NoticeKind.ALREADY
    # If they have it all, there is nothing to confirm: it is purged once it no longer counts.
    expires_at = allowance.not_before + (context.expiry if is_confirmation else timedelta())
    signup_id = _write(session, request, origin, context, schedule_ids, expires_at, allowance.mail)
    main = request.choices[0]
    contents = _contents(
        context.templates,
        context.random,
        main.offer.look,
        tuple(choice.offer.look.title for choice in request.choices),
        (allowance.not_before + context.expiry).astimezone(zone(main.default.zone)).date(),
        f"{context.base_url}/preferences",
    )
    queue_notice(
        session,
        kind=kind,
        address=request.address.typed,
        key_hash=context.keys.key_hash(request.address.key),
        content=contents[kind],
        now=origin.at,
        newsletter_id=main.offer.id,
        signup_id=signup_id,
        rate_key=counted_as,
        not_before=allowance.not_before,
        wanted=allowance.mail,
    )
    if allowance.first_held:
        total = context.limits.total
        reason = (
            f"signup_limits allows {total.count} mails in {total.span / timedelta(hours=1):g} h; "
            f"the first that waits goes out at {format_instant(allowance.not_before)}"
        )
        on_signups_held(session, context.alerts, main.offer.id, reason, origin.at)
    return SignupResult(kind, allowance.mail, allowance.not_before)


@lru_cache(maxsize=32)
def _contents(
    templates: "Templates",
    random: Callable[[int], bytes],
    look: Look,
    titles: tuple[str, ...],
    expires_on: date,
    preferences_url: str,
) -> Mapping[NoticeKind, Content]:
    """Render both mails that a sign-up may cause, and keep them: for a day they are the same for everybody.

    Both at once, so that the time that it takes tells nobody which of them is needed.
    """
    contexts: dict[NoticeKind, dict[str, object]] = {
        NoticeKind.CONFIRMATION: {"titles": titles, "expires_on": expires_on},
        NoticeKind.ALREADY: {"titles": titles, "preferences_url": preferences_url},
    }
    return {
        kind: render_notice(templates, kind, look, look.language, context, random)
        for kind, context in contexts.items()
    }


def _current_choices(
    session: Session, choices: Sequence[ScheduleChoice]
) -> Sequence[ScheduleChoice]:
    """Keep these schedules from being removed, and replace one that was removed since it was read.

    Raises:
        Refused: the newsletter's last schedule has just been removed.
    """
    existing = lock_schedules(session, [choice.offer.id for choice in choices])

    def current(choice: ScheduleChoice) -> ScheduleChoice:
        if {option.id for option in choice.offer.options} <= existing:
            return choice
        slug = choice.offer.look.slug
        changed = replace(choice.offer, options=offer(session, Publisher(), slug).options)
        if changed.default is None:
            raise Refused(
                f"the newsletter {slug} no longer has a schedule; nobody can subscribe to it"
            )
        is_there = choice.option is not None and choice.option.id in existing
        return ScheduleChoice(changed, choice.option if is_there else None)

    return [current(choice) for choice in choices]


def _subscribed(session: Session, request: SignupRequest) -> dict[int, int]:
    """Return the schedule that the address already has of each newsletter it asks for, by their ids."""
    newsletter_ids = [choice.offer.id for choice in request.choices]
    values = {"address_key": request.address.key, "newsletter_ids": newsletter_ids}
    return dict(_SUBSCRIBED.execute(session, values))


def _write(
    session: Session,
    request: SignupRequest,
    origin: Origin,
    context: SignupContext,
    schedule_ids: Mapping[int, int],
    expires_at: datetime,
    wanted: bool,
) -> int | None:
    """Write the sign-up and its consent events, if they are `wanted`; return the sign-up's id."""
    public_id = new_public_id(context.random)
    key_hash = context.keys.key_hash(request.address.key)
    signup = {
        "source": origin.source,
        "ip": origin.ip,
        "user_agent": origin.user_agent,
        "created_at": origin.at,
        "public_id": public_id,
        "address": request.address.typed,
        "address_key": request.address.key,
        "key_hash": key_hash,
        "name": request.name,
        "language": request.choices[0].offer.look.language,
        "expires_at": expires_at,
    }
    signup_id = insert_if(session, Signup, signup, wanted=wanted)
    events = []
    for choice in request.choices:
        look = choice.offer.look
        sentence = consent_sentence(context.templates.gettext(look.language), look)
        columns = {
            "newsletter_id": choice.offer.id,
            "schedule_id": schedule_ids[choice.offer.id],
            "wording_id": wording_id(session, look.language, sentence),
        }
        insert_if(session, SignupChoice, {"signup_id": signup_id, **columns}, wanted=wanted)
        events.append(
            NewConsentEvent(
                kind=ConsentKind.REQUESTED,
                address=request.address.typed,
                key_hash=key_hash,
                origin=origin,
                signup_public_id=public_id,
                publisher=look.publisher,
                privacy_url=look.privacy_url,
                **columns,
            )
        )
    record_if(session, events, wanted=wanted)
    return signup_id
