"""What `plan` and `preview` tell of one reader: what they would get, or why nothing, in words.

Decides nothing: asks the plan, and where it does not know the address, the sign-ups and suppressions.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.cli.digest.target import Target
from mailer.digests.schedules import slot_lookup
from mailer.digests.selection import plan as planning
from mailer.digests.selection.choose import Cohort
from mailer.digests.selection.plan import Plan
from mailer.errors import NotFound
from mailer.models import Schedule, Subscriber, Subscription
from mailer.permission.suppress import list_suppressions
from mailer.subscribers import readers
from mailer.text.english import command, moment

if TYPE_CHECKING:
    from mailer.app import App

AWAITS_CONFIRMATION: Final = "awaits_confirmation"

_WORDS: Final = {
    "left": "has left the newsletter; only they can come back",
    "erased": "was erased",
    "paused": "has paused; mail comes again when they end that on their preferences page",
    "suppressed": "is suppressed and gets no mail; `mailer suppression list` says why",
    planning.NOTHING_NEW: "has had all that there is, or it came in before they did",
}


@dataclass(frozen=True)
class OneReader:
    """One reader in a plan.

    Attributes:
        cohort: what they would get, or None.
        reason: why nothing, as the plan counts it, or that they have not confirmed.
        schedule: the one that they are on, as SLUG/NAME; None where they have not confirmed.
        told: the reason in words, with the next step; None where they get something.
    """

    cohort: Cohort | None
    reason: str | None
    schedule: str | None
    told: str | None


def one_reader(
    app: "App", session: Session, about: Target, found: Plan, address: Address, *, now: datetime
) -> OneReader:
    """What the plan holds for this address.

    Raises:
        NotFound: nobody has it here; the message says where it is suppressed.
    """
    try:
        outcome = planning.for_reader(session, about.schedule, found, address.key)
    except NotFound as error:
        return _no_reader(app, session, about, address, now, error)
    schedule = session.scalars(
        select(Schedule)
        .join(Subscription, Subscription.schedule_id == Schedule.id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscriber.address_key == address.key,
            Subscription.newsletter_id == about.newsletter.id,
        )
    ).one()
    reference = f"{about.newsletter.slug}/{schedule.name}"
    told = None
    if outcome.reason is not None:
        told = _WORDS.get(outcome.reason) or _of_schedule(
            session, outcome.reason, about, schedule, reference, address, now
        )
    return OneReader(outcome.cohort, outcome.reason, reference, told)


def _of_schedule(
    session: Session,
    reason: str,
    about: Target,
    schedule: Schedule,
    reference: str,
    address: Address,
    now: datetime,
) -> str:
    if reason == planning.TOO_FEW:
        return (
            f"fewer than {about.schedule.min_articles} articles are due to them; they wait for more "
            f"(`mailer schedule edit {about.reference} --min-articles`)"
        )
    coming = slot_lookup.coming_slot(session, schedule, now=now)
    following = "paused" if schedule.paused_at is not None else "with no slot to come"
    if coming is not None:
        following = f"next {moment(coming.local, schedule.zone)}"
    return (
        f"is on another schedule, {reference}, {following}; "
        f"`{command('digest', 'plan', reference, '--as', address.typed)}` tells what that brings them"
    )


def _no_reader(
    app: "App", session: Session, about: Target, address: Address, now: datetime, error: NotFound
) -> OneReader:
    """Of an address that has no place in the newsletter: it may have asked for one."""
    key_hash = app.keys.key_hash(address.key)
    slug = about.newsletter.slug
    asked = [
        one for one in readers.open_signups(session, key_hash, now=now) if one.newsletter == slug
    ]
    if asked:
        told = (
            f"has not confirmed yet: asked for it on {asked[-1].asked_at:%Y-%m-%d %H:%M} UTC, and gets "
            "nothing until they press the button of the mail; "
            f"`{command('subscriber', 'add', address.typed, '--newsletter', slug)}` sends it once more"
        )
        return OneReader(None, AWAITS_CONFIRMATION, None, told)
    if list_suppressions(session, key_hash):
        raise NotFound(
            f"{address.typed} does not subscribe to {slug}, and is suppressed; "
            f"`{command('subscriber', 'show', address.typed)}` tells more"
        ) from error
    raise NotFound(
        f"{address.typed} does not subscribe to {slug}; check how it is written, or see "
        f"`mailer subscriber list --newsletter {slug}`"
    ) from error
