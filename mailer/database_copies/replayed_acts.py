"""Does again, in a restored database, what its journal says. For `mailer.database_copies.replay` only.

Nothing of it is recorded in the journal, where it is already. Never decides which entries count: see
`mailer.database_copies.replayed_entries`.
"""

from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    FromClause,
    Select,
    String,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session

from mailer.database_copies.replayed_entries import STANDING
from mailer.db import dialect_insert
from mailer.models import (
    Article,
    ConsentEvent,
    ConsentKind,
    JournalKind,
    Newsletter,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from mailer.subscribers.erase import erase

SOURCE: Final = "restored from the journal"
"""What the consent log names as the source of what is done again."""
LEFT_SINCE: Final = "left after the backup from which the database was restored"

_K: Final = JournalKind
_E: Final = STANDING.c


def _changed(session: Session, statement: Any) -> int:
    """Execute a statement, and return how many rows it changed."""
    options = {"synchronize_session": False, "preserve_rowcount": True}
    result = session.execute(statement, execution_options=options)
    return cast(CursorResult[Any], result).rowcount


def erase_again(session: Session) -> int:
    """Erase again who was erased. Return how many people the database still knew."""
    rows = session.execute(
        select(_E.key_hash, func.max(_E.at)).where(_E.kind == _K.ERASED).group_by(_E.key_hash)
    ).all()
    return sum(erase(session, key_hash, source=SOURCE, now=at) for key_hash, at in rows)


def lift_again(session: Session) -> int:
    """Delete the suppressions that were lifted. Return how many."""
    of_person = and_(_E.kind == _K.LIFTED, _E.key_hash == Suppression.key_hash)
    all_but_erased = and_(_E.reason.is_(None), Suppression.reason != SuppressionReason.ERASED)
    same_reason = _E.reason == type_coerce(Suppression.reason, String)
    is_lifted = exists().where(of_person, or_(all_but_erased, same_reason))
    lifted = _changed(session, delete(Suppression).where(is_lifted))
    reachable = (_E.kind.in_([_K.LIFTED, _K.RETURNED]), _E.key_hash == Subscriber.key_hash)
    session.execute(
        update(Subscriber)
        .where(Subscriber.key_hash.in_(select(_E.key_hash).where(reachable[0])))
        .values(reachable_at=select(func.max(_E.at)).where(*reachable).scalar_subquery())
        .execution_options(synchronize_session=False)
    )
    return lifted


def suppress_again(session: Session) -> int:
    """Write the suppressions that came later. Return how many."""
    counts = and_(_E.kind == _K.SUPPRESSED, _E.is_last)
    newsletter_id = select(Newsletter.id).where(Newsletter.slug == _E.newsletter).scalar_subquery()
    same = and_(
        _E.key_hash == Suppression.key_hash,
        newsletter_id.is_not_distinct_from(Suppression.newsletter_id),
    )
    # A bounce gives way to what came later; a decision of people stays as it is.
    session.execute(
        delete(Suppression)
        .where(Suppression.reason == SuppressionReason.BOUNCED, exists().where(counts, same))
        .execution_options(synchronize_session=False)
    )
    rows = (
        select(_E.key_hash, Subscriber.address, Newsletter.id, _E.reason, null(), _E.at)
        .select_from(STANDING)
        .outerjoin(Newsletter, Newsletter.slug == _E.newsletter)
        .outerjoin(
            Subscriber, and_(Subscriber.key_hash == _E.key_hash, Subscriber.erased_at.is_(None))
        )
        .where(counts, or_(_E.newsletter.is_(None), Newsletter.id.is_not(None)))
        .order_by(_E.id)
    )
    return _insert_suppressions(session, rows)


def _insert_suppressions(session: Session, rows: Select[Any]) -> int:
    names = ["key_hash", "address", "newsletter_id", "reason", "detail", "created_at"]
    into = dialect_insert(session, Suppression).from_select(names, rows)
    return _changed(session, into.on_conflict_do_nothing())


def leave_again(session: Session) -> int:
    """Unsubscribe who has left. Return how many subscriptions ended.

    Of those who are not in the backup, the hash alone is kept, so that no import brings them back. They can
    sign up again, as somebody who was erased.
    """
    session.execute(
        _consent_events(ConsentKind.UNSUBSCRIBED, _K.LEFT, Subscription.left_at.is_(None))
    )
    left = _changed(
        session,
        update(Subscription)
        .where(Subscription.left_at.is_(None), Subscription.id.in_(_subscriptions(_K.LEFT)))
        .values(
            left_at=_about(_K.LEFT, _E.at).scalar_subquery(),
            left_reason=_about(_K.LEFT, _E.reason).scalar_subquery(),
        ),
    )
    rows = (
        select(
            _E.key_hash,
            null(),
            Newsletter.id,
            literal(SuppressionReason.ERASED, Suppression.reason.type),
            literal(LEFT_SINCE),
            _E.at,
        )
        .select_from(STANDING)
        .join(Newsletter, Newsletter.slug == _E.newsletter)
        .where(_counts(_K.LEFT), ~_has_subscription())
        .order_by(_E.id)
    )
    _insert_suppressions(session, rows)
    return left


def return_again(session: Session) -> int:
    """Begin the subscriptions again of readers who have left and then confirmed. Return how many.

    As always after a confirmation, they get what comes in from now on.
    """
    has_left = Subscription.left_at.is_not(None)
    session.execute(_consent_events(ConsentKind.CONFIRMED, _K.RETURNED, has_left))
    newest = select(func.coalesce(func.max(Article.id), 0)).scalar_subquery()
    return _changed(
        session,
        update(Subscription)
        .where(has_left, Subscription.id.in_(_subscriptions(_K.RETURNED)))
        .values(
            start_article=newest,
            first_digest_id=None,
            confirmed_at=_about(_K.RETURNED, _E.at).scalar_subquery(),
            paused_at=None,
            left_at=None,
            left_reason=None,
        ),
    )


def lost_readers(entries: FromClause = STANDING) -> Select[Any]:
    """Select who has confirmed, and has no subscription here; `entries` has the columns of `STANDING`."""
    columns = entries.c
    return (
        select(columns.id)
        .join(Newsletter, Newsletter.slug == columns.newsletter)
        .where(columns.kind == _K.RETURNED.value, columns.is_last, ~_has_subscription(entries))
    )


def _counts(kind: JournalKind) -> ColumnElement[bool]:
    return and_(_E.kind == kind.value, _E.is_last)


def _subscriptions(kind: JournalKind) -> Select[Any]:
    """Select the subscriptions about which an entry of this kind counts."""
    return (
        select(Subscription.id)
        .select_from(STANDING)
        .join(Subscriber, Subscriber.key_hash == _E.key_hash)
        .join(Newsletter, Newsletter.slug == _E.newsletter)
        .join(
            Subscription,
            and_(
                Subscription.subscriber_id == Subscriber.id,
                Subscription.newsletter_id == Newsletter.id,
            ),
        )
        .where(_counts(kind))
        .correlate(None)
    )


def _about(kind: JournalKind, column: Any) -> Select[Any]:
    """Select of the entry that counts for a `Subscription`, which the enclosing statement has."""
    return (
        select(column)
        .select_from(STANDING)
        .join(Subscriber, Subscriber.key_hash == _E.key_hash)
        .join(Newsletter, Newsletter.slug == _E.newsletter)
        .where(
            _counts(kind),
            Subscriber.id == Subscription.subscriber_id,
            Newsletter.id == Subscription.newsletter_id,
        )
        .correlate(Subscription)
    )


def _has_subscription(entries: FromClause = STANDING) -> ColumnElement[bool]:
    return (
        select(Subscription.id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscriber.key_hash == entries.c.key_hash, Subscription.newsletter_id == Newsletter.id
        )
        .correlate(entries, Newsletter)
        .exists()
    )


def _consent_events(kind: ConsentKind, entries: JournalKind, which: ColumnElement[bool]) -> Any:
    """Make the statement that tells the consent log what will be done to these subscriptions."""
    columns = {
        "kind": literal(kind, ConsentEvent.kind.type),
        "at": _E.at,
        "address": Subscriber.address,
        "key_hash": Subscriber.key_hash,
        "newsletter_id": Subscription.newsletter_id,
        "schedule_id": Subscription.schedule_id,
        "source": literal(SOURCE),
    }
    rows = (
        select(*columns.values())
        .select_from(STANDING)
        .join(Subscriber, Subscriber.key_hash == _E.key_hash)
        .join(Newsletter, Newsletter.slug == _E.newsletter)
        .join(
            Subscription,
            and_(
                Subscription.subscriber_id == Subscriber.id,
                Subscription.newsletter_id == Newsletter.id,
            ),
        )
        .where(_counts(entries), which)
        .order_by(_E.id)
    )
    return insert(ConsentEvent).from_select(list(columns), rows)
