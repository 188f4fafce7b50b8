"""The rows of the ledger in a sender's hands, and the statements that change their status.

Says what may be done to a row, and from which statuses; `mailer.delivery.ledger` alone does it.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    String,
    Update,
    bindparam,
    case,
    column,
    func,
    null,
    or_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.types import TypeEngine

from mailer.db import BigId, UTCDateTime
from mailer.models import Delivery, DeliveryStatus, Notice

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


class Outcome(NamedTuple):
    """What became of an attempt.

    `next_attempt_at` is set where it is deferred, and where it is in doubt and may be sent once more.
    """

    row: RowId
    worker_id: int
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
CANCEL: Final = Change(frozenset({_S.QUEUED, _S.CLAIMED, _S.DEFERRED}), _S.CANCELLED)
OUTCOMES: Final = {
    change.after: change
    for change in (
        # A worker that others held for dead may still learn that the relay took the mail.
        Change(frozenset({_S.SENDING, _S.UNKNOWN}), _S.SENT),
        Change(frozenset({_S.CLAIMED, _S.SENDING}), _S.DEFERRED),
        Change(frozenset({_S.CLAIMED, _S.SENDING}), _S.FAILED),
        DOUBT,
    )
}
CHANGES: Final = (CLAIM, SKIP, START, RELEASE, RESEND, CANCEL, *OUTCOMES.values())


def is_in(table: Table, statuses: tuple[DeliveryStatus, ...]) -> ColumnElement[bool]:
    """True for rows in one of `statuses`, which are `WAITING` or `HELD`.

    Written out in the statement, in this order: the partial indexes have the same words, and with
    bound values neither database would see that they fit.
    """
    return table.status.in_(bindparam(None, statuses, expanding=True, literal_execute=True))


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
def claiming(table: Table) -> ReturningUpdate[int, int, datetime | None]:
    """Claims the rows `ids` for the worker `holder` at the time `at`."""
    first = func.coalesce(table.first_attempt_at, bindparam("at", type_=UTCDateTime()))
    return (
        changing(CLAIM, table)
        .where(table.id.in_(bindparam("ids", expanding=True)))
        .values(worker_id=bindparam("holder"), first_attempt_at=first)
        .returning(table.id, table.attempts, table.first_attempt_at)
    )


def starting(table: Table, allowed: ColumnElement[bool]) -> ReturningUpdate[int]:
    """Starts those of the rows `ids` that `holder` has claimed and of which `allowed` is true."""
    return (
        changing(START, table)
        .where(
            table.id.in_(bindparam("ids", expanding=True)),
            table.worker_id == bindparam("holder"),
            allowed,
        )
        .values(attempts=table.attempts + 1)
        .returning(table.id)
    )


_ENTRY: Final[dict[str, TypeEngine[Any]]] = {
    "row_id": BigId,
    "holder": BigId,
    "its_step": String(),
    "its_code": BigId,
    "its_reply": String(),
    "again_at": UTCDateTime(),
}
"""What is given for each outcome that is recorded."""


@cache
def recording(table: Table, status: DeliveryStatus) -> Update:
    """Enters one outcome, at the time `at`: see `_ENTRY` for its other values."""
    entry = {name: bindparam(name, type_=kind) for name, kind in _ENTRY.items()}
    return _recording(table, status, entry)


@cache
def recording_together(table: Table, status: DeliveryStatus) -> Update:
    """Enters many outcomes in one go, on PostgreSQL: of each of `_ENTRY` it is given a list.

    There each statement is a journey to the server.
    """
    lists = [bindparam(name, type_=ARRAY(kind)) for name, kind in _ENTRY.items()]
    columns = [column(name, kind) for name, kind in _ENTRY.items()]
    entry = func.unnest(*lists).table_valued(*columns, name="entry").render_derived()
    return _recording(table, status, {name: entry.c[name] for name in _ENTRY})


def _recording(
    table: Table, status: DeliveryStatus, entry: Mapping[str, ColumnElement[Any]]
) -> Update:
    # A refusal before the final dot comes to a row that was only claimed: it was an attempt too.
    charged = case((table.status == DeliveryStatus.CLAIMED, 1), else_=0)
    values: dict[str, Any] = {
        "attempts": table.attempts + charged,
        "outcome_at": bindparam("at", type_=UTCDateTime()),
        "step": entry["its_step"],
        "code": entry["its_code"],
        "reply": entry["its_reply"],
    }
    if status is DeliveryStatus.UNKNOWN:
        values["in_doubt"] = table.in_doubt + 1
    if status is DeliveryStatus.DEFERRED:
        values["next_attempt_at"] = entry["again_at"]
    return (
        changing(OUTCOMES[status], table)
        .where(table.id == entry["row_id"], table.worker_id == entry["holder"])
        .values(values)
    )


def releasing(table: Table) -> Update:
    """Gives back claimed rows; whose is for the caller to add."""
    # A mail that was never attempted has no date yet: it may wait for days before it is claimed again.
    never = case((table.attempts == 0, null()), else_=table.first_attempt_at)
    return changing(RELEASE, table).values(worker_id=None, first_attempt_at=never)
