"""Prepares the ledger's statements that are executed for every few mails.

Executes none of them: `claims`, `outcomes` and `recovery` do.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Integer,
    String,
    Update,
    and_,
    bindparam,
    case,
    column,
    func,
    literal,
    not_,
    null,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeEngine

from mailer.db import BigId, UTCDateTime
from mailer.db.prepared_statements import Among, AmongFirst, Prepared
from mailer.ledger.predicates import digest_is, reader_may_be_mailed, sending_is_on, waits
from mailer.ledger.transitions import (
    CLAIM,
    OUTCOMES,
    QUARANTINE,
    RELEASE,
    RESEND,
    SKIP,
    START,
    AttemptResult,
    Table,
    Transition,
    changing,
    ending,
)
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Notice,
    Subscriber,
    Subscription,
)
from mailer.permission.rule import forgiven_before, notice_may_be_mailed, why_not


@cache
def claiming(table: Table) -> Prepared:
    """Claim the first `number` rows that wait, of the digest `digest` or of all notices, for `holder`.

    Of the digest, those behind the row `after_id`, which is due at `after_at`. Returns their ids. Rows that
    another worker is about to claim are left out.
    """
    rows = select(table.id).where(waits(table, _at()))
    if table is Delivery:
        place = tuple_(Delivery.next_attempt_at, Delivery.id)
        after = tuple_(_at("after_at"), bindparam("after_id", type_=BigId))
        rows = rows.where(Delivery.digest_id == bindparam("digest"), place > after)
    # SQLite compiles FOR UPDATE to nothing: there a writer is alone anyway.
    rows = (
        rows.order_by(table.next_attempt_at, table.id)
        .limit(bindparam("number"))
        .with_for_update(skip_locked=True)
    )
    return Prepared(
        changing(CLAIM, table)
        .where(AmongFirst(table.id, rows))
        .values(
            worker_id=bindparam("holder"),
            first_attempt_at=func.coalesce(table.first_attempt_at, _at()),
        )
        .returning(table.id),
        table.id.type,
    )


@cache
def claimed(table: Table) -> Prepared:
    """Read the rows `ids`, first those that have waited longest, each with why it may not be mailed."""
    row: tuple[Any, ...] = (table.next_attempt_at, table.attempts)
    row += (table.first_attempt_at, table.crashes)
    if table is Notice:
        stopped = case((_notice_may_be_mailed(), null()), else_=literal("suppressed"))
        rows = select(table.id, stopped, *row)
    else:
        row += (
            Delivery.edition_id,
            Delivery.created_at,
            Subscriber.address,
            Subscriber.name,
            Subscription.public_id,
        )
        rows = (
            select(table.id, why_not(), *row)
            .join(Subscription, Subscription.id == Delivery.subscription_id)
            .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        )
    rows = rows.where(Among(table.id, "ids")).order_by(table.next_attempt_at, table.id)
    return Prepared(rows, table.id.type, String(), *(column.type for column in row))


_RESULT_TYPES: Final[dict[str, TypeEngine[Any]]] = {
    "row_id": BigId,
    "claimed_by": BigId,
    "attempt_number": BigId,
    "new_step": String(),
    "new_code": BigId,
    "new_reply": String(),
    "again_at": UTCDateTime(),
}
"""The parameters of each result. None has the name of a column: SQLAlchemy reserves those."""


@cache
def recording(table: Table, status: DeliveryStatus) -> Prepared:
    """Record one result, at the time `at`: see `result_values` for the other parameters."""
    parameters = {name: bindparam(name, type_=kind) for name, kind in _RESULT_TYPES.items()}
    return Prepared(_recording(table, status, parameters))


def result_values(result: AttemptResult) -> dict[str, Any]:
    """Return the parameters of one result, by the names of `_RESULT_TYPES`."""
    return {
        "row_id": result.row.id,
        "claimed_by": result.worker_id,
        "attempt_number": result.attempt,
        "new_step": result.step,
        "new_code": result.code,
        "new_reply": result.reply,
        "again_at": result.next_attempt_at,
    }


def result_lists(results: Sequence[AttemptResult], prefix: str) -> dict[str, list[Any]]:
    """Return the parameters of many results: a list for each name of `_RESULT_TYPES`."""
    values = [result_values(result) for result in results]
    return {prefix + name: [value[name] for value in values] for name in _RESULT_TYPES}


def _recording_together(table: Table, status: DeliveryStatus, prefix: str) -> Update:
    # Many results at once, whose parameters are `result_lists`.
    lists = [bindparam(prefix + name, type_=ARRAY(kind)) for name, kind in _RESULT_TYPES.items()]
    columns = [column(name, kind) for name, kind in _RESULT_TYPES.items()]
    rows = func.unnest(*lists).table_valued(*columns, name=f"{prefix}result").render_derived()
    return _recording(table, status, {name: rows.c[name] for name in _RESULT_TYPES})


def _recording(
    table: Table, status: DeliveryStatus, result: Mapping[str, ColumnElement[Any]]
) -> Update:
    # A row that was refused before the final dot was only claimed: that was an attempt too.
    charged = case((table.status == DeliveryStatus.CLAIMED, 1), else_=0)
    values: dict[str, Any] = {
        "outcome_at": bindparam("at", type_=UTCDateTime()),
        "step": result["new_step"],
        "code": result["new_code"],
        "reply": result["new_reply"],
    }
    if status is DeliveryStatus.SENT:
        # Whichever worker holds it now: only one sender has begun this attempt, and while the number is the
        # same none has begun another.
        is_same = and_(table.attempts == result["attempt_number"], table.attempts > 0)
    else:
        # A commit that failed may be made late, when this worker has begun another attempt.
        is_same = and_(
            table.worker_id == result["claimed_by"],
            table.attempts + charged == result["attempt_number"],
        )
        values["attempts"] = table.attempts + charged
    if status is DeliveryStatus.UNKNOWN:
        values["in_doubt"] = table.in_doubt + 1
    if status is DeliveryStatus.FAILED:
        # The relay may have what was in doubt before, whatever it says now.
        values["status"] = case(
            (table.in_doubt > 0, literal(DeliveryStatus.UNKNOWN, Delivery.status.type)),
            else_=literal(status, Delivery.status.type),
        )
    if status is DeliveryStatus.DEFERRED:
        values["next_attempt_at"] = result["again_at"]
    return (
        changing(OUTCOMES[status], table)
        .where(table.id == result["row_id"], is_same)
        .values(values)
    )


def releasing(table: Table) -> Update:
    """Build an UPDATE that gives back claimed rows; the caller adds which worker's."""
    return changing(RELEASE, table).values(_as_unclaimed(table))


def _as_unclaimed(table: Table) -> dict[str, Any]:
    # A mail that was never attempted has no date yet: it may wait for days before it is claimed again.
    first = case((table.attempts == 0, null()), else_=table.first_attempt_at)
    return {"worker_id": None, "first_attempt_at": first}


@cache
def resending(table: Table) -> Prepared:
    """Queue the rows `ids`, which are in doubt for the first time, once more for `again_at`."""
    statement = changing(RESEND, table).where(Among(table.id, "ids"), table.in_doubt == 1)
    if table is Delivery:
        # Queued, it would be cancelled, and its articles would be due to the reader again.
        statement = statement.where(not_(digest_is(DigestStatus.CANCELLED)))
    again_at = bindparam("again_at", type_=UTCDateTime())
    return Prepared(statement.values(worker_id=None, next_attempt_at=again_at))


@cache
def skipping(table: Table) -> list[Prepared]:
    """End those of the rows `ids` that `holder` has claimed and that may not be mailed, for `reason`."""
    return _ending_each(
        SKIP, table, reply=bindparam("reason", type_=String()), **_as_unclaimed(table)
    )


@cache
def giving_up_unreadable(table: Table) -> list[Prepared]:
    """End those of the rows `ids` that `holder` has claimed, and that cannot be read."""
    reply = "a value in its row, or in its reader's, cannot be read; correct it in the database"
    return _ending_each(QUARANTINE, table, step="compose", reply=reply)


def _ending_each(transition: Transition, table: Table, **values: Any) -> list[Prepared]:
    is_ours = and_(Among(table.id, "ids"), table.worker_id == bindparam("holder"))
    return [
        Prepared(statement.where(is_ours).values(outcome_at=_at(), **values))
        for statement in ending(transition, table)
    ]


@cache
def sources() -> Prepared:
    """Select what a claim takes rows from: the digests that are being sent, and 0 if a notice waits.

    Nothing while sending is paused.
    """
    notice_waits = select(Notice.id).where(waits(Notice, _at())).exists()
    return Prepared(
        union_all(
            select(Digest.id.label("source")).where(
                Digest.status == DigestStatus.SENDING, sending_is_on()
            ),
            select(literal(0)).where(notice_waits, sending_is_on()),
        ).order_by("source"),
        Digest.id.type,
    )


def _at(name: str = "at") -> BindParameter[datetime]:
    return bindparam(name, type_=UTCDateTime())


@cache
def starting(table: Table) -> Prepared:
    """Start those of the rows `ids` that `holder` has claimed and that may be mailed."""
    return Prepared(_starting(table), table.id.type)


def _starting(table: Table) -> ReturningUpdate[int]:
    if table is Delivery:
        allowed = sending_is_on() & digest_is(DigestStatus.SENDING) & reader_may_be_mailed()
    else:
        allowed = sending_is_on() & _notice_may_be_mailed()
    return (
        changing(START, table)
        .where(
            Among(table.id, f"{table.__tablename__}_ids"),
            table.worker_id == bindparam("holder"),
            allowed,
        )
        .values(attempts=table.attempts + 1)
        .returning(table.id)
    )


def start_values(
    worker_id: int, table: Table, ids: Collection[int], now: datetime
) -> dict[str, Any]:
    """Return the parameters of `starting` for these rows."""
    name = table.__tablename__
    return {f"{name}_ids": ids, "holder": worker_id, "forgiven": forgiven_before(now)}


@cache
def recording_and_starting(
    recorded: tuple[tuple[Table, DeliveryStatus], ...], started: tuple[Table, ...]
) -> Prepared:
    """Record results of these kinds and start rows of these tables, in one statement of PostgreSQL."""
    recordings = [
        _recording_together(table, status, f"r{number}_").cte(f"recorded_{number}")
        for number, (table, status) in enumerate(recorded)
    ]
    starts = [
        select(literal(number), _starting(table).cte(f"started_{number}").c.id)
        for number, table in enumerate(started)
    ]
    nothing = select(literal(0), null())
    return Prepared(union_all(*starts or [nothing]).add_cte(*recordings), Integer(), BigId)


def _notice_may_be_mailed() -> ColumnElement[bool]:
    return notice_may_be_mailed(bindparam("forgiven", type_=UTCDateTime()))
