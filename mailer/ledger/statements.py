"""The ledger's statements that are executed for every few mails, prepared.

They say what is asked and what is changed; `mailer.ledger.ledger` alone executes them.
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
    Select,
    String,
    Update,
    and_,
    bindparam,
    case,
    column,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeEngine

from mailer.db import BigId, UTCDateTime
from mailer.db.prepared import Among, Prepared
from mailer.ledger.predicates import digest_is_sending, reader_may_be_mailed, sending_is_on, waits
from mailer.ledger.transitions import (
    CLAIM,
    OUTCOMES,
    RELEASE,
    START,
    AttemptResult,
    Table,
    changing,
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
    """Claims the rows `ids`, which nobody else can change now, for `holder` at the time `at`."""
    first = func.coalesce(table.first_attempt_at, bindparam("at", type_=UTCDateTime()))
    return Prepared(
        changing(CLAIM, table)
        .where(Among(table.id, "ids"))
        .values(worker_id=bindparam("holder"), first_attempt_at=first)
    )


def _starting(table: Table, allowed: ColumnElement[bool]) -> ReturningUpdate[int]:
    """Starts those of the rows `ids` that `holder` has claimed and of which `allowed` is true."""
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


_ENTRY: Final[dict[str, TypeEngine[Any]]] = {
    "row_id": BigId,
    "its_holder": BigId,
    "its_attempt": BigId,
    "its_step": String(),
    "its_code": BigId,
    "its_reply": String(),
    "again_at": UTCDateTime(),
}
"""What is given for each outcome that is recorded."""


@cache
def recording(table: Table, status: DeliveryStatus) -> Prepared:
    """Enters one outcome, at the time `at`: see `entry` for its other values."""
    one = {name: bindparam(name, type_=kind) for name, kind in _ENTRY.items()}
    return Prepared(_recording(table, status, one))


def entry(outcome: AttemptResult) -> dict[str, Any]:
    """The values of one outcome, by the names of `_ENTRY`."""
    return {
        "row_id": outcome.row.id,
        "its_holder": outcome.worker_id,
        "its_attempt": outcome.attempt,
        "its_step": outcome.step,
        "its_code": outcome.code,
        "its_reply": outcome.reply,
        "again_at": outcome.next_attempt_at,
    }


def recording_together(table: Table, status: DeliveryStatus, prefix: str) -> Update:
    """Enters many outcomes in one go, on PostgreSQL: `entries` are its values.

    There each statement is a journey to the server.
    """
    lists = [bindparam(prefix + name, type_=ARRAY(kind)) for name, kind in _ENTRY.items()]
    columns = [column(name, kind) for name, kind in _ENTRY.items()]
    given = func.unnest(*lists).table_valued(*columns, name=f"{prefix}entry").render_derived()
    return _recording(table, status, {name: given.c[name] for name in _ENTRY})


def entries(outcomes: Sequence[AttemptResult], prefix: str) -> dict[str, list[Any]]:
    """The values of many outcomes: of each of `_ENTRY` a list."""
    given = [entry(outcome) for outcome in outcomes]
    return {prefix + name: [one[name] for one in given] for name in _ENTRY}


def _recording(
    table: Table, status: DeliveryStatus, given: Mapping[str, ColumnElement[Any]]
) -> Update:
    # A refusal before the final dot comes to a row that was only claimed: it was an attempt too.
    charged = case((table.status == DeliveryStatus.CLAIMED, 1), else_=0)
    values: dict[str, Any] = {
        "outcome_at": bindparam("at", type_=UTCDateTime()),
        "step": given["its_step"],
        "code": given["its_code"],
        "reply": given["its_reply"],
    }
    if status is DeliveryStatus.SENT:
        # Whoever held it, and whatever became of it since: only one sender has begun this attempt, and
        # while the number stands nobody has begun another.
        mine = and_(table.attempts == given["its_attempt"], table.attempts > 0)
    else:
        mine = table.worker_id == given["its_holder"]
        values["attempts"] = table.attempts + charged
    if status is DeliveryStatus.UNKNOWN:
        values["in_doubt"] = table.in_doubt + 1
    if status is DeliveryStatus.FAILED:
        # What was in doubt before the relay may have, whatever it says now.
        values["status"] = case(
            (table.in_doubt > 0, literal(DeliveryStatus.UNKNOWN, Delivery.status.type)),
            else_=literal(status, Delivery.status.type),
        )
    if status is DeliveryStatus.DEFERRED:
        values["next_attempt_at"] = given["again_at"]
    return changing(OUTCOMES[status], table).where(table.id == given["row_id"], mine).values(values)


def releasing(table: Table) -> Update:
    """Gives back claimed rows; whose is for the caller to add."""
    # A mail that was never attempted has no date yet: it may wait for days before it is claimed again.
    never = case((table.attempts == 0, null()), else_=table.first_attempt_at)
    return changing(RELEASE, table).values(worker_id=None, first_attempt_at=never)


@cache
def sources() -> Prepared:
    """The digests that are being sent, and 0 where a notice waits; nothing while sending is paused."""
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


@cache
def waiting_rows(table: Table) -> Prepared:
    """Reads the first rows that wait, of the digest `digest` or of all notices, and keeps others off them."""
    return _waiting(table)


@cache
def waiting_row(table: Table) -> Prepared:
    """As `waiting_rows`, but only the row `only`."""
    return _waiting(table, table.id == bindparam("only"))


@cache
def waiting_ids(table: Table) -> Prepared:
    """As `waiting_rows`, but only their ids: no other value of theirs is read."""
    its_digest = (Delivery.digest_id == bindparam("digest"),) if table is Delivery else ()
    return Prepared(_first(select(table.id), table, *its_digest), table.id.type)


def _waiting(table: Table, *where: ColumnElement[bool]) -> Prepared:
    addressed = table is Delivery
    stopped: ColumnElement[Any]
    if addressed:
        stopped = why_not()
        where = (Delivery.digest_id == bindparam("digest"), *where)
    else:
        stopped = case((_notice_may_be_mailed(), null()), else_=literal("suppressed"))
    row = (table.attempts, table.first_attempt_at, table.crashes)
    addressee = (
        Delivery.edition_id,
        Delivery.created_at,
        Subscriber.address,
        Subscriber.name,
        Subscription.public_id,
    )
    columns = (*row, *addressee) if addressed else row
    found = select(table.id, stopped, *columns)
    if addressed:
        found = found.join(Subscription, Subscription.id == Delivery.subscription_id).join(
            Subscriber, Subscriber.id == Subscription.subscriber_id
        )
    types = (column.type for column in columns)
    return Prepared(_first(found, table, *where), table.id.type, String(), *types)


def _first(found: Select[Any], table: Table, *where: ColumnElement[bool]) -> Select[Any]:
    # SQLite compiles FOR UPDATE to nothing: there a writer is alone anyway.
    return (
        found.where(waits(table, _at()), *where)
        .order_by(table.next_attempt_at, table.id)
        .limit(bindparam("number"))
        .with_for_update(skip_locked=True, of=table)
    )


def _at() -> BindParameter[datetime]:
    return bindparam("at", type_=UTCDateTime())


@cache
def starting(table: Table) -> Prepared:
    return Prepared(_start_statement(table), table.id.type)


def _start_statement(table: Table) -> ReturningUpdate[int]:
    if table is Delivery:
        allowed = sending_is_on() & digest_is_sending() & reader_may_be_mailed()
    else:
        allowed = sending_is_on() & _notice_may_be_mailed()
    return _starting(table, allowed)


def start_values(
    worker_id: int, table: Table, ids: Collection[int], now: datetime
) -> dict[str, Any]:
    name = table.__tablename__
    return {f"{name}_ids": ids, "holder": worker_id, "forgiven": forgiven_before(now)}


@cache
def turning(
    recorded: tuple[tuple[Table, DeliveryStatus], ...], started: tuple[Table, ...]
) -> Prepared:
    entered = [
        recording_together(table, status, f"r{number}_").cte(f"recorded_{number}")
        for number, (table, status) in enumerate(recorded)
    ]
    begun = [
        select(literal(number), _start_statement(table).cte(f"started_{number}").c.id)
        for number, table in enumerate(started)
    ]
    nothing = select(literal(0), null())
    return Prepared(union_all(*begun or [nothing]).add_cte(*entered), Integer(), BigId)


def _notice_may_be_mailed() -> ColumnElement[bool]:
    return notice_may_be_mailed(bindparam("forgiven", type_=UTCDateTime()))
