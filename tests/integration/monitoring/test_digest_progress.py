"""What people see of a digest that is being sent, out of the ledger."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailer.db import Database
from mailer.ledger import digest_state, in_doubt, pause
from mailer.models import Delivery, DeliveryStatus, Digest, DigestStatus
from mailer.monitoring.digest_progress import (
    LaterMails,
    Progress,
    describe_digest,
    later_mails,
    read_progress,
    read_standing,
)
from mailer.tokens import Keys
from tests.support.factories import NOW
from tests.support.sending import build

SECOND = timedelta(seconds=1)

Row = tuple[DeliveryStatus, timedelta, timedelta | None]
"""Status, wait from NOW to the next attempt, and from NOW to the outcome."""


def written(database: Database, keys: Keys, rows: list[Row]) -> int:
    digest_id = build(database, keys, len(rows))
    with database.write() as session:
        deliveries = session.scalars(select(Delivery).order_by(Delivery.id))
        for row, (status, wait, outcome) in zip(deliveries, rows, strict=True):
            row.status, row.next_attempt_at = status, NOW + wait
            row.outcome_at = None if outcome is None else NOW + outcome
    return digest_id


def progress(database: Database, digest_id: int) -> Progress:
    with database.read() as session:
        status = session.scalars(select(Digest.status)).one()
        counts = digest_state.counts(session, digest_id)
        return read_progress(session, digest_id, status, counts, now=NOW)


S = DeliveryStatus


def test_rate_time_left_and_the_next_try(database: Database, keys: Keys) -> None:
    digest_id = written(
        database,
        keys,
        [
            *[(S.SENT, -100 * SECOND, -second * SECOND) for second in (61, 20, 15, 10, 1)],
            (S.FAILED, -100 * SECOND, -2 * SECOND),
            *[(S.QUEUED, -100 * SECOND, None)] * 6,
            (S.DEFERRED, 300 * SECOND, -30 * SECOND),
            (S.DEFERRED, 200 * SECOND, -30 * SECOND),
            (S.UNKNOWN, -100 * SECOND, -5 * SECOND),
        ],
    )
    assert progress(database, digest_id) == Progress(
        # 4 in the 20 seconds since the first of the last minute.
        rate=0.2,
        remaining_seconds=30,
        waiting_later=2,
        next_try_at=NOW + 200 * SECOND,
        dropped=0,
    )
    with database.write() as session:
        in_doubt.drop(session, digest_id, NOW)
        digest_state.pause_digest(session, digest_id, "by staff")
    found = progress(database, digest_id)
    assert (found.rate, found.remaining_seconds, found.dropped) == (None, None, 1)
    assert found.waiting_later == 2


def test_a_digest_that_does_not_move_has_no_end(database: Database, keys: Keys) -> None:
    digest_id = written(database, keys, [(S.QUEUED, 0 * SECOND, None)])
    found = progress(database, digest_id)
    assert (found.rate, found.remaining_seconds, found.next_try_at) == (0.0, None, None)


def test_what_somebody_who_waits_goes_by(database: Database, keys: Keys) -> None:
    waits = [(S.DEFERRED, 59), (S.DEFERRED, 61), (S.QUEUED, 62)]
    digest_id = written(database, keys, [(status, wait * SECOND, None) for status, wait in waits])
    with database.write() as session:
        found = read_standing(session, digest_id, now=NOW)
        assert found.later == LaterMails(2, NOW + 61 * SECOND)
        assert (found.status, found.reason, found.stopped) == (DigestStatus.SENDING, None, None)
        assert found.goes_on
        assert not read_standing(session, digest_id, now=NOW - 2 * SECOND).goes_on
        assert later_mails(session, digest_id, NOW + 62 * SECOND) == LaterMails(0, None)
        pause.pause_sending(session, None, NOW)
        digest_state.pause_digest(session, digest_id, "by staff")
        found = read_standing(session, digest_id, now=NOW)
        assert (found.reason, found.stopped) == ("by staff", "no reason given")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([S.SENT, S.DEFERRED, S.DEFERRED], "2 mails wait for another try"),
        ([S.DEFERRED], "1 mail waits for another try"),
        ([S.SENT, S.DEFERRED, S.QUEUED], None),
        ([S.SENT, S.UNKNOWN], None),
    ],
)
def test_a_digest_that_only_waits_for_later_says_until_when(
    database: Database, keys: Keys, rows: list[DeliveryStatus], reason: str | None
) -> None:
    digest_id = written(database, keys, [(status, SECOND, None) for status in rows])
    first = NOW - timedelta(hours=12)
    with database.write() as session:
        session.execute(update(Delivery).values(first_attempt_at=first - SECOND))
        last = session.scalars(select(Delivery.id).order_by(Delivery.id.desc()).limit(1)).one()
        session.execute(update(Delivery).where(Delivery.id == last).values(first_attempt_at=first))
    with database.read() as session:
        data = describe_digest(session, digest_id, give_up_after=timedelta(hours=48), now=NOW)
    until = "until 2026-11-25 18:00 UTC at the latest"
    assert data["reason"] == (None if reason is None else f"{reason}, {until}")
