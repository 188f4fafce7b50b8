"""A schedule's readers in groups: alike in where they start, and in which editions they have had.

SQL only, and only reads. The database groups them; nothing here brings one row per reader to Python. Which
articles a group gets is decided in `choose`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import (
    BigInteger,
    ColumnElement,
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

from mailer.digests.selection.choose import Group
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

Readers = Select[int, int, int, bool, str]
"""A statement for readers with their groups, see `grouped_readers`."""

OTHER_SCHEDULE = "other_schedule"


@dataclass(frozen=True)
class Frame:
    """What readers are told apart by.

    Attributes:
        first_article, last_article: readers who start before the first candidate are alike, and so are
            those who start after the last.
        editions: those that hold a candidate, in order. Others need not be looked at, which keeps the
            cost of a build from growing with the past.
    """

    first_article: int
    last_article: int
    editions: tuple[int, ...]

    @classmethod
    def around(cls, articles: Collection[int], editions: Iterable[int]) -> "Frame":
        """The frame of these candidates and of the editions that hold them."""
        return cls(min(articles, default=0), max(articles, default=0), tuple(sorted(editions)))

    @cached_property
    def words(self) -> tuple[int, ...]:
        """The words in which the editions stand, in order; see `mailer.models.delivery.BLOCK_SIZE`."""
        return tuple(sorted({one // BLOCK_SIZE for one in self.editions}))

    def told(self, editions: Collection[int]) -> str:
        """These editions as the database tells of them in a reader's `had`: a number for each word."""
        return ",".join(str(_bits(editions, word)) for word in self.words)

    def understood(self, had: str) -> tuple[int, ...]:
        """The editions that a reader's `had` tells of, in order."""
        told = zip(self.words, had.split(","), strict=True) if self.words else ()
        bits = {word: int(number) for word, number in told}
        return tuple(
            one for one in self.editions if bits[one // BLOCK_SIZE] >> one % BLOCK_SIZE & 1
        )


def grouped_readers(schedule: Schedule, frame: Frame) -> Readers:
    """A statement with one row for each reader of the schedule who may be mailed; a one-off's readers
    are those of all schedules of its newsletter.

    Columns: subscription_id, subscriber_id, and the group: start, newcomer, had (see `Frame.told`).
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


def is_still(schedule: Schedule, frame: Frame, start: ColumnElement[int]) -> ColumnElement[bool]:
    """True for a subscription that is a reader's of the schedule still, starting where they did.

    For a statement whose FROM has `Subscription` joined to `Subscriber`.

    What they have had need not be asked again. Only builds add to it, one after the other; what is given
    back meanwhile is due at the next digest, and what was chosen is none of it.
    """
    return _is_reader_of(schedule) & may_mail() & (_start(schedule, frame) == start)


def load_groups(session: Session, readers: Readers, frame: Frame) -> list[Group]:
    """The groups of these readers, and how many are in each."""
    each = readers.subquery()
    return count_by_group(session, frame, each.c.start, each.c.newcomer, each.c.had)


def count_by_group(
    session: Session,
    frame: Frame,
    start: ColumnElement[int],
    newcomer: ColumnElement[bool],
    had: ColumnElement[str],
) -> list[Group]:
    """How many rows there are of each group, by the columns that name it."""
    rows = session.execute(
        select(start, newcomer, had, func.count()).group_by(start, newcomer, had)
    )
    return [_group(frame, *row) for row in rows]


def load_reader(
    session: Session, readers: Readers, frame: Frame, schedule: Schedule, address_key: str
) -> Group | str | None:
    """The group of the reader with this address, as large as it is alone, or why there is none.

    Returns:
        None where no subscription to the newsletter is theirs.
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
    """Those of its newsletter's subscriptions that no build of this schedule looks at, by reason.

    Readers who left are in none of the numbers.
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


def _group(frame: Frame, start: int, newcomer: bool, had: str, readers: int) -> Group:
    return Group(
        start=start,
        # SQLite has no booleans of its own.
        newcomer=bool(newcomer),
        editions=frame.understood(had),
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
    """Why a subscription is none that this schedule's builds look at, or NULL."""
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


def _bits(editions: Iterable[int], word: int) -> int:
    """The number that tells of those of these editions that stand in this word."""
    return sum(1 << one % BLOCK_SIZE for one in editions if one // BLOCK_SIZE == word)


def _had(frame: Frame) -> ColumnElement[str]:
    """The reader's live editions that hold a candidate, as `Frame.told` tells of them."""
    return _joined([_bits_had(frame, word) for word in frame.words])


def _joined(numbers: Sequence[ColumnElement[int]]) -> ColumnElement[str]:
    """These numbers as text with commas between them.

    Joined half by half, because SQLite allows no deep expressions; the casts keep the halves apart.
    """
    if not numbers:
        return literal("")
    if len(numbers) == 1:
        return cast(numbers[0], String)
    half = len(numbers) // 2
    return cast(_joined(numbers[:half]), String) + "," + cast(_joined(numbers[half:]), String)


def _bits_had(frame: Frame, word: int) -> ColumnElement[int]:
    """Those of the reader's live editions that stand in this word.

    A sum sets bits, because a reader has an edition once at most. It is taken over an index that knows
    nothing of the status, so that the send loop, which changes that all the time, need not touch it;
    the few that were given back are taken off.
    """
    editions = [one for one in frame.editions if one // BLOCK_SIZE == word]
    bit = literal(1, BigInteger).bitwise_lshift(
        cast(Delivery.edition_id - word * BLOCK_SIZE, Integer)
    )
    all_bits = (
        select(func.coalesce(func.sum(bit), 0))
        .where(
            Delivery.edition_word == word,
            Delivery.subscriber_id == Subscription.subscriber_id,
            Delivery.edition_id.between(editions[0], editions[-1]),
        )
        .correlate(Subscription)
    )
    given_back = all_bits.where(is_in(Delivery, GIVEN_BACK))
    live = cast(all_bits.scalar_subquery() - given_back.scalar_subquery(), BigInteger)
    return live.bitwise_and(literal(_bits(editions, word), BigInteger))
