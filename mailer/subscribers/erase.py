"""Erases a person: deletes what names them, and keeps a keyed hash, so that no import brings them back.

Never deletes a row of the ledger or of the consent log: they stay without the person. Everything is found by
the hash of the address and by the subscriber's id; who changes an address must carry both over.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, literal, or_, select, update
from sqlalchemy.orm import Session

from mailer.db import AdvisoryLock, take_lock
from mailer.journal.record import NewEntry, record
from mailer.ledger.erasure import forget_notices, forget_replies
from mailer.models import (
    TOMBSTONE,
    BounceEvent,
    ConsentEvent,
    ConsentKind,
    JournalEntry,
    JournalKind,
    Notice,
    Signup,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.permission import consent
from mailer.permission.consent import NewConsentEvent, Origin
from mailer.permission.suppress import keep_away
from mailer.subscribers.address_change import REPLACED

LEFT_REASON: Final = "erased"


def erase(session: Session, key_hash: str, *, source: str, now: datetime) -> bool:
    """Erase the person with this hash of an address; doing it again changes nothing.

    Afterwards no import and no command brings the address back, even if nothing was held about it. The person
    can sign up again, and confirming lifts that.

    Args:
        source: the page's path without its token, or the command, for the consent log.

    Returns:
        Whether anything was held that is now gone.
    """
    # Before any row: nobody confirms, imports or asks for a link meanwhile.
    take_lock(session, AdvisoryLock.CHANGE_SUBSCRIBERS)
    take_lock(session, AdvisoryLock.COUNT_SIGNUPS)
    subscriber_id = session.scalar(
        select(Subscriber.id).where(Subscriber.key_hash == key_hash).with_for_update()
    )
    # Also those from before they changed their address: the consent log knows them.
    known = select(ConsentEvent.signup_public_id).where(ConsentEvent.key_hash == key_hash)
    is_theirs = or_(Signup.key_hash == key_hash, Signup.public_id.in_(known))
    if subscriber_id is not None:
        is_theirs = or_(is_theirs, Signup.subscriber_id == subscriber_id)
        _bury(session, subscriber_id, now)
        forget_replies(session, subscriber_id)
    signups = session.execute(select(Signup.id, Signup.public_id).where(is_theirs)).all()
    notices = or_(
        Notice.key_hash == key_hash,
        Notice.signup_id.in_([signup.id for signup in signups]),
        *([] if subscriber_id is None else [Notice.subscriber_id == subscriber_id]),
    )
    held = (
        subscriber_id is not None,
        forget_notices(session, notices, now=now) > 0,
        _delete_signups(session, [signup.id for signup in signups]),
        _forget_consent(session, key_hash, [signup.public_id for signup in signups]),
        _forget_bounces(session, key_hash),
        _forget_suppressions(session, key_hash, now),
    )
    if any(held):
        event = NewConsentEvent(ConsentKind.ERASED, None, key_hash, Origin(source, now))
        consent.record(session, [event])
        gone = [key_hash, *_earlier_addresses(session, key_hash)]
        record(session, [NewEntry(JournalKind.ERASED, now, each) for each in gone])
    return any(held)


def source_without_person(source: str) -> str:
    """Return what the source of a consent event may still say once the person is erased. Pure.

    The path of a page, or the command, stays. A file's name, a line in it, and what staff wrote do not: they
    may name the person.
    """
    if source.startswith("/"):
        return source
    what = source.partition(":")[0]
    return "import" if what.startswith("import ") else what


def _earlier_addresses(session: Session, key_hash: str) -> list[str]:
    """Return the hashes of the addresses that this person had before, without any that is a reader's now.

    A backup from before the change knows the person by one of them.
    """
    found: list[str] = []
    after = [key_hash]
    while after:
        before = session.scalars(
            select(JournalEntry.key_hash)
            .where(
                JournalEntry.kind == JournalKind.LEFT,
                JournalEntry.reason == REPLACED,
                JournalEntry.detail.in_(after),
                JournalEntry.key_hash.not_in(select(Subscriber.key_hash)),
                JournalEntry.key_hash.not_in([key_hash, *found]),
            )
            .distinct()
        )
        after = [each for each in before if each is not None]
        found += after
    return found


def _bury(session: Session, subscriber_id: int, now: datetime) -> None:
    """Make a tombstone of a subscriber, and end their subscriptions."""
    tombstone = f"{TOMBSTONE}{subscriber_id}"
    session.execute(
        update(Subscriber)
        .where(Subscriber.id == subscriber_id)
        .values(
            address="",
            address_key=tombstone,
            key_hash=tombstone,
            name=None,
            language=None,
            erased_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Subscription)
        .where(Subscription.subscriber_id == subscriber_id, Subscription.left_at.is_(None))
        .values(left_at=now, left_reason=LEFT_REASON)
        .execution_options(synchronize_session=False)
    )


def _delete_signups(session: Session, ids: Collection[int]) -> bool:
    session.execute(delete(Signup).where(Signup.id.in_(ids)))
    return bool(ids)


def _forget_consent(session: Session, key_hash: str, signups: Collection[int]) -> bool:
    """Keep of the consent log what happened, when, to which newsletter, and which sentence was shown."""
    theirs = or_(ConsentEvent.key_hash == key_hash, ConsentEvent.signup_public_id.in_(signups))
    had_person = or_(
        ConsentEvent.address.is_not(None),
        ConsentEvent.ip.is_not(None),
        ConsentEvent.user_agent.is_not(None),
    )
    held = session.scalar(select(func.count()).where(theirs, had_person)) or 0
    sources = session.scalars(select(ConsentEvent.source).where(theirs).distinct()).all()
    for source in sources:
        session.execute(
            update(ConsentEvent)
            .where(theirs, ConsentEvent.source == source)
            .values(address=None, ip=None, user_agent=None, source=source_without_person(source))
            .execution_options(synchronize_session=False)
        )
    return held > 0


def _forget_bounces(session: Session, key_hash: str) -> bool:
    said = or_(BounceEvent.domain.is_not(None), BounceEvent.diagnostic.is_not(None))
    rows = session.scalars(
        update(BounceEvent)
        .where(BounceEvent.key_hash == key_hash, said)
        .values(domain=None, diagnostic=None)
        .returning(BounceEvent.id)
        .execution_options(synchronize_session=False)
    ).all()
    return bool(rows)


def _forget_suppressions(session: Session, key_hash: str, now: datetime) -> bool:
    """Suppress the address for ever, by its hash alone.

    A decision of people that was made before stays the reason. A bounce does not: it may be taken back.
    """
    reason = SuppressionReason.ERASED
    mine = Suppression.key_hash == key_hash
    written = or_(Suppression.address.is_not(None), Suppression.detail.is_not(None))
    held = session.scalar(select(func.count()).where(mine, written)) or 0
    # First, because it waits for others that are writing one: the statements below see theirs then.
    keep_away(session, key_hash, now=now)
    session.execute(
        update(Suppression)
        .where(mine)
        .values(address=None, detail=None)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Suppression)
        .where(
            mine,
            Suppression.newsletter_id.is_(None),
            Suppression.reason == literal(SuppressionReason.BOUNCED, Suppression.reason.type),
        )
        .values(reason=reason, event_id=None, created_at=now)
        .execution_options(synchronize_session=False)
    )
    return held > 0
