"""Does what follows from reports about mails: suppresses, unsubscribes, writes the consent log.

Never decides by itself whether a bounce counts: `mailer.bounces.policy` does. Never pauses a digest.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, select, update
from sqlalchemy.orm import Session

from mailer.bounces import policy
from mailer.bounces.digest_counts import mails_at_most
from mailer.bounces.events import RELAY, Reported
from mailer.models import (
    BounceEvent,
    ConsentKind,
    Delivery,
    DeliveryStatus,
    Digest,
    EvidenceKind,
    Subscriber,
    Subscription,
    SuppressionReason,
)
from mailer.permission import consent
from mailer.permission.consent import NewConsentEvent, Origin
from mailer.permission.leave import leave
from mailer.permission.suppress import suppress_reported, take_back


class _SoftBounce(NamedTuple):
    subscriber_id: int
    event_id: int
    digest_id: int
    mailed_at: datetime


def follow(
    session: Session, reports: Sequence[Reported], new: Mapping[int, Reported], *, now: datetime
) -> None:
    """Do what follows from these reports.

    Args:
        reports: all of them, because a reader who has come back since may ask again to unsubscribe.
        new: those that were not recorded before, by the id of their `BounceEvent`.
    """
    _unsubscribe(session, reports, now)
    # What goes to staff must not stop because it came back: they would not learn of anything any more.
    to_readers = {row_id: report for row_id, report in new.items() if report.mail.to_reader}
    hard = _of_kind(to_readers, EvidenceKind.HARD)
    by_digest: dict[int, list[int]] = defaultdict(list)
    for row_id, report in hard.items():
        if report.mail.digest_id is not None:
            by_digest[report.mail.digest_id].append(row_id)
    if by_digest:
        # All digests before any suppression, so that two processes never wait for each other's rows.
        which = Digest.id.in_(by_digest)
        session.execute(select(Digest.id).where(which).order_by(Digest.id).with_for_update())
    _complaints(session, _of_kind(to_readers, EvidenceKind.COMPLAINT), now)
    of_notices = [row_id for row_id, report in hard.items() if report.mail.digest_id is None]
    if of_notices:
        which = BounceEvent.id.in_(of_notices)
        suppress_reported(session, which, SuppressionReason.BOUNCED, now=now)
    for digest_id in sorted(by_digest):
        judge_hard_bounces(session, digest_id, by_digest[digest_id], now=now)
    soft = _of_kind(to_readers, EvidenceKind.SOFT).values()
    judge_soft_bounces(
        session,
        {report.mail.key_hash for report in soft if report.reason in policy.SOFT_REASONS},
        now=now,
    )


def judge_hard_bounces(
    session: Session, digest_id: int, new: Collection[int] | None = None, *, now: datetime
) -> None:
    """Suppress the readers of whom a digest came back for good; nobody, if that is too much of it.

    Args:
        new: the events to judge, by their ids, if those before them have been; None: all of the digest.
    """
    # One at a time for each digest: two that count at once would not see each other's events.
    withheld_at, void_until = session.execute(
        select(Digest.bounces_withheld_at, Digest.refusals_void_until)
        .where(Digest.id == digest_id)
        .with_for_update()
    ).one()
    of_digest = _hard_bounces_of(digest_id, void_until)
    if _are_not_the_readers(session, digest_id, of_digest):
        if withheld_at is None:
            take_back(session, of_digest, now=now)
            _withhold(session, digest_id, now)
        return
    which = of_digest
    if withheld_at is not None:
        _withhold(session, digest_id, None)
    elif new is not None:
        which = and_(of_digest, BounceEvent.id.in_(new))
    suppress_reported(session, which, SuppressionReason.BOUNCED, now=now)


def judge_soft_bounces(session: Session, key_hashes: Collection[str], *, now: datetime) -> None:
    """Suppress those of these addresses whose mailboxes are given up, as their soft bounces show.

    A digest of which so much bounced softly that it cannot be the readers is left out.
    """
    if not key_hashes:
        return
    rows = _soft_bounces(session, key_hashes)
    digests = {row.digest_id for row in rows}
    ours = {
        digest_id
        for digest_id in digests
        if _are_not_the_readers(session, digest_id, _soft_bounces_of(digest_id))
    }
    bounced: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
    for row in rows:
        if row.digest_id not in ours:
            bounced[row.subscriber_id].append((row.mailed_at, row.event_id))
    if not bounced:
        return
    arrived = _arrived(session, bounced.keys(), min(digests))
    gone = [
        max(mails)[1]
        for subscriber_id, mails in bounced.items()
        if policy.soft_bounces_suppress([at for at, _ in mails], arrived[subscriber_id], now)
    ]
    if gone:
        suppress_reported(session, BounceEvent.id.in_(gone), SuppressionReason.BOUNCED, now=now)


def _of_kind(reports: Mapping[int, Reported], kind: EvidenceKind) -> dict[int, Reported]:
    return {row_id: report for row_id, report in reports.items() if report.kind is kind}


def _origin(report: Reported, now: datetime) -> Origin:
    return Origin(source=f"reported through {report.source}", at=now)


def _unsubscribe(session: Session, reports: Sequence[Reported], now: datetime) -> None:
    leaving: dict[int, Reported] = {}
    for report in reports:
        if report.kind is EvidenceKind.UNSUBSCRIBE and report.mail.subscription_id is not None:
            leaving.setdefault(report.mail.subscription_id, report)
    # In one order, so that two processes never wait for each other's rows.
    for subscription_id in sorted(leaving):
        subscription = session.get(Subscription, subscription_id)
        if subscription is not None:
            leave(session, subscription, _origin(leaving[subscription_id], now), reason="reader")


def _complaints(session: Session, complaints: Mapping[int, Reported], now: datetime) -> None:
    """Stop all mail to those who complained, and write it into the consent log."""
    if not complaints:
        return
    # Before all else, and held: somebody who is erased meanwhile must not be written into the log by name.
    readers = dict(
        session.execute(
            select(Subscriber.key_hash, Subscriber.reachable_at)
            .where(
                Subscriber.key_hash.in_({report.mail.key_hash for report in complaints.values()})
            )
            .order_by(Subscriber.id)
            .with_for_update(read=True)
        ).all()
    )
    which = BounceEvent.id.in_(complaints)
    suppress_reported(session, which, SuppressionReason.COMPLAINED, now=now)
    events = []
    for report in complaints.values():
        if report.mail.digest_id is not None and report.mail.key_hash not in readers:
            continue
        lifted_at = readers.get(report.mail.key_hash)
        if lifted_at is None or lifted_at < report.at:
            events.append(
                NewConsentEvent(
                    kind=ConsentKind.COMPLAINED,
                    address=report.mail.address,
                    key_hash=report.mail.key_hash,
                    origin=_origin(report, now),
                    newsletter_id=report.mail.newsletter_id,
                )
            )
    consent.record(session, events)


def void_refusals(session: Session, digest_id: int, until: datetime) -> None:
    """Let the refusals of a digest's mails up to then say nothing about their readers."""
    session.execute(
        update(Digest)
        .where(Digest.id == digest_id)
        .values(refusals_void_until=until)
        .execution_options(synchronize_session=False)
    )
    refused = BounceEvent.source == RELAY
    which = and_(_hard_bounces_of(digest_id), refused, BounceEvent.mailed_at <= until)
    take_back(session, which, now=until)


def _hard_bounces_of(digest_id: int, void_until: datetime | None = None) -> ColumnElement[bool]:
    hard = and_(BounceEvent.digest_id == digest_id, BounceEvent.kind == EvidenceKind.HARD)
    if void_until is None:
        return hard
    return and_(hard, or_(BounceEvent.source != RELAY, BounceEvent.mailed_at > void_until))


def _soft_bounces_of(digest_id: int) -> ColumnElement[bool]:
    return and_(
        BounceEvent.digest_id == digest_id,
        BounceEvent.kind == EvidenceKind.SOFT,
        BounceEvent.reason.in_(policy.SOFT_REASONS),
    )


def _are_not_the_readers(session: Session, digest_id: int, of_digest: ColumnElement[bool]) -> bool:
    """Tell whether these bounces of a digest are too many to be its readers' mailboxes."""
    bounced, refused = session.execute(
        select(func.count(), func.count().filter(BounceEvent.source == RELAY)).where(of_digest)
    ).one()
    enough = policy.attempts_that_acquit(bounced)
    if enough and policy.is_at_fault(bounced, mails_at_most(session, digest_id, enough)):
        return True
    if refused < policy.FEWEST_EVENTS:
        return False
    sent = mails_at_most(session, digest_id, 1, statuses=(DeliveryStatus.SENT,))
    return policy.relay_is_at_fault(refused, sent)


def _withhold(session: Session, digest_id: int, since: datetime | None) -> None:
    session.execute(
        update(Digest)
        .where(Digest.id == digest_id)
        .values(bounces_withheld_at=since)
        .execution_options(synchronize_session=False)
    )


def _soft_bounces(session: Session, key_hashes: Collection[str]) -> Sequence[_SoftBounce]:
    """Read what came back softly of the digests to these readers, of those with enough of it to be judged."""
    of_readers = (
        BounceEvent.key_hash.in_(key_hashes),
        BounceEvent.kind == EvidenceKind.SOFT,
        BounceEvent.reason.in_(policy.SOFT_REASONS),
        BounceEvent.digest_id.is_not(None),
    )
    often = (
        select(BounceEvent.key_hash)
        .where(*of_readers)
        .group_by(BounceEvent.key_hash)
        .having(func.count() >= policy.SOFT_DAYS)
    )
    rows = session.execute(
        select(
            Subscriber.id,
            BounceEvent.id,
            # Never None here; it says so to the type.
            func.coalesce(BounceEvent.digest_id, 0),
            BounceEvent.mailed_at,
        )
        .join(Subscriber, Subscriber.key_hash == BounceEvent.key_hash)
        .where(
            *of_readers,
            BounceEvent.key_hash.in_(often),
            or_(
                Subscriber.reachable_at.is_(None),
                Subscriber.reachable_at < BounceEvent.mailed_at,
            ),
        )
    )
    return [_SoftBounce(*row) for row in rows]


def _arrived(
    session: Session, subscriber_ids: Collection[int], first_digest: int
) -> Mapping[int, list[datetime]]:
    """Read when the mails to these readers were sent of which nothing came back, from this digest on."""
    came_back = exists().where(
        BounceEvent.delivery_id == Delivery.id,
        BounceEvent.kind.in_((EvidenceKind.HARD, EvidenceKind.SOFT)),
    )
    arrived: dict[int, list[datetime]] = defaultdict(list)
    for subscriber_id, sent_at in session.execute(
        select(
            Delivery.subscriber_id, func.coalesce(Delivery.first_attempt_at, Delivery.created_at)
        ).where(
            # By digest first: that is how the ledger's index finds a reader's row.
            Delivery.digest_id.in_(select(Digest.id).where(Digest.id >= first_digest)),
            Delivery.subscriber_id.in_(subscriber_ids),
            Delivery.status == DeliveryStatus.SENT,
            not_(came_back),
        )
    ):
        arrived[subscriber_id].append(sent_at)
    return arrived
