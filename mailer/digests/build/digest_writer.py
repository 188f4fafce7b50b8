"""The last write of a build: editions and deliveries, and the digest goes on its way.

Set-based: no loop runs over readers, and the number of statements does not depend on how many there are.
Who gets what was decided before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import (
    Boolean,
    Column,
    CursorResult,
    MetaData,
    PrimaryKeyConstraint,
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
from mailer.digests.build.slot_claims import is_mine
from mailer.digests.editing import edits
from mailer.digests.selection.build_readers import BUILD_READERS, note_size
from mailer.digests.selection.choose import Cohort
from mailer.digests.selection.plan import Plan
from mailer.digests.selection.reader_groups import is_still
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
"""Who gets which edition. A table of its own, because PostgreSQL reckons with what a table had at its last
look, where a delivery was written a moment ago with a digest that it never saw."""


@dataclass(frozen=True)
class BuildResult:
    """What a build wrote.

    Attributes:
        changed: readers who were due when the build read them, and left, paused or began anew meanwhile.
    """

    queued: int
    changed: int


def write(
    session: Session,
    digest_id: int,
    plan: Plan,
    rendered: Sequence[tuple[Cohort, Content]],
    *,
    builder_id: int,
    now: datetime,
) -> BuildResult | None:
    """Write the editions, and a delivery for each reader on the roll who is still there.

    For a session on the connection on which the roll was taken.

    Returns:
        None where the digest is not this builder's any more; then nothing was written.
    """
    # First, because this row is the fence: who changes it holds it until the commit.
    schedule_id = session.scalar(
        update(Digest)
        .where(is_mine(digest_id, builder_id))
        .values(status=DigestStatus.SENDING, built_at=now)
        .returning(Digest.schedule_id)
    )
    if schedule_id is None:
        return None
    schedule = session.get_one(Schedule, schedule_id)
    with session.begin_nested() as mails:
        editions = _write_editions(session, digest_id, rendered)
        queued = _write_deliveries(session, digest_id, schedule, plan, editions, now)
        if queued == 0:
            # An edition that nobody gets is none.
            mails.rollback()
    changed = plan.due - queued
    reason = plan.reason
    if queued == 0:
        # Nobody is left of those who were due when the build read them.
        reason = reason or "nobody is due any more"
        # What staff wrote for the coming digest is not lost when there is none.
        edits.give_back(session, digest_id)
    elif changed:
        reason = (
            f"{pluralise(changed, 'reader', 'readers')} unsubscribed or changed during the build"
        )
    session.execute(
        update(Digest)
        .where(Digest.id == digest_id)
        .values(
            reason=reason,
            subject=rendered[0][1].subject if queued else None,
            **({} if queued else {"status": DigestStatus.SKIPPED, "finished_at": now}),
        )
    )
    # What the schedule's next build asks for is this digest's candidates, never those before.
    earlier = select(Digest.id).where(Digest.schedule_id == schedule_id, Digest.id < digest_id)
    session.execute(delete(Candidate).where(Candidate.digest_id.in_(earlier)))
    return BuildResult(queued, changed)


def _write_editions(
    session: Session, digest_id: int, rendered: Sequence[tuple[Cohort, Content]]
) -> list[tuple[Cohort, int]]:
    if not rendered:
        return []
    rows = [
        {
            "digest_id": digest_id,
            "number": number,
            "language": content.language,
            "from_name": content.from_name,
            "from_address": content.from_address,
            "reply_to": content.reply_to,
            "subject": content.subject,
            "html": content.html,
            "text": content.text,
            "marker": content.marker,
        }
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
    """Queue the deliveries; how many there are."""
    groups: list[dict[str, Any]] = [
        {
            "start": group.start,
            "newcomer": group.newcomer,
            "had": plan.frame.told(group.editions),
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
    session.execute(
        insert(_MAIL).from_select(
            _MAIL.columns.keys(),
            select(
                _GROUP.c.edition_id,
                BUILD_READERS.c.subscriber_id,
                BUILD_READERS.c.subscription_id,
                BUILD_READERS.c.newcomer,
            )
            .select_from(BUILD_READERS)
            .join(
                _GROUP,
                and_(
                    _GROUP.c.had == BUILD_READERS.c.had,
                    _GROUP.c.start == BUILD_READERS.c.start,
                    _GROUP.c.newcomer == BUILD_READERS.c.newcomer,
                ),
            )
            .join(Subscription, Subscription.id == BUILD_READERS.c.subscription_id)
            .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
            .where(is_still(schedule, plan.frame, BUILD_READERS.c.start)),
        )
    )
    note_size(session, _MAIL)
    at = literal(now, Delivery.created_at.type)
    zero = literal(0)
    written = session.execute(
        insert(Delivery).from_select(
            [
                "digest_id",
                "edition_id",
                "subscriber_id",
                "subscription_id",
                "status",
                "attempts",
                "in_doubt",
                "next_attempt_at",
                "created_at",
            ],
            select(
                literal(digest_id),
                _MAIL.c.edition_id,
                _MAIL.c.subscriber_id,
                _MAIL.c.subscription_id,
                literal(DeliveryStatus.QUEUED, Delivery.status.type),
                zero,
                zero,
                at,
                at,
                # In the order of the indexes: joins of many rows end in none, and then each row would go
                # to another page of them.
            ).order_by(_MAIL.c.subscriber_id),
        ),
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
