"""Reads readers for staff: who they are, what they got, and what they did not get and why.

Never writes, and never decides whether somebody may be mailed: `mailer.permission.rule` does.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import String, case, exists, func, literal, not_, or_, select, type_coerce
from sqlalchemy.orm import Session

from mailer.models import (
    HAD,
    PENDING,
    ConsentEvent,
    ConsentKind,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Newsletter,
    Notice,
    NoticeKind,
    Schedule,
    Signup,
    SignupChoice,
    Subscriber,
    Subscription,
    Wording,
)
from mailer.permission.rule import why_not

_AT_ONCE: Final = 1000
_WITH_LINK: Final = (NoticeKind.CONFIRMATION, NoticeKind.ADDRESS_CHANGE)
_PURGED: Final = "older than the retention: who got it is not known any more"
_GOT: Final = frozenset({"pending", *(status.value for status in HAD)})


@dataclass(frozen=True)
class Reader:
    """A subscription. `state` is "active", or why the reader gets no digest."""

    address: str
    name: str | None
    newsletter: str
    schedule: str
    state: str
    confirmed_at: datetime
    left_at: datetime | None
    left_reason: str | None


@dataclass(frozen=True)
class ReaderMail:
    """A digest as one reader got it or not; `delivery` is None if there was none for them."""

    digest: int
    delivery: int | None
    newsletter: str
    schedule: str
    slot: str
    subject: str | None
    status: str
    at: datetime | None
    why: str | None


@dataclass(frozen=True)
class OpenSignup:
    """A sign-up that waits for confirmation."""

    newsletter: str
    asked_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class ConsentEventView:
    """A consent event with the sentence that was shown.

    Attributes:
        signup: the number in the link that was mailed, if a sign-up led to it.
        zone: of its schedule.
    """

    at: datetime
    kind: ConsentKind
    address: str | None
    newsletter: str | None
    schedule: str | None
    source: str
    wording: str | None
    language: str | None
    publisher: str | None
    privacy_url: str | None
    ip: str | None
    user_agent: str | None
    signup: int | None = None
    zone: str | None = None


def list_readers(session: Session, newsletter_id: int | None = None) -> Iterator[Reader]:
    """Yield all subscriptions, or those to one newsletter, in the order in which they began.

    Without those of people who were erased: nobody can tell any more who they were.
    """
    statement = _READERS.where(Subscriber.erased_at.is_(None)).order_by(Subscription.id)
    if newsletter_id is not None:
        statement = statement.where(Subscription.newsletter_id == newsletter_id)
    for row in session.execute(statement.execution_options(yield_per=_AT_ONCE)):
        yield Reader(*row)


def subscriptions_of(session: Session, key_hash: str) -> list[Reader]:
    """Return one person's subscriptions, also those that they left."""
    statement = _READERS.where(Subscriber.key_hash == key_hash).order_by(Newsletter.slug)
    return [Reader(*row) for row in session.execute(statement)]


def open_signups(session: Session, key_hash: str, *, now: datetime) -> list[OpenSignup]:
    """Return the newsletters that one person signed up for and can still confirm.

    The notice that brought the link may be purged by now.
    """
    # Such a notice brings no link: it is of another kind, or is never sent.
    has_no_link = exists().where(
        Notice.signup_id == Signup.id,
        or_(Notice.kind.not_in(_WITH_LINK), Notice.status == DeliveryStatus.SKIPPED),
    )
    rows = session.execute(
        select(Newsletter.slug, Signup.created_at, Signup.expires_at)
        .join(SignupChoice, SignupChoice.signup_id == Signup.id)
        .join(Newsletter, Newsletter.id == SignupChoice.newsletter_id)
        .where(
            Signup.key_hash == key_hash,
            Signup.confirmed_at.is_(None),
            Signup.dropped_at.is_(None),
            Signup.expires_at > now,
            ~has_no_link,
        )
        .order_by(Signup.id, Newsletter.slug)
    )
    return [OpenSignup(*row) for row in rows]


def mails_of(session: Session, key_hash: str) -> tuple[list[ReaderMail], list[ReaderMail]]:
    """Return the digests that one person got or will get, and those that they missed since they came."""
    rows = session.execute(
        select(
            Digest.id,
            Delivery.id,
            Newsletter.slug,
            Schedule.name,
            Digest.slot,
            Digest.subject,
            case(
                (Delivery.status.in_(PENDING), literal("pending")),
                (Delivery.id.is_(None), literal("none")),
                else_=type_coerce(Delivery.status, String),
            ),
            func.coalesce(Delivery.outcome_at, Digest.finished_at),
            case(
                (Delivery.id.is_not(None), Delivery.reply),
                (Digest.status == DigestStatus.SKIPPED, Digest.reason),
                (Digest.purged_at.is_not(None), literal(_PURGED)),
                else_=literal("nothing in it was new for them"),
            ),
        )
        .select_from(Subscription)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .join(Newsletter, Newsletter.id == Subscription.newsletter_id)
        .join(Schedule, Schedule.newsletter_id == Newsletter.id)
        .join(Digest, Digest.schedule_id == Schedule.id)
        .outerjoin(
            Delivery, (Delivery.digest_id == Digest.id) & (Delivery.subscriber_id == Subscriber.id)
        )
        .where(
            Subscriber.key_hash == key_hash,
            # A digest that they did not get counts if it was for their schedule, but not before they
            # came, after they left, or while it is not built.
            Delivery.id.is_not(None)
            | (
                (Digest.schedule_id == Subscription.schedule_id)
                & (Digest.created_at >= Subscription.confirmed_at)
                & (func.coalesce(Subscription.left_at, Digest.created_at) >= Digest.created_at)
                & not_(Digest.status.in_([DigestStatus.SCHEDULED, DigestStatus.BUILDING]))
            ),
        )
        .order_by(Digest.due_at, Digest.id)
    )
    got: list[ReaderMail] = []
    missed: list[ReaderMail] = []
    for row in rows:
        mail = ReaderMail(*row)
        (got if mail.status in _GOT else missed).append(mail)
    return got, missed


def consent_of(session: Session, key_hash: str) -> list[ConsentEventView]:
    """Return the consent log of one person, in its order."""
    rows: Iterable[Sequence[Any]] = session.execute(
        select(
            ConsentEvent.at,
            ConsentEvent.kind,
            ConsentEvent.address,
            Newsletter.slug,
            Schedule.name,
            ConsentEvent.source,
            Wording.text,
            Wording.language,
            ConsentEvent.publisher,
            ConsentEvent.privacy_url,
            ConsentEvent.ip,
            ConsentEvent.user_agent,
            ConsentEvent.signup_public_id,
            Schedule.zone,
        )
        .outerjoin(Newsletter, Newsletter.id == ConsentEvent.newsletter_id)
        .outerjoin(Schedule, Schedule.id == ConsentEvent.schedule_id)
        .outerjoin(Wording, Wording.id == ConsentEvent.wording_id)
        .where(ConsentEvent.key_hash == key_hash)
        .order_by(ConsentEvent.id)
    )
    return [ConsentEventView(*row) for row in rows]


_READERS: Final = (
    select(
        Subscriber.address,
        Subscriber.name,
        Newsletter.slug,
        Schedule.name,
        type_coerce(func.coalesce(why_not(), literal("active")), String),
        Subscription.confirmed_at,
        Subscription.left_at,
        Subscription.left_reason,
    )
    .join(Subscription, Subscription.subscriber_id == Subscriber.id)
    .join(Newsletter, Newsletter.id == Subscription.newsletter_id)
    .join(Schedule, Schedule.id == Subscription.schedule_id)
)
