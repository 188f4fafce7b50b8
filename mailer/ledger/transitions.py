"""Defines which status of a delivery or notice may follow which, and the values that a sender holds of a row.

Only builds statements; the other modules of `mailer.ledger` execute them.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, String, Update, literal_column, or_, type_coerce, update

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


def by_table(rows: Iterable[RowId]) -> dict[Table, list[int]]:
    """Group these rows' ids by their table, always in the same order."""
    ids: dict[Table, list[int]] = {}
    for table, row_id in rows:
        ids.setdefault(table, []).append(row_id)
    return {table: ids[table] for table in TABLES if table in ids}


class Addressee(NamedTuple):
    """The reader of a delivery, and the edition that goes to them."""

    edition_id: int
    created_at: datetime
    address: str
    name: str | None
    public_id: int


class Claim(NamedTuple):
    """A row that this worker holds. `first_attempt_at` dates the mail, the same at every attempt.

    A notice has no `digest_id` and no `addressee`.
    """

    row: RowId
    worker_id: int
    attempts: int
    first_attempt_at: datetime
    crashes: int = 0
    digest_id: int | None = None
    addressee: Addressee | None = None


class AttemptResult(NamedTuple):
    """What became of an attempt, the row's `attempt`th.

    `next_attempt_at` is set if the mail is deferred, or in doubt and may be sent once more.
    """

    row: RowId
    worker_id: int
    attempt: int
    status: DeliveryStatus
    step: str | None
    code: int | None
    reply: str | None
    next_attempt_at: datetime | None = None


class Transition(NamedTuple):
    """A change of status: from any of `before` to `after`."""

    before: frozenset[DeliveryStatus]
    after: DeliveryStatus


CLAIM: Final = Transition(frozenset(WAITING), _S.CLAIMED)
SKIP: Final = Transition(frozenset({_S.CLAIMED}), _S.SKIPPED)
START: Final = Transition(frozenset({_S.CLAIMED}), _S.SENDING)
RELEASE: Final = Transition(frozenset({_S.CLAIMED}), _S.QUEUED)
DOUBT: Final = Transition(frozenset({_S.SENDING}), _S.UNKNOWN)
RESEND: Final = Transition(frozenset({_S.UNKNOWN}), _S.QUEUED)
QUARANTINE: Final = Transition(frozenset({_S.CLAIMED}), _S.FAILED)
CANCEL: Final = Transition(frozenset({_S.QUEUED, _S.CLAIMED, _S.DEFERRED}), _S.CANCELLED)
DOUBT_AGAIN: Final = Transition(frozenset({_S.QUEUED, _S.CLAIMED, _S.DEFERRED}), _S.UNKNOWN)
"""For a row that was in doubt before, was queued to be sent once more, and was not sent."""
OUTCOMES: Final = {
    # A worker that others considered dead may still learn that the relay took the mail.
    _S.SENT: Transition(frozenset({_S.SENDING, _S.UNKNOWN, _S.QUEUED, _S.CLAIMED}), _S.SENT),
    _S.DEFERRED: Transition(frozenset({_S.CLAIMED, _S.SENDING}), _S.DEFERRED),
    _S.FAILED: Transition(frozenset({_S.CLAIMED, _S.SENDING}), _S.FAILED),
    _S.UNKNOWN: DOUBT,
}
_OTHERS: Final = (CLAIM, SKIP, START, RELEASE, RESEND, QUARANTINE, CANCEL, DOUBT_AGAIN)
TRANSITIONS: Final = (*_OTHERS, *OUTCOMES.values())
"""All changes of status. A status that no change begins with is final."""


def is_in(table: Table, statuses: tuple[DeliveryStatus, ...]) -> ColumnElement[bool]:
    """Match rows in one of `statuses`, which are `WAITING`, `HELD` or `GIVEN_BACK`.

    Written out in the statement, in this order: the partial indexes have the same words, and with
    bound values neither database would see that they fit.
    """
    return table.status.in_([literal_column(f"'{status.value}'") for status in statuses])


def ending(transition: Transition, table: Table) -> list[Update]:
    """Build UPDATEs that end rows of `table` by this transition. What was ever in doubt ends in doubt.

    The relay may have it, even if it was not sent once more. Ended otherwise, its articles would be due to
    the reader again.
    """
    return [
        changing(DOUBT_AGAIN, table).where(table.in_doubt > 0),
        changing(transition, table).where(table.in_doubt == 0),
    ]


def changing(transition: Transition, table: Table) -> Update:
    """Build an UPDATE that makes this transition, and only this one, on rows of `table`."""
    # Not IN: an executemany cannot expand it. And not the column itself: PostgreSQL would find a row not by
    # its id but by walking a partial index of the rows in this status, and all that have left it.
    status = type_coerce(table.status, String).concat("")
    before = or_(*(status == one.value for one in sorted(transition.before)))
    return (
        update(table)
        .where(before)
        .values(status=transition.after)
        .execution_options(synchronize_session=False)
    )
