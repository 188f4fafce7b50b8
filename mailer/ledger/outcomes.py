"""Records what became of attempts, and starts mails: grants their final dots."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from mailer.db.prepared_statements import Queries, Query, Values
from mailer.ledger.statements import (
    recording,
    recording_and_starting,
    resending,
    result_lists,
    result_values,
    start_values,
    starting,
)
from mailer.ledger.transitions import AttemptResult, RowId, Table, by_table
from mailer.models import DeliveryStatus


def start(worker_id: int, rows: Collection[RowId], now: datetime) -> Queries[set[RowId]]:
    """Record that these mails are about to be handed to the relay, and return which of them may go.

    One conditional statement a table is fence, stop button and last check of the permission at once.
    The final dot of a granted row may go out only after this transaction has been committed.
    """
    granted: set[RowId] = set()
    for table, ids in by_table(rows).items():
        started = yield Query(starting(table), start_values(worker_id, table, ids, now))
        granted.update(RowId(table, row_id) for (row_id,) in started)
    return granted


def record(results: Sequence[AttemptResult], now: datetime) -> Queries[None]:
    """Record what became of attempts. Doing it again changes nothing.

    A row that ends in doubt for the first time and has a `next_attempt_at` is queued once more, unless its
    digest was cancelled: then it stays in doubt, because the relay may have it.
    """
    for (table, status), group in _by_kind(results).items():
        values: list[Values] = [{"at": now, **result_values(result)} for result in group]
        yield Query(recording(table, status), values)
        if status is DeliveryStatus.UNKNOWN:
            for result in group:
                if result.next_attempt_at is not None:
                    yield from resend_once(table, [result.row.id], result.next_attempt_at)


def record_and_start(
    worker_id: int,
    results: Sequence[AttemptResult],
    starts: Collection[RowId],
    now: datetime,
    together: bool,
) -> Queries[set[RowId]]:
    """Do what `record` does for these results and `start` for these rows. No row may be in both.

    Args:
        together: on PostgreSQL, where each statement costs a round trip, in one statement, unless a result
            is in doubt.
    """
    if not (together and none_is_in_doubt(results)):
        yield from record(results, now)
        return (yield from start(worker_id, starts, now))
    recorded, started = _by_kind(results), by_table(starts)
    if not recorded and not started:
        return set()
    values: dict[str, Any] = {"at": now}
    for number, group in enumerate(recorded.values()):
        values |= result_lists(group, f"r{number}_")
    for table, ids in started.items():
        values |= start_values(worker_id, table, ids, now)
    granted = yield Query(recording_and_starting(tuple(recorded), tuple(started)), values)
    tables = list(started)
    return {RowId(tables[number], row_id) for number, row_id in granted if row_id is not None}


def none_is_in_doubt(results: Iterable[AttemptResult]) -> bool:
    """Tell whether `record_and_start` is one statement on PostgreSQL, and needs no transaction around it."""
    return not any(result.status is DeliveryStatus.UNKNOWN for result in results)


def resend_once(table: Table, ids: Collection[int], at: datetime) -> Queries[None]:
    """Queue these rows in doubt once more, if it is the first time and their digest was not cancelled."""
    yield Query(resending(table), {"ids": ids, "again_at": at})


def _by_kind(
    results: Iterable[AttemptResult],
) -> dict[tuple[Table, DeliveryStatus], list[AttemptResult]]:
    groups: dict[tuple[Table, DeliveryStatus], list[AttemptResult]] = {}
    for result in results:
        groups.setdefault((result.row.table, result.status), []).append(result)
    # Always in one order, so that the same kinds make the same statement, which is prepared once.
    return dict(sorted(groups.items(), key=lambda kind: (kind[0][0].__tablename__, kind[0][1])))
