"""Groups a schedule's readers: those who start alike and have had the same editions are one group.

SQL only, and only reads. Never brings a row for each reader to Python: the database groups them. Which
articles a group gets is decided in `choose`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import Session

from mailer.digests.selection.choose import ReaderGroup
from mailer.ledger.transitions import is_in
from mailer.models import (
    BLOCK_SIZE,
    GIVEN_BACK,
    Delivery,
    Holds,
    Schedule,
    ScheduleKind,
    Subscriber,
    Subscription,
)
from mailer.permission.rule import may_mail, why_not

GroupedReaders = Select[int, int, int, bool, str]
"""A statement for readers with their groups, see `grouped_readers`."""

OTHER_SCHEDULE = "other_schedule"


@dataclass(frozen=True)
class Frame:
    """The articles and editions by which a build tells readers apart.

    Attributes:
        first_article, last_article: readers who start before the first candidate are alike, and so are
            those who start after the last.
        editions: those that hold a candidate, in order. Others are not looked at, so the cost of a build
            does not grow with the past.
    """

    first_article: int
    last_article: int
    editions: tuple[int, ...]

    @classmethod
    def around(cls, articles: Collection[int], editions: Iterable[int]) -> "Frame":
        """Make the frame of these candidates and of the editions that hold them."""
        return cls(min(articles, default=0), max(articles, default=0), tuple(sorted(editions)))

    @cached_property
    def blocks(self) -> tuple[int, ...]:
        """The bitmap blocks of the editions, in order."""
        return tuple(sorted({edition // BLOCK_SIZE for edition in self.editions}))

    def encode(self, editions: Collection[int]) -> str:
        """Write these editions as the database writes a reader's `had`: a bitmap for each block."""
        return ",".join(str(_bitmap(editions, block)) for block in self.blocks)

    def decode(self, had: str) -> tuple[int, ...]:
        """Return the editions in a reader's `had`, in order."""
        bitmaps = dict(zip(self.blocks, map(int, filter(None, had.split(","))), strict=True))
        return tuple(
            edition
            for edition in self.editions
            if bitmaps[edition // BLOCK_SIZE] >> edition % BLOCK_SIZE & 1
        )


def grouped_readers(schedule: Schedule, frame: Frame) -> GroupedReaders:
    """Select one row for each reader of the schedule who may be mailed.

    A one-off's readers are those of all schedules of its newsletter.

    Columns: subscription_id, subscriber_id, and the group: start, newcomer, had (see `Frame.encode`).
    """
    return (
        select(
            Subscription.id.label("subscription_id"),
            Subscription.subscriber_id.label("subscriber_id"),
            _start(schedule, frame).label("start"),
            (false() if _is_by_hand(schedule) else _is_newcomer()).label("newcomer"),
            _had(frame).label("had"),
        )
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(_is_reader_of(schedule), may_mail())
    )


def is_still_reader(
    schedule: Schedule, frame: Frame, start: ColumnElement[int]
) -> ColumnElement[bool]:
    """True for a subscription that is still on the schedule and still starts at `start`.

    For a statement whose FROM has `Subscription` joined to `Subscriber`.

    What the reader has had is not asked again. Only builds add to it, one after the other; what is given
    back meanwhile is due at the next digest.
    """
    return _is_reader_of(schedule) & may_mail() & (_start(schedule, frame) == start)


def load_groups(session: Session, readers: FromClause, frame: Frame) -> list[ReaderGroup]:
    """Count the readers in each group, of a table or subquery with the columns of `grouped_readers`."""
    group = (readers.c.start, readers.c.newcomer, readers.c.had)
    rows = session.execute(select(*group, func.count()).group_by(*group))
    return [_group(frame, *row) for row in rows]


def load_reader(
    session: Session, readers: GroupedReaders, frame: Frame, schedule: Schedule, address_key: str
) -> ReaderGroup | str | None:
    """Find the group of the reader with this address, with the reader alone in it.

    Returns:
        The reason if the schedule's builds leave the reader out, and None if the address has no
        subscription to the newsletter.
    """
    reason = session.execute(
        select(_why_not_here(schedule))
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscriber.address_key == address_key,
            Subscription.newsletter_id == schedule.newsletter_id,
        )
    ).one_or_none()
    if reason is None or reason[0] is not None:
        return None if reason is None else str(reason[0])
    row = session.execute(readers.where(Subscriber.address_key == address_key)).one()
    return _group(frame, row.start, row.newcomer, row.had, 1)


def load_excluded(session: Session, schedule: Schedule) -> dict[str, int]:
    """Count the newsletter's subscriptions that this schedule's builds leave out, by reason.

    Readers who left are not counted.
    """
    each = (
        select(_why_not_here(schedule).label("reason"))
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(Subscription.newsletter_id == schedule.newsletter_id, Subscription.left_at.is_(None))
        .subquery()
    )
    rows = session.execute(
        select(each.c.reason, func.count())
        .where(each.c.reason.is_not(None))
        .group_by(each.c.reason)
        .order_by(each.c.reason)
    )
    return {reason: count for reason, count in rows}  # noqa: C416


def _group(frame: Frame, start: int, newcomer: bool, had: str, readers: int) -> ReaderGroup:
    return ReaderGroup(
        start=start,
        # SQLite has no booleans of its own.
        newcomer=bool(newcomer),
        editions=frame.decode(had),
        readers=readers,
    )


def _is_by_hand(schedule: Schedule) -> bool:
    # What staff chose, or wrote, is for everybody, and is nobody's first digest.
    return schedule.holds is not Holds.DUE


def _is_reader_of(schedule: Schedule) -> ColumnElement[bool]:
    if schedule.kind is ScheduleKind.ONCE:
        return Subscription.newsletter_id == schedule.newsletter_id
    return Subscription.schedule_id == schedule.id


def _why_not_here(schedule: Schedule) -> ColumnElement[str | None]:
    """Say why this schedule's builds leave a subscription out, or NULL."""
    return case(
        (Subscription.left_at.is_not(None), literal("left")),
        (not_(_is_reader_of(schedule)), literal(OTHER_SCHEDULE)),
        else_=why_not(),
    )


def _start(schedule: Schedule, frame: Frame) -> ColumnElement[int]:
    if _is_by_hand(schedule):
        return literal(0)
    return case(
        (Subscription.start_article < frame.first_article, literal(0)),
        (Subscription.start_article >= frame.last_article, literal(frame.last_article)),
        else_=Subscription.start_article,
    )


def _is_newcomer() -> ColumnElement[bool]:
    """True for a reader whose first digest is still to come, or was given back."""
    return or_(
        Subscription.first_digest_id.is_(None),
        exists(
            select(Delivery.id).where(
                Delivery.digest_id == Subscription.first_digest_id,
                Delivery.subscriber_id == Subscription.subscriber_id,
                is_in(Delivery, GIVEN_BACK),
            )
        ),
    )


def _bitmap(editions: Iterable[int], block: int) -> int:
    """Set a bit for each of these editions that is in this block."""
    return sum(1 << edition % BLOCK_SIZE for edition in editions if edition // BLOCK_SIZE == block)


def _had(frame: Frame) -> ColumnElement[str]:
    """Write the reader's live editions that hold a candidate as `Frame.encode` does."""
    return _joined([_had_bitmap(frame, block) for block in frame.blocks])


def _joined(numbers: Sequence[ColumnElement[int]]) -> ColumnElement[str]:
    """Write these numbers as text with commas between them.

    Joined half by half, because SQLite does not allow deep expressions; the casts keep the halves apart.
    """
    if not numbers:
        return literal("")
    if len(numbers) == 1:
        return cast(numbers[0], String)
    half = len(numbers) // 2
    return cast(_joined(numbers[:half]), String) + "," + cast(_joined(numbers[half:]), String)


def _had_bitmap(frame: Frame, block: int) -> ColumnElement[int]:
    """Set a bit for each of the reader's live editions in this block.

    A sum sets bits, because a reader has an edition at most once. It is taken over an index without the
    status, so that the send loop, which changes the status all the time, need not touch it; the few
    editions that were given back are subtracted.
    """
    editions = [edition for edition in frame.editions if edition // BLOCK_SIZE == block]
    position = cast(Delivery.edition_id - block * BLOCK_SIZE, Integer)
    bit = literal(1, BigInteger).bitwise_lshift(position)
    all_bits = (
        select(func.coalesce(func.sum(bit), 0))
        .where(
            Delivery.edition_block == block,
            Delivery.subscriber_id == Subscription.subscriber_id,
            Delivery.edition_id.between(editions[0], editions[-1]),
        )
        .correlate(Subscription)
    )
    given_back = all_bits.where(is_in(Delivery, GIVEN_BACK))
    live = cast(all_bits.scalar_subquery() - given_back.scalar_subquery(), BigInteger)
    return live.bitwise_and(literal(_bitmap(editions, block), BigInteger))
