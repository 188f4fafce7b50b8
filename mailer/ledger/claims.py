"""Finds rows that wait, claims them for a worker, and gives them back."""

import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailer.db import is_unreadable
from mailer.db.prepared_statements import Queries, Query, Row
from mailer.ledger.predicates import has_left_overs, is_finished, sending_is_on, waits
from mailer.ledger.statements import (
    claiming,
    giving_up_unreadable,
    releasing,
    skipping,
    sources,
    waiting_ids,
    waiting_row,
    waiting_rows,
)
from mailer.ledger.transitions import (
    HELD,
    Addressee,
    Claim,
    RowId,
    Table,
    by_table,
    is_in,
)
from mailer.models import Delivery, Digest, DigestStatus, Notice
from mailer.permission.rule import forgiven_before

log = logging.getLogger(__name__)


def work_waits(session: Session, now: datetime) -> bool:
    """Tell whether a claim would find a row, or a digest can be closed. Reads at most one row."""
    waiting = select(Delivery.id).where(Delivery.digest_id == Digest.id, waits(Delivery, now))
    is_sending = Digest.status == DigestStatus.SENDING
    queries = (
        select(Notice.id).where(waits(Notice, now), sending_is_on()),
        select(Digest.id).where(is_sending, waiting.exists(), sending_is_on()),
        select(Digest.id).where(or_(is_finished(), has_left_overs())),
    )
    return any(session.scalar(query.limit(1)) is not None for query in queries)


def claim(
    worker_id: int,
    limit: int,
    now: datetime,
    *,
    rotation: int = 0,
    excluded: Collection[int] = (),
) -> Queries[tuple[list[Claim], int]]:
    """Claim up to `limit` waiting rows for this worker, notices first.

    A row whose reader may not be mailed becomes `skipped`, with the reason in `reply`. If it was in doubt
    before, it becomes `unknown` again.

    Args:
        rotation: grows with each claim, so that each time another digest comes first: a small one must
            not wait until a large one has gone out.
        excluded: digests of which nothing is claimed now.

    Returns:
        The rows claimed, and how many were skipped. If there are neither, no row waits.
    """
    claims: list[Claim] = []
    skipped = 0
    waiting = [source for (source,) in (yield Query(sources(), {"at": now}))]
    digests = [source for source in waiting if source and source not in excluded]
    if 0 in waiting:
        parameters = {"at": now, "number": limit, "forgiven": forgiven_before(now)}
        claims, skipped = yield from _take(Notice, worker_id, parameters)
    for position in range(len(digests)):
        room = limit - len(claims) - skipped
        if room <= 0:
            break
        digest_id = digests[(position + rotation) % len(digests)]
        parameters = {"at": now, "number": room, "digest": digest_id}
        more, more_skipped = yield from _take(Delivery, worker_id, parameters)
        claims += more
        skipped += more_skipped
    return claims, skipped


def release(
    session: Session,
    worker_id: int,
    rows: Collection[RowId] | None = None,
    *,
    kept: Collection[RowId] = (),
    again_at: datetime | None = None,
) -> None:
    """Give back rows that this worker claimed and did not start: `rows`, or all except `kept`.

    Args:
        again_at: when they are due; None leaves that as it was.
    """
    to_release: dict[Table, list[int] | None] = {Delivery: None, Notice: None}
    kept_ids = by_table(kept)
    for table, ids in to_release.items() if rows is None else by_table(rows).items():
        statement = releasing(table).where(
            is_in(table, HELD),
            table.worker_id == worker_id,
            table.id.not_in(kept_ids.get(table, [])),
        )
        if again_at is not None:
            statement = statement.values(next_attempt_at=again_at)
        session.execute(statement if ids is None else statement.where(table.id.in_(ids)))


def _take(
    table: Table, worker_id: int, parameters: Mapping[str, Any]
) -> Queries[tuple[list[Claim], int]]:
    now: datetime = parameters["at"]
    unreadable: list[int] = []
    try:
        rows = yield Query(waiting_rows(table), parameters)
    except Exception as error:
        if not is_unreadable(error):
            raise
        rows, unreadable = yield from _read_one_by_one(table, parameters)
    skipped: dict[str, list[int]] = {}
    claims = []
    for row_id, reason, attempts, first_attempt_at, crashes, *addressee in rows:
        if reason is not None:
            skipped.setdefault(reason, []).append(row_id)
            continue
        claims.append(
            Claim(
                RowId(table, row_id),
                worker_id,
                attempts,
                first_attempt_at or now,
                crashes,
                parameters.get("digest"),
                Addressee(*addressee) if addressee else None,
            )
        )
    for reason, ids in skipped.items():
        for statement in skipping(table):
            yield Query(statement, {"ids": ids, "reason": reason, "at": now})
    to_claim = [claim.row.id for claim in claims] + unreadable
    if to_claim:
        yield Query(claiming(table), {"ids": to_claim, "holder": worker_id, "at": now})
    if unreadable:
        for statement in giving_up_unreadable(table):
            yield Query(statement, {"ids": unreadable, "at": now})
    return claims, len(rows) - len(claims) + len(unreadable)


def _read_one_by_one(
    table: Table, parameters: Mapping[str, Any]
) -> Queries[tuple[list[Row], list[int]]]:
    """Return the waiting rows that can be read, and the ids of those that cannot."""
    rows: list[Row] = []
    unreadable: list[int] = []
    for (row_id,) in (yield Query(waiting_ids(table), parameters)):
        try:
            rows += yield Query(waiting_row(table), {**parameters, "only": row_id})
        except Exception as error:
            if not is_unreadable(error):
                raise
            # The error may quote the value, which may be a reader's name.
            log.error("%s %d cannot be read: %s", table.__tablename__, row_id, type(error).__name__)
            unreadable.append(row_id)
    return rows, unreadable
