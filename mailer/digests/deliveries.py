"""The last write of a build: editions and deliveries, and the digest goes on its way.

Set-based: no loop runs over readers, and the number of statements does not depend on how many there are.
Who gets what was decided before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

from mailer.digests import edits
from mailer.digests.candidates import had_text
from mailer.digests.choose import Cohort
from mailer.digests.plan import Plan
from mailer.digests.record import is_mine
from mailer.message.content import Content
from mailer.models import (
    Candidate,
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Edition,
    EditionArticle,
    Subscription,
)

_TEMPORARY = MetaData()
_GROUP = Table(
    "build_group",
    _TEMPORARY,
    Column("start", BigInteger, nullable=False),
    Column("newcomer", Boolean, nullable=False),
    Column("had", Text, nullable=False),
    Column("edition_id", BigInteger),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
_READER = Table(
    "build_reader",
    _TEMPORARY,
    Column("subscription_id", BigInteger, nullable=False),
    Column("subscriber_id", BigInteger, nullable=False),
    Column("newcomer", Boolean, nullable=False),
    Column("edition_id", BigInteger),
    Column("known", Boolean, nullable=False),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


@dataclass(frozen=True)
class Written:
    """What a build wrote.

    Attributes:
        changed: readers who were due something else than when the build read them; they wait.
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
) -> Written | None:
    """Write the editions, and a delivery for each reader whose group is as it was when it was chosen.

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
    editions = _write_editions(session, digest_id, rendered)
    queued, changed = _write_deliveries(session, digest_id, plan, editions, now)
    reason = plan.reason
    if queued == 0:
        # Nobody is left of those who were due when the build read them.
        session.execute(delete(Edition).where(Edition.digest_id == digest_id))
        reason = reason or "nobody is due any more"
        # What staff wrote for the coming digest is not lost when there is none.
        edits.give_back(session, digest_id)
    if changed:
        told = f"{changed} readers changed during the build and wait for the next digest"
        reason = f"{reason}; {told}" if reason else told
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
    return Written(queued, changed)


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
    plan: Plan,
    editions: Sequence[tuple[Cohort, int]],
    now: datetime,
) -> tuple[int, int]:
    """Queue the deliveries; how many there are, and how many readers are in no known group any more."""
    connection = session.connection()
    _TEMPORARY.create_all(connection, checkfirst=False)
    edition_of = {group: edition_id for cohort, edition_id in editions for group in cohort.groups}
    groups: list[dict[str, Any]] = [
        {
            "start": group.start,
            "newcomer": group.newcomer,
            "had": had_text(group),
            "edition_id": edition_of.get(group),
        }
        for group in plan.groups
    ]
    if groups:
        session.execute(insert(_GROUP), groups)
    reader = plan.readers.subquery()
    session.execute(
        insert(_READER).from_select(
            ["subscription_id", "subscriber_id", "newcomer", "edition_id", "known"],
            select(
                reader.c.subscription_id,
                reader.c.subscriber_id,
                reader.c.newcomer,
                _GROUP.c.edition_id,
                _GROUP.c.start.is_not(None),
            ).join(
                _GROUP,
                and_(
                    _GROUP.c.start == reader.c.start,
                    _GROUP.c.newcomer == reader.c.newcomer,
                    _GROUP.c.had == reader.c.had,
                ),
                isouter=True,
            ),
        )
    )
    at = literal(now, Delivery.created_at.type)
    zero = literal(0)
    session.execute(
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
                _READER.c.edition_id,
                _READER.c.subscriber_id,
                _READER.c.subscription_id,
                literal(DeliveryStatus.QUEUED, Delivery.status.type),
                zero,
                zero,
                at,
                at,
            ).where(_READER.c.edition_id.is_not(None)),
        )
    )
    first = select(_READER.c.subscription_id).where(
        _READER.c.newcomer, _READER.c.edition_id.is_not(None)
    )
    session.execute(
        update(Subscription)
        .where(Subscription.id.in_(first))
        .values(first_digest_id=digest_id)
        .execution_options(synchronize_session=False)
    )
    queued, known, readers = session.execute(
        select(
            func.count(_READER.c.edition_id),
            func.count().filter(_READER.c.known),
            func.count(),
        )
    ).one()
    _TEMPORARY.drop_all(connection, checkfirst=False)
    return queued, readers - known
