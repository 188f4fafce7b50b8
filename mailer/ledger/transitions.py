"""The rows of the ledger in a sender's hands, and the changes that their status may go through.

Says what may be done to a row, and from which statuses; `mailer.ledger.ledger` alone does it.
"""

from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Update,
    literal_column,
    or_,
    update,
)

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


class Addressee(NamedTuple):
    """Whom a delivery is for, and what goes to them."""

    edition_id: int
    created_at: datetime
    address: str
    name: str | None
    public_id: int


class Claim(NamedTuple):
    """A row that this worker holds. `first_attempt_at` dates the mail, at every attempt the same.

    `digest_id` and `addressee` are of a delivery; a notice has none.
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
DOUBT_AGAIN: Final = Change(frozenset({_S.QUEUED, _S.CLAIMED, _S.DEFERRED}), _S.UNKNOWN)
"""Of a row that was in doubt before: it was to be sent once more, and nothing came of that."""
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
CHANGES: Final = (
    CLAIM,
    SKIP,
    START,
    RELEASE,
    RESEND,
    QUARANTINE,
    CANCEL,
    DOUBT_AGAIN,
    *OUTCOMES.values(),
)


def is_in(table: Table, statuses: tuple[DeliveryStatus, ...]) -> ColumnElement[bool]:
    """True for rows in one of `statuses`, which are `WAITING`, `HELD` or `GIVEN_BACK`.

    Written out in the statement, in this order: the partial indexes have the same words, and with
    bound values neither database would see that they fit.
    """
    return table.status.in_([literal_column(f"'{status.value}'") for status in statuses])


def ending(change: Change, table: Table) -> list[Update]:
    """UPDATEs that end rows of `table` by this change, and what was ever in doubt as in doubt.

    The relay may have that, whatever became of sending it once more: ended otherwise its articles would
    be due to the reader again.
    """
    return [
        changing(DOUBT_AGAIN, table).where(table.in_doubt > 0),
        changing(change, table).where(table.in_doubt == 0),
    ]


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
