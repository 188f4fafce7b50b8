"""The ledger: the only statements that change the status of a delivery or a notice.

Every one of them names the statuses it may change, so a row that moved on in the meantime is left alone.
What the relay's words mean is decided in `mailer.sending.smtp.verdict`; nothing here commits.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    CursorResult,
    and_,
    case,
    literal,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from mailer.db import UTCDateTime, is_unreadable
from mailer.ledger.predicates import (
    digest_is_cancelled,
    has_left_overs,
    is_finished,
    sending_is_on,
    waits,
)
from mailer.ledger.statements import (
    claiming,
    entries,
    entry,
    recording,
    releasing,
    sources,
    start_values,
    starting,
    turning,
    waiting_ids,
    waiting_row,
    waiting_rows,
)
from mailer.ledger.transitions import (
    DOUBT,
    HELD,
    QUARANTINE,
    RESEND,
    SKIP,
    TABLES,
    WAITING,
    Addressee,
    AttemptResult,
    Claim,
    RowId,
    Table,
    changing,
    ending,
    is_in,
)
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Notice,
    Worker,
)
from mailer.permission.rule import forgiven_before

log = logging.getLogger(__name__)

MOST_CRASHES = 3
"""So many workers may die of one mail."""


def work_waits(session: Session, now: datetime) -> bool:
    """Whether a claim would find a row, or a digest can be closed. Reads only, and no more than one row."""
    its_rows = select(Delivery.id).where(Delivery.digest_id == Digest.id, waits(Delivery, now))
    is_sending = Digest.status == DigestStatus.SENDING
    questions = (
        select(Notice.id).where(waits(Notice, now), sending_is_on()),
        select(Digest.id).where(is_sending, its_rows.exists(), sending_is_on()),
        select(Digest.id).where(or_(is_finished(), has_left_overs())),
    )
    return any(session.scalar(question.limit(1)) is not None for question in questions)


def claim(
    session: Session,
    worker_id: int,
    limit: int,
    now: datetime,
    *,
    turn: int = 0,
    but: Collection[int] = (),
) -> tuple[list[Claim], int]:
    """Take up to `limit` waiting rows for this worker, notices first.

    A row whose reader may not be mailed becomes `skipped` instead, with the reason in `reply`; or it is in
    doubt again, where it was before.

    Args:
        turn: which of the digests that are being sent comes first, counted round and round: a small
            one must not wait until a large one has gone out.
        but: digests of which none is taken now.

    Returns:
        The rows taken, and how many were skipped: only where both are none, no row waits.
    """
    claims: list[Claim] = []
    skipped = 0
    waiting = [source for (source,) in sources().execute(session, {"at": now})]
    digests = [source for source in waiting if source and source not in but]
    if 0 in waiting:
        given = {"at": now, "number": limit, "forgiven": forgiven_before(now)}
        claims, skipped = _take(session, Notice, worker_id, given)
    for position in range(len(digests)):
        room = limit - len(claims) - skipped
        if room <= 0:
            break
        digest_id = digests[(position + turn) % len(digests)]
        given = {"at": now, "number": room, "digest": digest_id}
        taken, stopped_readers = _take(session, Delivery, worker_id, given)
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
        found = starting(table).execute(session, start_values(worker_id, table, ids, now))
        granted.update(RowId(table, row_id) for (row_id,) in found)
    return granted


def record(session: Session, outcomes: Sequence[AttemptResult], now: datetime) -> None:
    """Enter what became of attempts. Doing it again changes nothing.

    A row that ends in doubt for the first time and has a `next_attempt_at` is queued once more, unless its
    digest was cancelled: then it stays in doubt, as the relay may have it.
    """
    for (table, status), group in _by_kind(outcomes).items():
        recording(table, status).execute_many(
            session, [{"at": now, **entry(outcome)} for outcome in group]
        )
        if status is DeliveryStatus.UNKNOWN:
            for outcome in group:
                if outcome.next_attempt_at is not None:
                    _resend(session, table, [outcome.row.id], outcome.next_attempt_at)


def turn(
    session: Session,
    worker_id: int,
    starts: Collection[RowId],
    outcomes: Sequence[AttemptResult],
    now: datetime,
) -> set[RowId]:
    """`record` these outcomes and `start` these rows, of which none may be in both.

    On PostgreSQL, where each statement is a journey, in one; unless some are in doubt.
    """
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    if not (is_postgresql and none_is_in_doubt(outcomes)):
        record(session, outcomes, now)
        return start(session, worker_id, starts, now)
    recorded, started = _by_kind(outcomes), _by_table(starts)
    values: dict[str, Any] = {"at": now}
    for number, group in enumerate(recorded.values()):
        values |= entries(group, f"r{number}_")
    for table, ids in started.items():
        values |= start_values(worker_id, table, ids, now)
    found = turning(tuple(recorded), tuple(started)).execute(session, values)
    tables = list(started)
    return {RowId(tables[number], row_id) for number, row_id in found if row_id is not None}


def none_is_in_doubt(outcomes: Iterable[AttemptResult]) -> bool:
    """Whether `turn` is one statement on PostgreSQL, and so may do without a transaction around it."""
    return not any(outcome.status is DeliveryStatus.UNKNOWN for outcome in outcomes)


def release(
    session: Session,
    worker_id: int,
    rows: Collection[RowId] | None = None,
    *,
    but: Collection[RowId] = (),
    again_at: datetime | None = None,
) -> None:
    """Give back rows that this worker claimed and did not start: `rows`, or all of them `but` some.

    Args:
        again_at: when they are due; None: as before.
    """
    mine: dict[Table, list[int] | None] = {Delivery: None, Notice: None}
    kept = _by_table(but)
    for table, ids in mine.items() if rows is None else _by_table(rows).items():
        statement = releasing(table).where(
            is_in(table, HELD), table.worker_id == worker_id, table.id.not_in(kept.get(table, []))
        )
        if again_at is not None:
            statement = statement.values(next_attempt_at=again_at)
        session.execute(statement if ids is None else statement.where(table.id.in_(ids)))


def clamp_due_times(session: Session, longest_waits: Sequence[timedelta], now: datetime) -> int:
    """Have nothing wait for longer than it may: a clock that was ahead may have put it off by hours.

    Doing it again changes nothing. What the limits on sign-ups put off stays as it is.

    Args:
        longest_waits: of a row that was attempted 0, 1, 2, … times; the last one is of all after it.

    Returns:
        How many rows are due sooner than they were.
    """
    *some, last = (now + wait for wait in longest_waits)
    number = 0
    for table in TABLES:
        latest = case(
            {attempts: literal(at, UTCDateTime()) for attempts, at in enumerate(some)},
            value=table.attempts,
            else_=literal(last, UTCDateTime()),
        )
        statement = update(table).where(
            is_in(table, WAITING), table.next_attempt_at > now, table.next_attempt_at > latest
        )
        if table is Notice:
            statement = statement.where(or_(Notice.not_before.is_(None), Notice.attempts > 0))
        else:
            # By digest: so the index is of use.
            open_ones = select(Digest.id).where(
                Digest.status.in_((DigestStatus.SENDING, DigestStatus.PAUSED))
            )
            statement = statement.where(Delivery.digest_id.in_(open_ones))
        hastened = session.execute(
            statement.values(next_attempt_at=latest).execution_options(synchronize_session=False)
        )
        number += cast("CursorResult[Any]", hastened).rowcount
    return number


def suspect(session: Session, claim: Claim, crashes: int) -> None:
    """Enter of a row that this worker has claimed how often a worker may have died while it made the mail."""
    table = claim.row.table
    session.execute(
        update(table)
        .where(
            table.id == claim.row.id,
            table.worker_id == claim.worker_id,
            table.status == DeliveryStatus.CLAIMED,
        )
        .values(crashes=crashes)
        .execution_options(synchronize_session=False)
    )


def recover(session: Session, silent: Collection[int], *, resend: bool, now: datetime) -> int:
    """Take over the rows of workers that are held for dead.

    What they had only claimed waits again, unless three workers have died while they made it: then it
    has failed. What they were sending is in doubt: with `resend` it is queued once more, but only the
    first time, and not where its digest was cancelled.

    Returns:
        How many rows are in doubt because of this.
    """
    doubtful = 0
    for table in TABLES:
        theirs = and_(is_in(table, HELD), table.worker_id.in_(silent))
        for statement in ending(QUARANTINE, table):
            session.execute(
                statement.where(
                    theirs,
                    table.crashes >= MOST_CRASHES,
                    table.status == DeliveryStatus.CLAIMED,
                ).values(
                    outcome_at=now,
                    step="compose",
                    reply=f"{MOST_CRASHES} workers ended while they made this mail; it is not tried again",
                )
            )
        # Any of them may be the one that it died of. One that was tried out alone has been counted.
        once = case((table.crashes == 0, 1), else_=table.crashes)
        session.execute(releasing(table).where(theirs).values(crashes=once))
        ids = session.scalars(
            changing(DOUBT, table)
            .where(theirs)
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
    session: Session, table: Table, worker_id: int, given: Mapping[str, Any]
) -> tuple[list[Claim], int]:
    now: datetime = given["at"]
    unreadable: list[int] = []
    try:
        found = waiting_rows(table).execute(session, given)
    except Exception as error:
        if not is_unreadable(error):
            raise
        found, unreadable = _one_by_one(session, table, given)
    stopped: dict[str, list[int]] = {}
    claims = []
    for row_id, reason, attempts, first_attempt_at, crashes, *addressee in found:
        if reason is not None:
            stopped.setdefault(reason, []).append(row_id)
            continue
        claims.append(
            Claim(
                RowId(table, row_id),
                worker_id,
                attempts,
                first_attempt_at or now,
                crashes,
                given.get("digest"),
                Addressee(*addressee) if addressee else None,
            )
        )
    for reason, ids in stopped.items():
        for statement in ending(SKIP, table):
            session.execute(statement.where(table.id.in_(ids)).values(reply=reason, outcome_at=now))
    if claims:
        ids = [one.row.id for one in claims]
        claiming(table).execute(session, {"ids": ids, "holder": worker_id, "at": now})
    if unreadable:
        _fail_unreadable(session, table, unreadable, worker_id, now)
    return claims, len(found) - len(claims) + len(unreadable)


def _one_by_one(
    session: Session, table: Table, given: Mapping[str, Any]
) -> tuple[list[tuple[Any, ...]], list[int]]:
    """The rows that wait and can be read, and the ids of those that cannot."""
    found: list[tuple[Any, ...]] = []
    unreadable: list[int] = []
    for (row_id,) in waiting_ids(table).execute(session, given):
        try:
            found += waiting_row(table).execute(session, {**given, "only": row_id})
        except Exception as error:
            if not is_unreadable(error):
                raise
            # The error may quote the value, which may be a reader's name.
            log.error("%s %d cannot be read: %s", table.__tablename__, row_id, type(error).__name__)
            unreadable.append(row_id)
    return found, unreadable


def _fail_unreadable(
    session: Session, table: Table, ids: Sequence[int], worker_id: int, now: datetime
) -> None:
    claiming(table).execute(session, {"ids": ids, "holder": worker_id, "at": now})
    for statement in ending(QUARANTINE, table):
        session.execute(
            statement.where(table.id.in_(ids)).values(
                outcome_at=now,
                step="compose",
                reply="a value in its row, or in its reader's, cannot be read; mend it in the database",
            )
        )


def _resend(session: Session, table: Table, ids: Collection[int], at: datetime) -> None:
    statement = changing(RESEND, table).where(table.id.in_(ids), table.in_doubt == 1)
    if table is Delivery:
        # Queued, it would be cancelled, and its articles would be due to the reader again.
        statement = statement.where(not_(digest_is_cancelled()))
    session.execute(statement.values(worker_id=None, next_attempt_at=at))


def _by_kind(
    outcomes: Iterable[AttemptResult],
) -> dict[tuple[Table, DeliveryStatus], list[AttemptResult]]:
    groups: dict[tuple[Table, DeliveryStatus], list[AttemptResult]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.row.table, outcome.status), []).append(outcome)
    return groups


def _by_table(rows: Iterable[RowId]) -> dict[Table, list[int]]:
    found: dict[Table, list[int]] = {}
    for table, row_id in rows:
        found.setdefault(table, []).append(row_id)
    return found
