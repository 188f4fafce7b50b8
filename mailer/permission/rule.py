"""Decides whether an address may be mailed, in SQL predicates that builds, imports and sending share.

Never writes. No other module may look at `left_at`, `paused_at`, `erased_at` or the suppressions to decide
about a mail.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, and_, case, exists, literal, not_, or_, select
from sqlalchemy.orm import Session

from mailer.models import (
    Notice,
    NoticeKind,
    SignupChoice,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)

_EVERYWHERE: Final = Suppression.newsletter_id.is_(None)

_TO_THE_ERASED: Final = (
    NoticeKind.CONFIRMATION,
    NoticeKind.ADDRESS_CHANGE,
    NoticeKind.ALERT,
    NoticeKind.REVIEW,
    NoticeKind.REPORT,
)

CONFIRMATION_AFTER_BOUNCE: Final = timedelta(days=30)
"""How long after a hard bounce an address may ask for a confirmation again."""


def may_mail() -> ColumnElement[bool]:
    """Return a condition that is true for a subscription whose reader may get a digest now.

    For a statement, or an enclosed one, whose FROM has `Subscription` joined to `Subscriber`.
    """
    return and_(
        Subscription.left_at.is_(None),
        Subscription.paused_at.is_(None),
        Subscriber.erased_at.is_(None),
        not_(_reader_is_suppressed()),
    )


def why_not() -> ColumnElement[str | None]:
    """Return why a reader gets no digest: left, erased, suppressed or paused; NULL if they get one.

    For the same statements as `may_mail`, and NULL exactly if that is true.
    """
    return case(
        (Subscription.left_at.is_not(None), literal("left")),
        (Subscriber.erased_at.is_not(None), literal("erased")),
        (_reader_is_suppressed(), literal("suppressed")),
        (Subscription.paused_at.is_not(None), literal("paused")),
        else_=None,
    )


def suppressed(session: Session, key_hashes: Collection[str], newsletter_id: int) -> frozenset[str]:
    """Return which of these addresses are suppressed, for all newsletters or for this one."""
    return frozenset(
        session.scalars(
            select(Suppression.key_hash).where(
                Suppression.key_hash.in_(key_hashes),
                or_(_EVERYWHERE, Suppression.newsletter_id == newsletter_id),
            )
        )
    )


def only_the_person_may_return(session: Session, key_hash: str, newsletter_id: int) -> bool:
    """Tell whether an address is suppressed for this newsletter, and only because the person was erased.

    Staff cannot enter it; a confirmation may be mailed.
    """
    reasons = session.scalars(
        select(Suppression.reason).where(
            Suppression.key_hash == key_hash,
            or_(_EVERYWHERE, Suppression.newsletter_id == newsletter_id),
        )
    ).all()
    return set(reasons) == {SuppressionReason.ERASED}


def forgiven_before(now: datetime) -> datetime:
    """Return the time before which a hard bounce does not stop a confirmation at `now`."""
    return now - CONFIRMATION_AFTER_BOUNCE


def notice_may_be_mailed(forgiven: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Return a condition that is true for a `Notice` that may be sent.

    A notice needs no subscription: a confirmation goes to somebody who has none yet. It is stopped
    by a suppression for all newsletters, or if every newsletter that it is about is suppressed for the
    address. A hard bounce before `forgiven` does not stop a confirmation. That a person was erased
    stops neither a confirmation, of a sign-up or of a new address, nor what goes to staff.

    Args:
        forgiven: aware UTC, from `forgiven_before`; or a parameter, if the statement is prepared.
    """
    old_bounce = and_(
        Notice.kind == NoticeKind.CONFIRMATION,
        Suppression.reason == SuppressionReason.BOUNCED,
        Suppression.created_at < forgiven,
    )
    was_erased = Suppression.reason == SuppressionReason.ERASED
    asked_anew = and_(was_erased, Notice.kind.in_(_TO_THE_ERASED))
    everywhere = _suppressed(Notice.key_hash, _EVERYWHERE, not_(asked_anew), not_(old_bounce))
    # Who left between a backup and its restore is kept out of imports by a hash for that newsletter alone.
    here = Suppression.newsletter_id == Notice.newsletter_id
    main = _suppressed(Notice.key_hash, here, not_(was_erased))
    chosen = Suppression.newsletter_id == SignupChoice.newsletter_id
    choice = _suppressed(Notice.key_hash, chosen, not_(was_erased))
    some_choice_is_not_suppressed = (
        select(SignupChoice.signup_id)
        .where(SignupChoice.signup_id == Notice.signup_id, not_(choice))
        .correlate_except(SignupChoice)
        .exists()
    )
    return and_(
        Notice.address != "", not_(everywhere), or_(not_(main), some_choice_is_not_suppressed)
    )


def _reader_is_suppressed() -> ColumnElement[bool]:
    here = Suppression.newsletter_id == Subscription.newsletter_id
    return _suppressed(Subscriber.key_hash, or_(_EVERYWHERE, here))


def _suppressed(key_hash: Any, *which: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(
        select(Suppression.id)
        .where(Suppression.key_hash == key_hash, *which)
        .correlate_except(Suppression)
    )
