"""The rows of the ledger in a sender's hands, and the statements that change their status.

Says what may be done to a row, and from which statuses; `mailer.delivery.ledger` alone does it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    String,
    Update,
    and_,
    bindparam,
    case,
    column,
    func,
    literal_column,
    null,
    or_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeEngine

from mailer.db import BigId, UTCDateTime
from mailer.models import Delivery, DeliveryStatus, Notice
from mailer.prepared import Among, Prepared

Table = type[Delivery] | type[Notice]

TABLES: Final[tuple[Table, ...]] = (Notice, Delivery)

_S = DeliveryStatus

WAITING: Final = (_S.QUEUED, _S.DEFERRED)
"""A row in one of these is claimed when its time has come."""

HELD: Final = (_S.CLAIMED, _S.SENDING)
"""A row in one of these belongs to the worker that its `worker_id` names."""


class RowId(NamedTuple):
    """One row of the ledger: a delivery or a notice."""

    table: Table
    id: int

    def __str__(self) -> str:
        return f"{self.table.__tablename__} {self.id}"


class Claim(NamedTuple):
    """A row that this worker holds. `first_attempt_at` dates the mail, at every attempt the same."""

    row: RowId
    worker_id: int
    attempts: int
    first_attempt_at: datetime
    crashes: int = 0
    digest_id: int | None = None


class Outcome(NamedTuple):
    """What became of an attempt, the row's `attempt`th.

    `next_attempt_at` is set where it is deferred, and where it is in doubt and may be sent once more.
    """

    row: RowId
    worker_id: int
    attempt: int
    status: DeliveryStatus
    step: str | None
    code: int | None
    reply: str | None
    next_attempt_at: datetime | None = None


class Change(NamedTuple):
    """A change of status: from which ones to which."""

    before: frozenset[DeliveryStatus]
    after: DeliveryStatus


CLAIM: Final = Change(frozenset(WAITING), _S.CLAIMED)
SKIP: Final = Change(frozenset(WAITING), _S.SKIPPED)
START: Final = Change(frozenset({_S.CLAIMED}), _S.SENDING)
RELEASE: Final = Change(frozenset({_S.CLAIMED}), _S.QUEUED)
DOUBT: Final = Change(frozenset({_S.SENDING}), _S.UNKNOWN)
RESEND: Final = Change(frozenset({_S.UNKNOWN}), _S.QUEUED)
QUARANTINE: Final = Change(frozenset({_S.CLAIMED}), _S.FAILED)
CANCEL: Final = Change(frozenset({_S.QUEUED, _S.CLAIMED, _S.DEFERRED}), _S.CANCELLED)
OUTCOMES: Final = {
    change.after: change
    for change in (
        # A worker that others held for dead may still learn that the relay took the mail.
        Change(frozenset({_S.SENDING, _S.UNKNOWN, _S.QUEUED, _S.CLAIMED}), _S.SENT),
        Change(frozenset({_S.CLAIMED, _S.SENDING}), _S.DEFERRED),
        Change(frozenset({_S.CLAIMED, _S.SENDING}), _S.FAILED),
        DOUBT,
    )
}
CHANGES: Final = (CLAIM, SKIP, START, RELEASE, RESEND, QUARANTINE, CANCEL, *OUTCOMES.values())


def is_in(table: Table, statuses: tuple[DeliveryStatus, ...]) -> ColumnElement[bool]:
    """True for rows in one of `statuses`, which are `WAITING` or `HELD`.

    Written out in the statement, in this order: the partial indexes have the same words, and with
    bound values neither database would see that they fit.
    """
    return table.status.in_([literal_column(f"'{status.value}'") for status in statuses])


def changing(change: Change, table: Table) -> Update:
    """An UPDATE that makes this change, and only this change, to rows of `table`."""
    # Not IN: an executemany cannot expand it.
    before = or_(*(table.status == status for status in sorted(change.before)))
    return (
        update(table)
        .where(before)
        .values(status=change.after)
        .execution_options(synchronize_session=False)
    )


# The statements below are executed for every few mails, and SQLAlchemy takes longer to build one than a
# database to execute it: they are built once.


@cache
def claiming(table: Table) -> Prepared:
    """Claims the rows `ids`, which nobody else can change now, for `holder` at the time `at`."""
    first = func.coalesce(table.first_attempt_at, bindparam("at", type_=UTCDateTime()))
    return Prepared(
        changing(CLAIM, table)
        .where(Among(table.id, "ids"))
        .values(worker_id=bindparam("holder"), first_attempt_at=first)
    )


def starting(table: Table, allowed: ColumnElement[bool]) -> ReturningUpdate[int]:
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


def entry(outcome: Outcome) -> dict[str, Any]:
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


def entries(outcomes: Sequence[Outcome], prefix: str) -> dict[str, list[Any]]:
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
    if status is DeliveryStatus.DEFERRED:
        values["next_attempt_at"] = given["again_at"]
    return changing(OUTCOMES[status], table).where(table.id == given["row_id"], mine).values(values)


def releasing(table: Table) -> Update:
    """Gives back claimed rows; whose is for the caller to add."""
    # A mail that was never attempted has no date yet: it may wait for days before it is claimed again.
    never = case((table.attempts == 0, null()), else_=table.first_attempt_at)
    return changing(RELEASE, table).values(worker_id=None, first_attempt_at=never)
