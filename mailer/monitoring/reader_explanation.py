"""Says what one reader would get from a planned digest, or why nothing, in words.

Only reads: asks the plan, and for an unknown address the sign-ups and suppressions.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.address import Address
from mailer.digests.schedules import slot_lookup
from mailer.digests.selection import plan as planning
from mailer.digests.selection.choose import Cohort
from mailer.digests.selection.plan import Plan
from mailer.errors import NotFound
from mailer.models import Schedule, Subscriber, Subscription
from mailer.monitoring.digest_reference import DigestTarget
from mailer.permission.suppress import list_suppressions
from mailer.subscribers import readers
from mailer.text.english import command, moment
from mailer.tokens import Keys

AWAITS_CONFIRMATION: Final = "awaits_confirmation"

_WORDS: Final = {
    "left": "has unsubscribed; only the reader can undo that",
    "erased": "was erased",
    "paused": "has paused; they get mail again when they end the pause on their preferences page",
    "suppressed": "is suppressed and gets no mail; `mailer suppression list` says why",
    planning.NOTHING_NEW: "has been sent everything that arrived since they subscribed",
}


@dataclass(frozen=True)
class ReaderExplanation:
    """One reader in a plan.

    Attributes:
        cohort: what they would get, or None.
        reason: why they get nothing, as the plan counts it, or that they have not confirmed.
        schedule: the one that they are on, as SLUG/NAME; None if they have not confirmed.
        words: the reason in words, with the next step; None if they get something.
    """

    cohort: Cohort | None
    reason: str | None
    schedule: str | None
    words: str | None


def explain_reader(
    session: Session,
    keys: Keys,
    target: DigestTarget,
    plan: Plan,
    address: Address,
    *,
    now: datetime,
) -> ReaderExplanation:
    """Find out what the plan holds for this address.

    Raises:
        NotFound: no subscriber has it; the message says whether it is suppressed.
    """
    try:
        reader = planning.for_reader(session, target.schedule, plan, address.key)
    except NotFound as error:
        return _unconfirmed(session, keys, target, address, now, error)
    schedule = session.scalars(
        select(Schedule)
        .join(Subscription, Subscription.schedule_id == Schedule.id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscriber.address_key == address.key,
            Subscription.newsletter_id == target.newsletter.id,
        )
    ).one()
    reference = f"{target.newsletter.slug}/{schedule.name}"
    words = None
    if reader.reason == planning.TOO_FEW:
        words = (
            f"has fewer than {target.schedule.min_articles} new articles; they wait for more "
            f"(`mailer schedule edit {target.reference} --min-articles`)"
        )
    elif reader.reason is not None:
        words = _WORDS.get(reader.reason) or _on_other_schedule(
            session, schedule, reference, address, now
        )
    return ReaderExplanation(reader.cohort, reader.reason, reference, words)


def _on_other_schedule(
    session: Session, schedule: Schedule, reference: str, address: Address, now: datetime
) -> str:
    slot = slot_lookup.coming_slot(session, schedule, now=now)
    following = "paused" if schedule.paused_at is not None else "with no more slots"
    if slot is not None:
        following = f"next {moment(slot.local, schedule.zone)}"
    return (
        f"is on another schedule, {reference}, {following}; "
        f"`{command('digest', 'plan', reference, '--as', address.typed)}` shows what they get from it"
    )


def _unconfirmed(
    session: Session,
    keys: Keys,
    target: DigestTarget,
    address: Address,
    now: datetime,
    error: NotFound,
) -> ReaderExplanation:
    """Describe an address that does not subscribe to the newsletter, but may have asked for it.

    Raises:
        NotFound: it has not.
    """
    key_hash = keys.key_hash(address.key)
    slug = target.newsletter.slug
    signups = [
        signup
        for signup in readers.open_signups(session, key_hash, now=now)
        if signup.newsletter == slug
    ]
    if signups:
        words = (
            f"has not confirmed yet: signed up on {signups[-1].asked_at:%Y-%m-%d %H:%M} UTC, and gets "
            "nothing until they press the button in the confirmation mail; "
            f"`{command('subscriber', 'add', address.typed, '--newsletter', slug)}` sends it once more"
        )
        return ReaderExplanation(None, AWAITS_CONFIRMATION, None, words)
    if list_suppressions(session, key_hash):
        raise NotFound(
            f"{address.typed} does not subscribe to {slug}, and is suppressed; "
            f"`{command('subscriber', 'show', address.typed)}` shows more"
        ) from error
    raise NotFound(
        f"{address.typed} does not subscribe to {slug}; check how it is written, or see "
        f"`mailer subscriber list --newsletter {slug}`"
    ) from error
