"""Writes a planned digest: its editions and deliveries, in one transaction.

Never loops over readers: the number of statements does not depend on how many there are. Never decides who
gets what: see `mailer.digests.selection`.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    CursorResult,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    Table,
    Text,
    and_,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from mailer.db import BigId
from mailer.digests.build.journaling import journal_digest
from mailer.digests.build.slot_claims import is_mine
from mailer.digests.editing import edits
from mailer.digests.selection.build_readers import BUILD_READERS, note_size
from mailer.digests.selection.choose import Cohort
from mailer.digests.selection.plan import Plan
from mailer.digests.selection.reader_groups import is_still_reader
from mailer.message.content import Content
from mailer.models import (
    Candidate,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Edition,
    EditionArticle,
    Schedule,
    Subscriber,
    Subscription,
)
from mailer.text.english import pluralise

_GROUP: Final = Table(
    "build_group",
    MetaData(),
    Column("start", BigId, nullable=False),
    Column("newcomer", Boolean, nullable=False),
    Column("had", Text, nullable=False),
    Column("edition_id", BigId, nullable=False),
    PrimaryKeyConstraint("had", "start", "newcomer"),
    prefixes=["TEMPORARY"],
)
"""Which edition a group of readers gets."""

_MAIL: Final = Table(
    "build_mail",
    MetaData(),
    Column("edition_id", BigId, nullable=False),
    Column("subscriber_id", BigId, nullable=False),
    Column("subscription_id", BigId, nullable=False),
    Column("newcomer", Boolean, nullable=False),
    prefixes=["TEMPORARY"],
)
"""Who gets which edition. A table of its own, because PostgreSQL plans with the statistics of its last look
at a table, which knows nothing of deliveries that were written a moment ago."""


def write(
    session: Session,
    digest_id: int,
    plan: Plan,
    rendered: Sequence[tuple[Cohort, Content]],
    *,
    builder_id: int,
    now: datetime,
) -> int | None:
    """Write the editions, and a delivery for each recorded reader who is still there.

    For a session on the connection on which the readers were recorded.

    Returns:
        How many deliveries were queued. None if the digest is not this builder's any more; then nothing was
        written.
    """
    # First, because this row is the fence: the transaction that changes it holds it until the commit.
    schedule_id = session.scalar(
        update(Digest)
        .where(is_mine(digest_id, builder_id))
        .values(status=DigestStatus.SENDING, built_at=now)
        .returning(Digest.schedule_id)
    )
    if schedule_id is None:
        return None
    schedule = session.get_one(Schedule, schedule_id)
    with session.begin_nested() as savepoint:
        editions = _write_editions(session, digest_id, rendered)
        queued = _write_deliveries(session, digest_id, schedule, plan, editions, now)
        if queued == 0:
            # An edition without readers is not kept.
            savepoint.rollback()
    changed = plan.reader_count - queued
    reason = plan.reason
    if queued == 0:
        # Nobody is left of those who were due when the build read them.
        reason = reason or "nobody is due any more"
        # What staff wrote for the coming digest is not lost when there is none.
        edits.give_back(session, digest_id)
    elif changed:
        reason = f"{pluralise(changed, 'reader')} unsubscribed or changed during the build"
    session.execute(
        update(Digest)
        .where(Digest.id == digest_id)
        .values(
            reason=reason,
            subject=rendered[0][1].subject if queued else None,
            **({} if queued else {"status": DigestStatus.SKIPPED, "finished_at": now}),
        )
    )
    # The schedule's next build needs this digest's candidates, never those of digests before it.
    earlier = select(Digest.id).where(Digest.schedule_id == schedule_id, Digest.id < digest_id)
    session.execute(delete(Candidate).where(Candidate.digest_id.in_(earlier)))
    journal_digest(session, digest_id, queued, now=now)
    return queued


def _write_editions(
    session: Session, digest_id: int, rendered: Sequence[tuple[Cohort, Content]]
) -> list[tuple[Cohort, int]]:
    if not rendered:
        return []
    rows = [
        {"digest_id": digest_id, "number": number, **asdict(content)}
        for number, (_, content) in enumerate(rendered, 1)
    ]
    written = session.execute(insert(Edition).returning(Edition.number, Edition.id), rows)
    ids = {number: edition_id for number, edition_id in written}  # noqa: C416
    editions = [(cohort, ids[number]) for number, (cohort, _) in enumerate(rendered, 1)]
    printed = [
        {"edition_id": edition_id, "article_id": article_id, "position": position}
        for cohort, edition_id in editions
        for position, article_id in enumerate(cohort.articles, 1)
    ]
    if printed:
        session.execute(insert(EditionArticle), printed)
    return editions


def _write_deliveries(
    session: Session,
    digest_id: int,
    schedule: Schedule,
    plan: Plan,
    editions: Sequence[tuple[Cohort, int]],
    now: datetime,
) -> int:
    """Queue the deliveries; return how many there are."""
    groups = [
        {
            "start": group.start,
            "newcomer": group.newcomer,
            "had": plan.frame.encode(group.editions),
            "edition_id": edition_id,
        }
        for cohort, edition_id in editions
        for group in cohort.groups
    ]
    if not groups:
        return 0
    for table in (_GROUP, _MAIL):
        table.create(session.connection(), checkfirst=False)
    session.execute(insert(_GROUP), groups)
    note_size(session, _GROUP)
    mails = _mails(schedule, plan)
    session.execute(insert(_MAIL).from_select(_MAIL.columns.keys(), mails))
    note_size(session, _MAIL)
    at = literal(now, Delivery.created_at.type)
    columns: dict[str, ColumnElement[Any]] = {
        "digest_id": literal(digest_id),
        "edition_id": _MAIL.c.edition_id,
        "subscriber_id": _MAIL.c.subscriber_id,
        "subscription_id": _MAIL.c.subscription_id,
        "status": literal(DeliveryStatus.QUEUED, Delivery.status.type),
        "attempts": literal(0),
        "in_doubt": literal(0),
        "next_attempt_at": at,
        "created_at": at,
    }
    # In the order of the indexes: a join of many rows has no order, and each row would go to another page.
    deliveries = select(*columns.values()).order_by(_MAIL.c.subscriber_id)
    written = session.execute(
        insert(Delivery).from_select(list(columns), deliveries),
        execution_options={"preserve_rowcount": True},
    )
    if any(group["newcomer"] for group in groups):
        session.execute(
            update(Subscription)
            .where(Subscription.id.in_(select(_MAIL.c.subscription_id).where(_MAIL.c.newcomer)))
            .values(first_digest_id=digest_id)
            .execution_options(synchronize_session=False)
        )
    return cast(CursorResult[Any], written).rowcount


def _mails(schedule: Schedule, plan: Plan) -> Select[Any]:
    """Select the columns of `_MAIL`: each recorded reader who is still there, with the group's edition."""
    readers = BUILD_READERS.c
    is_in_group = and_(
        _GROUP.c.had == readers.had,
        _GROUP.c.start == readers.start,
        _GROUP.c.newcomer == readers.newcomer,
    )
    return (
        select(
            _GROUP.c.edition_id, readers.subscriber_id, readers.subscription_id, readers.newcomer
        )
        .select_from(BUILD_READERS)
        .join(_GROUP, is_in_group)
        .join(Subscription, Subscription.id == readers.subscription_id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(is_still_reader(schedule, plan.frame, readers.start))
    )
