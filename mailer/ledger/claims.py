"""Finds rows that wait, claims them for a worker, and gives them back."""

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailer.db import is_unreadable
from mailer.db.prepared_statements import Queries, Query, Row
from mailer.ledger.last_claims import BEGINNING, LastClaims, Place
from mailer.ledger.predicates import has_left_overs, is_finished, sending_is_on, waits
from mailer.ledger.statements import (
    claimed,
    claiming,
    giving_up_unreadable,
    releasing,
    skipping,
    sources,
)
from mailer.ledger.transitions import (
    HELD,
    OUTCOMES,
    TABLES,
    Addressee,
    Claim,
    RowId,
    Table,
    by_table,
    changing,
    is_in,
)
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus, Notice
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
    last_claims: LastClaims | None = None,
) -> Queries[tuple[list[Claim], int]]:
    """Claim up to `limit` waiting rows for this worker, notices first.

    A row whose reader may not be mailed becomes `skipped`, with the reason in `reply`. If it was in doubt
    before, it becomes `unknown` again.

    Args:
        rotation: grows with each claim, so that each time another digest comes first: a small one must
            not wait until a large one has gone out.
        excluded: digests of which nothing is claimed now.
        last_claims: of this sender; None: there were none.

    Returns:
        The rows claimed, and how many were skipped. If there are neither, no row waits.
    """
    last_claims = LastClaims() if last_claims is None else last_claims
    claims: list[Claim] = []
    skipped = 0
    common = {"at": now, "holder": worker_id}
    waiting = last_claims.sources(now)
    if not waiting:
        waiting = [source for (source,) in (yield Query(sources(), {"at": now}))]
        last_claims.remember_sources(waiting, now)
    digests = [source for source in waiting if source and source not in excluded]
    if 0 in waiting:
        parameters = {**common, "number": limit, "forgiven": forgiven_before(now)}
        ids = yield Query(claiming(Notice), parameters)
        claims, skipped, _ = yield from _read_claimed(Notice, ids, parameters)
    for position in range(len(digests)):
        room = limit - len(claims) - skipped
        if room <= 0:
            break
        digest_id = digests[(position + rotation) % len(digests)]
        parameters = {**common, "number": room, "digest": digest_id}
        more, more_skipped = yield from _claim_from(last_claims, parameters)
        claims += more
        skipped += more_skipped
    if len(claims) + skipped < limit:
        # Something is used up.
        last_claims.remember_sources((), now)
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
        # An id finds its row without walking over all that was held before.
        which = is_in(table, HELD) if ids is None else table.id.in_(ids)
        statement = releasing(table).where(
            which, table.worker_id == worker_id, table.id.not_in(kept_ids.get(table, []))
        )
        if again_at is not None:
            statement = statement.values(next_attempt_at=again_at)
        session.execute(statement)


def release_unknown(
    session: Session, worker_id: int, known: Collection[RowId], now: datetime
) -> None:
    """Give back all rows of this worker but those that it knows of.

    A commit that failed may have been made. What it claimed was never begun, and of what it started no final
    dot was sent, for the sender knows of each one.
    """
    release(session, worker_id, kept=known)
    known_ids = by_table(known)
    for table in TABLES:
        session.execute(
            changing(OUTCOMES[DeliveryStatus.DEFERRED], table)
            .where(
                is_in(table, HELD),
                table.status == DeliveryStatus.SENDING,
                table.worker_id == worker_id,
                table.id.not_in(known_ids.get(table, [])),
            )
            .values(next_attempt_at=now, outcome_at=now, step="block", code=None)
            .values(reply="it was stopped before the final dot")
        )


def _claim_from(
    last_claims: LastClaims, parameters: Mapping[str, Any]
) -> Queries[tuple[list[Claim], int]]:
    digest_id, number = parameters["digest"], parameters["number"]
    begin = last_claims.begin(digest_id, parameters["at"])
    ids = yield Query(claiming(Delivery), {**parameters, **begin._asdict()})
    is_full = len(ids) == number
    if not is_full and begin is not BEGINNING:
        rest = {"number": number - len(ids), **BEGINNING._asdict()}
        ids = ids + (yield Query(claiming(Delivery), {**parameters, **rest}))
    claims, skipped, last = yield from _read_claimed(Delivery, ids, parameters)
    last_claims.end(digest_id, last if is_full else None)
    return claims, skipped


def _read_claimed(
    table: Table, claimed_ids: Sequence[Row], parameters: Mapping[str, Any]
) -> Queries[tuple[list[Claim], int, Place | None]]:
    """Read rows that were claimed, and end those that are not to be sent.

    Returns:
        The others, how many were ended, and the place of the last one that can be read.
    """
    ids = [row_id for (row_id,) in claimed_ids]
    if not ids:
        return [], 0, None
    rows, unreadable = yield from _read(table, ids, parameters)
    skipped: dict[str, list[int]] = {}
    claims = []
    place = None
    for row_id, reason, due_at, attempts, first_attempt_at, crashes, *addressee in rows:
        place = Place(due_at, row_id)
        if reason is not None:
            skipped.setdefault(reason, []).append(row_id)
            continue
        claims.append(
            Claim(
                RowId(table, row_id),
                parameters["holder"],
                attempts,
                first_attempt_at,
                crashes,
                parameters.get("digest"),
                Addressee(*addressee) if addressee else None,
            )
        )
    for reason, stopped in skipped.items():
        for statement in skipping(table):
            yield Query(statement, {**parameters, "ids": stopped, "reason": reason})
    if unreadable:
        for statement in giving_up_unreadable(table):
            yield Query(statement, {**parameters, "ids": unreadable})
    return claims, len(ids) - len(claims), place


def _read(
    table: Table, ids: list[int], parameters: Mapping[str, Any]
) -> Queries[tuple[list[Row], list[int]]]:
    """Return the claimed rows that can be read, and the ids of those that cannot."""
    try:
        return (yield Query(claimed(table), {**parameters, "ids": ids})), []
    except Exception as error:
        if not is_unreadable(error):
            raise
        if len(ids) == 1:
            # The error may quote the value, which may be a reader's name.
            log.error("%s %d cannot be read: %s", table.__tablename__, ids[0], type(error).__name__)
            return [], ids
    rows: list[Row] = []
    unreadable: list[int] = []
    for row_id in ids:
        more, more_unreadable = yield from _read(table, [row_id], parameters)
        rows += more
        unreadable += more_unreadable
    return rows, unreadable
