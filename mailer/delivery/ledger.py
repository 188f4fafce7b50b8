"""The ledger: the only statements that change the status of a delivery or a notice.

Every one of them names the statuses it may change, so a row that moved on in the meantime is left alone.
What the relay's words mean is decided in `mailer.delivery.outcome`; nothing here commits.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    case,
    literal,
    null,
    or_,
    select,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from mailer.db import UTCDateTime
from mailer.delivery.change import (
    DOUBT,
    HELD,
    RESEND,
    SKIP,
    TABLES,
    Claim,
    Outcome,
    RowId,
    Table,
    changing,
    claiming,
    is_in,
    recording,
    recording_together,
    releasing,
    starting,
)
from mailer.delivery.condition import (
    digest_is_sending,
    has_left_overs,
    is_finished,
    reader_may_be_mailed,
    sending_is_on,
    waits,
)
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Notice,
    Subscriber,
    Subscription,
    Worker,
)
from mailer.permission.rule import forgiven_before, notice_may_be_mailed, why_not


def work_waits(session: Session, now: datetime) -> bool:
    """Whether a claim would find a row, or a digest can be closed. Reads only, and no more than one row."""
    questions = (
        select(Notice.id).where(waits(Notice, now)),
        select(Delivery.id).where(waits(Delivery, now), digest_is_sending()),
        select(Digest.id).where(or_(is_finished(), has_left_overs())),
    )
    return any(session.scalar(question.limit(1)) is not None for question in questions)


def claim(session: Session, worker_id: int, limit: int, now: datetime) -> tuple[list[Claim], int]:
    """Take up to `limit` waiting rows for this worker, notices first.

    A row whose reader may not be mailed becomes `skipped` instead, with the reason in `reply`.

    Returns:
        The rows taken, and how many were skipped: only where both are none, no row waits.
    """
    claims, skipped = _take(session, Notice, _waiting_notices(), worker_id, limit, now)
    limit -= len(claims) + skipped
    if limit > 0:
        taken, stopped_readers = _take(
            session, Delivery, _waiting_deliveries(), worker_id, limit, now
        )
        claims += taken
        skipped += stopped_readers
    return claims, skipped


def start(session: Session, worker_id: int, rows: Collection[RowId], now: datetime) -> set[RowId]:
    """Enter that these mails are about to be the relay's, and say which of them may go.

    One conditional statement a table is fence, stop button and last check of the permission at once.
    Only when its transaction has been committed may the final dot of a granted row go out.
    """
    granted: set[RowId] = set()
    for table, ids in _by_table(rows).items():
        statement = _starting_deliveries() if table is Delivery else _starting_notices()
        found = session.connection().execute(
            statement, {"ids": ids, "holder": worker_id, "forgiven": forgiven_before(now)}
        )
        granted.update(RowId(table, row_id) for (row_id,) in found)
    return granted


def record(session: Session, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Enter what became of attempts. Doing it again changes nothing.

    A row that ends in doubt for the first time and has a `next_attempt_at` is queued once more.
    """
    groups: dict[tuple[Table, DeliveryStatus], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.row.table, outcome.status), []).append(outcome)
    connection = session.connection()
    for (table, status), group in groups.items():
        entries = [
            {
                "row_id": outcome.row.id,
                "holder": outcome.worker_id,
                "its_step": outcome.step,
                "its_code": outcome.code,
                "its_reply": outcome.reply,
                "again_at": outcome.next_attempt_at,
            }
            for outcome in group
        ]
        if connection.dialect.name == "postgresql":
            lists = {name: [entry[name] for entry in entries] for name in entries[0]}
            connection.execute(recording_together(table, status), {"at": now, **lists})
        else:
            connection.execute(
                recording(table, status), [{"at": now, **entry} for entry in entries]
            )
        if status is DeliveryStatus.UNKNOWN:
            for outcome in group:
                if outcome.next_attempt_at is not None:
                    _resend(session, table, [outcome.row.id], outcome.next_attempt_at)


def release(
    session: Session,
    worker_id: int,
    rows: Collection[RowId] | None = None,
    *,
    but: Collection[RowId] = (),
) -> None:
    """Give back rows that this worker claimed and did not start: `rows`, or all of them `but` some."""
    mine: dict[Table, list[int] | None] = {Delivery: None, Notice: None}
    kept = _by_table(but)
    for table, ids in mine.items() if rows is None else _by_table(rows).items():
        statement = releasing(table).where(
            is_in(table, HELD), table.worker_id == worker_id, table.id.not_in(kept.get(table, []))
        )
        session.execute(statement if ids is None else statement.where(table.id.in_(ids)))


def recover(session: Session, silent: Collection[int], *, resend: bool, now: datetime) -> int:
    """Take over the rows of workers that are held for dead.

    What they had only claimed waits again. What they were sending is in doubt: with `resend` it is
    queued once more, but only the first time.

    Returns:
        How many rows are in doubt because of this.
    """
    doubtful = 0
    for table in TABLES:
        session.execute(releasing(table).where(is_in(table, HELD), table.worker_id.in_(silent)))
        ids = session.scalars(
            changing(DOUBT, table)
            .where(is_in(table, HELD), table.worker_id.in_(silent))
            .values(
                in_doubt=table.in_doubt + 1,
                outcome_at=now,
                step="dot",
                code=None,
                reply="the worker ended before it could record what the relay said",
            )
            .returning(table.id)
        ).all()
        doubtful += len(ids)
        if resend and ids:
            _resend(session, table, ids, now)
    return doubtful


def holders_that_stopped(session: Session) -> frozenset[int]:
    """Workers that have stopped and still hold rows: nobody would give these back."""
    found: set[int] = set()
    for table in TABLES:
        found.update(
            session.scalars(
                select(Worker.id)
                .join(table, table.worker_id == Worker.id)
                .where(Worker.stopped_at.is_not(None), is_in(table, HELD))
            )
        )
    return frozenset(found)


def _take(
    session: Session,
    table: Table,
    waiting: Select[int, str | None],
    worker_id: int,
    limit: int,
    now: datetime,
) -> tuple[list[Claim], int]:
    found = (
        session.connection()
        .execute(waiting, {"at": now, "number": limit, "forgiven": forgiven_before(now)})
        .all()
    )
    stopped: dict[str, list[int]] = {}
    for row_id, reason in found:
        if reason is not None:
            stopped.setdefault(reason, []).append(row_id)
    for reason, ids in stopped.items():
        session.execute(
            changing(SKIP, table).where(table.id.in_(ids)).values(reply=reason, outcome_at=now)
        )
    free = [row_id for row_id, reason in found if reason is None]
    if not free:
        return [], len(found)
    taken = session.connection().execute(
        claiming(table), {"ids": free, "holder": worker_id, "at": now}
    )
    claims = [
        Claim(RowId(table, row_id), worker_id, attempts, first_attempt_at or now)
        for row_id, attempts, first_attempt_at in taken
    ]
    return sorted(claims, key=lambda claim: claim.row.id), len(found) - len(claims)


@cache
def _waiting_notices() -> Select[int, str | None]:
    stopped = case((_notice_may_be_mailed(), null()), else_=literal("suppressed"))
    return _in_turn(Notice, select(Notice.id, stopped).where(waits(Notice, bindparam("at"))))


@cache
def _waiting_deliveries() -> Select[int, str | None]:
    deliveries = (
        select(Delivery.id, why_not())
        .join(Digest, Digest.id == Delivery.digest_id)
        .join(Subscription, Subscription.id == Delivery.subscription_id)
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(waits(Delivery, bindparam("at")), Digest.status == DigestStatus.SENDING)
    )
    return _in_turn(Delivery, deliveries)


def _in_turn(table: Table, waiting: Select[int, str | None]) -> Select[int, str | None]:
    # SQLite compiles FOR UPDATE to nothing: there a writer is alone anyway.
    return (
        waiting.order_by(table.next_attempt_at, table.id)
        .limit(bindparam("number"))
        .with_for_update(skip_locked=True, of=table)
    )


@cache
def _starting_deliveries() -> ReturningUpdate[int]:
    return starting(Delivery, sending_is_on() & digest_is_sending() & reader_may_be_mailed())


@cache
def _starting_notices() -> ReturningUpdate[int]:
    return starting(Notice, sending_is_on() & _notice_may_be_mailed())


def _notice_may_be_mailed() -> ColumnElement[bool]:
    return notice_may_be_mailed(bindparam("forgiven", type_=UTCDateTime()))


def _resend(session: Session, table: Table, ids: Collection[int], at: datetime) -> None:
    session.execute(
        changing(RESEND, table)
        .where(table.id.in_(ids), table.in_doubt == 1)
        .values(worker_id=None, next_attempt_at=at)
    )


def _by_table(rows: Iterable[RowId]) -> dict[Table, list[int]]:
    found: dict[Table, list[int]] = {}
    for table, row_id in rows:
        found.setdefault(table, []).append(row_id)
    return found
