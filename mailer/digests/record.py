"""The two writes of a build: the one that takes a slot, and the one that makes editions and deliveries.

Set-based: no loop runs over readers, and the number of statements does not depend on how many there are.
Which slot is due and who gets what was decided before.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    Table,
    Text,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from mailer.digests.calendar import Slot
from mailer.digests.candidates import had_text, usable
from mailer.digests.choose import Cohort
from mailer.digests.plan import Plan, max_age
from mailer.digests.slots import LetGo
from mailer.digests.timetable import digest_at
from mailer.errors import Refused
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
    Subscription,
)

log = logging.getLogger(__name__)

Alive = Callable[[Session], Collection[int]]
"""Says which builders live. It is asked when no other build can begin any more, so that one that has
just begun is among them."""

_BUILDS_LOCK: Final = 0x6D61_696C_6572
"""The key of the advisory lock under which PostgreSQL lets one build begin after the other."""

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
class Turn:
    """What a builder that wants a slot is to do.

    Attributes:
        digest_id: the digest to build, or the one that stands for the slot; None while another
            builder is at work: ask again.
        build: whether it is this builder's to build.
    """

    digest_id: int | None
    build: bool


@dataclass(frozen=True)
class Written:
    """What a build wrote.

    Attributes:
        changed: readers who were due something else than when the build read them; they wait.
    """

    queued: int
    changed: int


def take_slot(
    session: Session,
    schedule: Schedule,
    slot: Slot,
    *,
    builder_id: int,
    alive: Alive,
    now: datetime,
) -> Turn:
    """Begin the digest of that slot: its row and its candidates, frozen.

    While a digest is being built nothing else begins; one whose builder is not alive is taken over
    first, whichever it is.

    Raises:
        Refused: the slot does not count any more, since staff paused, removed or moved the schedule.
    """
    _one_after_the_other(session)
    known = digest_at(session, schedule, slot)
    if known is not None and known.status != DigestStatus.BUILDING:
        return Turn(known.id, build=False)
    left = _take_over(session, builder_id, alive(session))
    if left is not None:
        return Turn(left, build=True)
    # What was being built a statement ago may be finished by now: it is looked at again, not begun anew.
    if known is not None or _is_building(session):
        return Turn(None, build=False)
    # A builder may have waited for others since it found the slot due.
    if schedule.paused_at or schedule.removed_at or slot.due_at <= schedule.active_from:
        raise Refused(f"slot {slot.name} does not count any more; see `mailer schedule list`")
    digest = Digest(
        schedule_id=schedule.id,
        slot=slot.name,
        due_at=slot.due_at,
        status=DigestStatus.BUILDING,
        builder_id=builder_id,
        created_at=now,
    )
    session.add(digest)
    session.flush()
    source = usable(schedule.newsletter_id, slot.due_at, max_age(schedule)).add_columns(
        literal(digest.id)
    )
    session.execute(insert(Candidate).from_select(["article_id", "backlog", "digest_id"], source))
    return Turn(digest.id, build=True)


def let_go(
    session: Session, schedule: Schedule, given_up: Sequence[LetGo], *, now: datetime
) -> None:
    """Write down that nothing is sent for these slots; one that has a digest meanwhile is left alone."""
    _one_after_the_other(session)
    for one in given_up:
        if digest_at(session, schedule, one.slot) is None:
            session.add(
                Digest(
                    schedule_id=schedule.id,
                    slot=one.slot.name,
                    due_at=one.slot.due_at,
                    status=DigestStatus.SKIPPED,
                    reason=one.reason,
                    created_at=now,
                    finished_at=now,
                )
            )
            session.flush()
            log.warning(
                "schedule %s: nothing is sent for slot %s (%s)",
                schedule.id,
                one.slot.name,
                one.reason,
            )


def take_over(session: Session, *, builder_id: int, alive: Alive) -> int | None:
    """A digest whose builder is not alive, now this builder's; None where there is none."""
    _one_after_the_other(session)
    return _take_over(session, builder_id, alive(session))


def give_back(session: Session, digest_id: int, *, builder_id: int) -> None:
    """Undo what `take_slot` did, so that the slot can be built again. Nothing is left of a failed build."""
    mine = select(Digest.id).where(_is_mine(digest_id, builder_id))
    session.execute(delete(Candidate).where(Candidate.digest_id.in_(mine)))
    session.execute(delete(Digest).where(_is_mine(digest_id, builder_id)))


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
        .where(_is_mine(digest_id, builder_id))
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
    session.execute(
        insert(EditionArticle),
        [
            {"edition_id": edition_id, "article_id": article_id, "position": position}
            for cohort, edition_id in editions
            for position, article_id in enumerate(cohort.articles, 1)
        ],
    )
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


def _one_after_the_other(session: Session) -> None:
    # On SQLite a write session is alone anyway.
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _BUILDS_LOCK})


def _take_over(session: Session, builder_id: int, alive: Collection[int]) -> int | None:
    # A builder builds one at a time: what carries its own name was left when giving back failed.
    others = set(alive) - {builder_id}
    return session.scalar(
        update(Digest)
        .where(
            Digest.status == DigestStatus.BUILDING,
            or_(Digest.builder_id.is_(None), Digest.builder_id.not_in(others)),
        )
        .values(builder_id=builder_id)
        .returning(Digest.id)
    )


def _is_building(session: Session) -> bool:
    return bool(session.scalar(select(exists().where(Digest.status == DigestStatus.BUILDING))))


def _is_mine(digest_id: int, builder_id: int) -> Any:
    return and_(
        Digest.id == digest_id,
        Digest.status == DigestStatus.BUILDING,
        Digest.builder_id == builder_id,
    )
