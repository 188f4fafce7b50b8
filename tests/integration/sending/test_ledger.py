"""The ledger on both databases: who may take a row, when it may go, and what becomes of it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from mailer.db import Database
from mailer.db.prepared_statements import Compiled, execute
from mailer.ledger import claims, digest_state, heartbeat, outcomes, recovery
from mailer.ledger.last_claims import RENEW_SECONDS, LastClaims
from mailer.ledger.transitions import AttemptResult, RowId
from mailer.models import (
    Delivery,
    DeliveryStatus,
    Digest,
    DigestStatus,
    Edition,
    Installation,
    Newsletter,
    Notice,
    NoticeKind,
    Schedule,
    Subscriber,
    Subscription,
    SuppressionReason,
    Worker,
    WorkerRole,
)
from mailer.tokens import Keys
from tests.support import factories
from tests.support.factories import NOW

S = DeliveryStatus
LATER = NOW + timedelta(minutes=5)


class House:
    """A newsletter with a digest that is being sent, and two workers."""

    def __init__(self, session: Session, keys: Keys) -> None:
        self.session, self.keys = session, keys
        self.newsletter: Newsletter = factories.newsletter(session)
        self.schedule: Schedule = factories.schedule(session, self.newsletter)
        self.digest: Digest = factories.digest(session, self.schedule)
        self.edition: Edition = factories.edition(session, self.digest)
        self.worker: int = factories.worker(session).id
        self.other: int = factories.worker(session).id
        self._number = 0

    def delivery(self, **values: Any) -> Delivery:
        self._number += 1
        reader = factories.reader(
            self.session, self.keys, self.schedule, f"r{self._number}@example.com"
        )
        return factories.delivery(self.session, self.edition, reader, **values)

    def notice(self, **values: Any) -> Notice:
        self._number += 1
        return factories.notice(self.session, self.keys, f"n{self._number}@example.com", **values)

    def claim(self, limit: int = 100, worker: int | None = None) -> list[RowId]:
        claimed, _ = execute(claims.claim(worker or self.worker, limit, NOW), self.session)
        return [claim.row for claim in claimed]

    def start(self, *rows: Delivery | Notice, worker: int | None = None) -> set[RowId]:
        queries = outcomes.start(worker or self.worker, [row_of(row) for row in rows], NOW)
        return execute(queries, self.session)

    def started(self, **values: Any) -> Delivery:
        row = self.delivery(**values)
        self.claim()
        assert self.start(row)
        return row

    def record(self, row: Delivery | Notice, status: S, **values: Any) -> None:
        defaults: dict[str, Any] = {"attempt": 1, "step": "dot", "code": 250, "reply": "ok"}
        outcome = AttemptResult(row_of(row), self.worker, status=status, **defaults | values)
        execute(outcomes.record([outcome], NOW), self.session)

    def now(self, row: Delivery | Notice | Digest) -> Any:
        self.session.refresh(row)
        return row

    def recover(self, worker: int | None = None, *, resend: bool = True) -> int:
        return recovery.recover(self.session, [worker or self.worker], resend=resend, now=NOW)

    def lose(self, row: Delivery, how: "Loss") -> None:
        how(self.session.get_one(Subscription, row.subscription_id), self)
        self.session.flush()

    def set_digest(self, status: DigestStatus) -> None:
        self.digest.status = status
        self.session.flush()

    def another_digest(self) -> None:
        """From now on deliveries are of a second digest."""
        self.digest = factories.digest(self.session, self.schedule, due_at=LATER)
        self.edition = factories.edition(self.session, self.digest)

    def counts(self) -> digest_state.Counts:
        return digest_state.counts(self.session, self.digest.id)


Loss = Callable[[Subscription, House], None]


def row_of(row: Delivery | Notice) -> RowId:
    return RowId(type(row), row.id)


@pytest.fixture
def house(database: Database, keys: Keys) -> Iterator[House]:
    with database.write() as session:
        yield House(session, keys)


# Claiming.


def test_a_claim_takes_what_waits_and_dates_it(house: House) -> None:
    row = house.delivery()
    claimed, skipped = execute(claims.claim(house.worker, 10, NOW), house.session)
    assert [(claim.row, claim.attempts, claim.first_attempt_at) for claim in claimed] == [
        (row_of(row), 0, NOW)
    ]
    assert skipped == 0
    row = house.now(row)
    assert (row.status, row.worker_id, row.attempts) == (S.CLAIMED, house.worker, 0)


def test_what_was_attempted_before_keeps_its_date(house: House) -> None:
    earlier = NOW - timedelta(hours=3)
    house.delivery(status=S.DEFERRED, attempts=2, first_attempt_at=earlier)
    claimed, _ = execute(claims.claim(house.worker, 10, NOW), house.session)
    assert [(claim.attempts, claim.first_attempt_at) for claim in claimed] == [(2, earlier)]


@pytest.mark.parametrize("status", [one for one in S if one not in (S.QUEUED, S.DEFERRED)])
def test_only_what_waits_is_claimed(house: House, status: S) -> None:
    row = house.delivery(status=status, worker_id=house.other)
    assert house.claim() == []
    assert house.now(row).status is status


def test_what_is_due_later_is_not_claimed(house: House) -> None:
    house.delivery(next_attempt_at=NOW + timedelta(seconds=1))
    house.delivery(status=S.DEFERRED, next_attempt_at=NOW + timedelta(seconds=1))
    assert house.claim() == []
    assert not claims.work_waits(house.session, NOW)
    assert claims.work_waits(house.session, NOW + timedelta(seconds=1))


def test_notices_go_first_and_the_limit_holds(house: House) -> None:
    deliveries = [house.delivery() for _ in range(3)]
    notices = [house.notice(next_attempt_at=NOW) for _ in range(2)]
    assert house.claim(limit=1) == [row_of(notices[0])]
    assert house.claim(limit=2) == [row_of(notices[1]), row_of(deliveries[0])]
    assert house.claim(limit=9) == [row_of(deliveries[1]), row_of(deliveries[2])]
    assert house.claim() == []


def test_the_oldest_goes_first(house: House) -> None:
    late = house.delivery(next_attempt_at=NOW - timedelta(minutes=1))
    early = house.delivery(next_attempt_at=NOW - timedelta(minutes=2))
    assert house.claim(limit=1) == [row_of(early)]
    assert house.claim(limit=1) == [row_of(late)]


def leave(subscription: Subscription, house: House) -> None:
    subscription.left_at = NOW


def pause(subscription: Subscription, house: House) -> None:
    subscription.paused_at = NOW


def erase(subscription: Subscription, house: House) -> None:
    house.session.get_one(Subscriber, subscription.subscriber_id).erased_at = NOW


def suppress(subscription: Subscription, house: House, **where: int) -> None:
    reader = house.session.get_one(Subscriber, subscription.subscriber_id)
    factories.suppression(house.session, house.keys, reader.address, **where)


def suppress_here(subscription: Subscription, house: House) -> None:
    suppress(subscription, house, newsletter_id=house.newsletter.id)


LOSSES = [
    (leave, "left"),
    (pause, "paused"),
    (erase, "erased"),
    (suppress, "suppressed"),
    (suppress_here, "suppressed"),
]


@pytest.mark.parametrize(("lose", "reason"), LOSSES)
def test_without_permission_a_row_is_skipped_and_says_why(
    house: House, lose: Loss, reason: str
) -> None:
    row, other = house.delivery(), house.delivery()
    house.lose(row, lose)
    claimed, skipped = execute(claims.claim(house.worker, 10, NOW), house.session)
    assert [claim.row for claim in claimed] == [row_of(other)]
    assert skipped == 1
    row = house.now(row)
    assert (row.status, row.reply, row.outcome_at) == (S.SKIPPED, reason, NOW)


def test_a_suppressed_notice_is_skipped(house: House) -> None:
    row = house.notice()
    complained = SuppressionReason.COMPLAINED
    factories.suppression(house.session, house.keys, row.address, reason=complained)
    assert house.claim() == []
    assert (house.now(row).status, row.reply) == (S.SKIPPED, "suppressed")


def test_rows_without_permission_do_not_hide_those_behind_them(house: House) -> None:
    for _ in range(3):
        house.lose(house.delivery(), leave)
    last = house.delivery()
    assert execute(claims.claim(house.worker, 2, NOW), house.session) == ([], 2)
    claimed, skipped = execute(claims.claim(house.worker, 2, NOW), house.session)
    assert [claim.row for claim in claimed] == [row_of(last)]
    assert skipped == 1


def test_a_claim_goes_on_behind_the_last_one_and_forgets_nothing_before_it(house: House) -> None:
    first, second, third, last = rows = [house.delivery() for _ in range(4)]
    last_claims = LastClaims()

    def claim(number: int, now: datetime = NOW) -> list[RowId]:
        queries = claims.claim(house.worker, number, now, last_claims=last_claims)
        return [claim.row for claim in execute(queries, house.session)[0]]

    assert claim(2) == [row_of(first), row_of(second)]
    claims.release(house.session, house.worker, [row_of(first)])
    assert claim(1) == [row_of(third)]
    # There is one more behind it; then what was given back.
    assert claim(2) == [row_of(first), row_of(last)]
    claims.release(house.session, house.worker)
    assert claim(1) == [row_of(first)]
    claims.release(house.session, house.worker)
    assert claim(1, NOW + timedelta(seconds=RENEW_SECONDS - 1)) == [row_of(second)]
    assert claim(1, NOW + timedelta(seconds=RENEW_SECONDS)) == [row_of(first)]
    assert {house.now(row).status for row in rows} == {S.QUEUED, S.CLAIMED}


# Starting: the last check before the dot.


@pytest.mark.parametrize("kind", ["delivery", "notice"])
def test_a_start_is_granted_and_charged(house: House, kind: str) -> None:
    row = getattr(house, kind)()
    house.claim()
    assert house.start(row) == {row_of(row)}
    row = house.now(row)
    assert (row.status, row.attempts, row.worker_id) == (S.SENDING, 1, house.worker)


@pytest.mark.parametrize(("lose", "_reason"), LOSSES)
def test_a_reader_who_lost_permission_since_the_claim_gets_no_mail(
    house: House, lose: Loss, _reason: str
) -> None:
    row, other = house.delivery(), house.delivery()
    house.claim()
    house.lose(row, lose)
    assert house.start(row, other) == {row_of(other)}
    assert house.now(row).status is S.CLAIMED


def test_a_notice_that_was_suppressed_since_the_claim_does_not_go(house: House) -> None:
    row = house.notice(kind=NoticeKind.PREFERENCES)
    house.claim()
    factories.suppression(house.session, house.keys, row.address)
    assert house.start(row) == set()


@pytest.mark.parametrize("status", [one for one in DigestStatus if one is not DigestStatus.SENDING])
def test_of_a_digest_that_is_not_being_sent_nothing_is_claimed_or_starts(
    house: House, status: DigestStatus
) -> None:
    claimed = house.delivery()
    house.claim()
    house.delivery()
    house.set_digest(status)
    assert house.start(claimed) == set()
    assert house.claim() == []


def test_a_paused_installation_claims_and_starts_nothing(house: House) -> None:
    claimed = [house.delivery(), house.notice()]
    house.claim()
    house.delivery()
    house.notice()
    house.session.execute(update(Installation).values(paused_at=NOW))
    assert house.start(*claimed) == set()
    assert house.claim() == []
    assert not claims.work_waits(house.session, NOW)


def test_a_claim_of_somebody_else_does_not_start(house: House) -> None:
    row = house.delivery()
    house.claim()
    assert house.start(row, worker=house.other) == set()


@pytest.mark.parametrize("status", [one for one in S if one is not S.CLAIMED])
def test_only_a_claimed_row_starts(house: House, status: S) -> None:
    row = house.delivery(status=status, worker_id=house.worker)
    assert house.start(row) == set()
    assert house.now(row).status is status


# Outcomes.


def test_sent_is_recorded(house: House) -> None:
    row = house.started()
    house.record(row, S.SENT)
    row = house.now(row)
    assert (row.status, row.step, row.code, row.reply) == (S.SENT, "dot", 250, "ok")
    assert (row.outcome_at, row.attempts) == (NOW, 1)


def test_a_refusal_before_the_dot_was_an_attempt_too(house: House) -> None:
    row = house.delivery()
    house.claim()
    house.record(row, S.DEFERRED, step="rcpt", code=450, next_attempt_at=LATER)
    row = house.now(row)
    assert (row.status, row.attempts, row.next_attempt_at) == (S.DEFERRED, 1, LATER)
    assert house.claim() == []


def test_recording_twice_changes_nothing(house: House) -> None:
    row = house.started()
    outcome = AttemptResult(row_of(row), house.worker, 1, S.UNKNOWN, "dot", None, "lost", LATER)
    for _ in range(2):
        execute(outcomes.record([outcome], NOW), house.session)
    row = house.now(row)
    assert (row.status, row.in_doubt, row.next_attempt_at) == (S.QUEUED, 1, LATER)


def test_many_outcomes_of_all_kinds_are_recorded_at_once(house: House) -> None:
    rows = [house.started() for _ in range(8)] + [house.notice()]
    house.claim()
    house.start(rows[-1])
    kinds = [S.SENT, S.SENT, S.SENT, S.FAILED, S.FAILED, S.DEFERRED, S.UNKNOWN, S.UNKNOWN, S.SENT]
    again = {S.DEFERRED: LATER}
    results = [
        AttemptResult(row_of(row), house.worker, 1, kind, "dot", None, str(row.id), again.get(kind))
        for row, kind in zip(rows, kinds, strict=True)
    ]
    execute(outcomes.record(results, NOW), house.session)
    assert [house.now(row).status for row in rows] == kinds
    assert all(row.reply == str(row.id) for row in rows)
    assert house.counts() == digest_state.Counts(8, 1, 3, 2, 0, 2, 0, 2)


def test_an_outcome_of_a_row_that_others_took_over_is_nothing(house: House) -> None:
    row = house.started()
    house.recover()
    house.claim(worker=house.other)
    assert house.start(row, worker=house.other)
    house.record(row, S.FAILED)
    assert house.now(row).status is S.SENDING


def test_a_late_250_turns_its_own_doubt_into_sent(house: House) -> None:
    row = house.started()
    house.recover(resend=False)
    assert house.now(row).status is S.UNKNOWN
    house.record(row, S.SENT, attempt=2)
    assert house.now(row).status is S.UNKNOWN
    house.record(row, S.SENT)
    row = house.now(row)
    assert (row.status, row.in_doubt) == (S.SENT, 1)


@pytest.mark.parametrize("taken", ["queued", "claimed", "sending"])
def test_a_late_250_holds_until_somebody_has_begun_another_attempt(
    house: House, taken: str
) -> None:
    row = house.started()
    house.recover()
    if taken != "queued":
        house.claim(worker=house.other)
    if taken == "sending":
        assert house.start(row, worker=house.other)
    house.record(row, S.SENT)
    expected = S.SENDING if taken == "sending" else S.SENT
    assert house.now(row).status is expected
    assert house.start(row, worker=house.other) == set()


@pytest.mark.parametrize("status", [S.DEFERRED, S.FAILED, S.UNKNOWN])
def test_a_late_refusal_changes_no_doubt(house: House, status: S) -> None:
    row = house.started()
    house.recover(resend=False)
    house.record(row, status, next_attempt_at=LATER if status is S.DEFERRED else None)
    assert (house.now(row).status, row.in_doubt) == (S.UNKNOWN, 1)


def test_a_row_in_doubt_is_sent_once_more_and_then_stays(house: House) -> None:
    row = house.started()
    house.record(row, S.UNKNOWN, next_attempt_at=NOW)
    assert (house.now(row).status, row.in_doubt) == (S.QUEUED, 1)
    house.claim()
    house.start(row)
    # One that is made late is about another attempt.
    house.record(row, S.UNKNOWN, next_attempt_at=NOW)
    assert (house.now(row).status, row.in_doubt) == (S.SENDING, 1)
    house.record(row, S.UNKNOWN, attempt=2, next_attempt_at=NOW)
    assert (house.now(row).status, row.in_doubt) == (S.UNKNOWN, 2)
    assert house.claim() == []


# Giving back and taking over.


def test_what_is_given_back_waits_again_as_if_nothing_had_happened(house: House) -> None:
    rows = [house.delivery(), house.delivery(), house.notice()]
    tried = house.delivery(status=S.DEFERRED, attempts=1, first_attempt_at=NOW - timedelta(days=1))
    house.claim()
    claims.release(house.session, house.worker, [row_of(rows[0])])
    assert [house.now(row).status for row in rows] == [S.QUEUED, S.CLAIMED, S.CLAIMED]
    claims.release(house.session, house.other)
    assert house.now(rows[1]).status is S.CLAIMED
    claims.release(house.session, house.worker)
    for row in rows:
        row = house.now(row)
        assert (row.status, row.attempts) == (S.QUEUED, 0)
        assert row.first_attempt_at is row.worker_id is None
    assert house.now(tried).first_attempt_at == NOW - timedelta(days=1)


def test_what_has_started_is_not_given_back(house: House) -> None:
    row = house.started()
    claims.release(house.session, house.worker)
    assert house.now(row).status is S.SENDING


@pytest.mark.parametrize("resend", [True, False])
def test_rows_of_silent_workers_are_taken_over(house: House, resend: bool) -> None:
    sending, notice = house.started(), house.notice()
    house.claim()
    house.start(notice)
    claimed = house.delivery()
    house.claim()
    alive = house.delivery()
    house.claim(worker=house.other)
    assert house.recover(resend=resend) == 2
    assert house.now(claimed).status is S.QUEUED
    assert (house.now(alive).status, alive.worker_id) == (S.CLAIMED, house.other)
    for row in (sending, notice):
        row = house.now(row)
        assert (row.status, row.in_doubt) == (S.QUEUED if resend else S.UNKNOWN, 1)


def test_a_row_that_killed_two_workers_stays_in_doubt(house: House) -> None:
    row = house.started()
    house.recover()
    house.claim(worker=house.other)
    house.start(row, worker=house.other)
    house.recover(house.other)
    assert (house.now(row).status, row.in_doubt, row.attempts) == (S.UNKNOWN, 2, 2)


def test_rows_of_a_worker_that_stopped_are_found(house: House) -> None:
    house.started()
    assert recovery.stopped_holders(house.session) == frozenset()
    heartbeat.stop(house.session, house.worker, NOW)
    assert recovery.stopped_holders(house.session) == {house.worker}
    house.recover()
    assert recovery.stopped_holders(house.session) == frozenset()


# A clock that was ahead.

WAITS = [timedelta(), timedelta(minutes=6), timedelta(minutes=18)]


@pytest.mark.parametrize(
    ("attempts", "late", "found"),
    [
        (0, timedelta(hours=1), timedelta()),
        (1, timedelta(hours=1), timedelta(minutes=6)),
        (1, timedelta(minutes=5), timedelta(minutes=5)),
        (1, -timedelta(minutes=5), -timedelta(minutes=5)),
        (2, timedelta(hours=1), timedelta(minutes=18)),
        (9, timedelta(days=1), timedelta(minutes=18)),
    ],
)
@pytest.mark.parametrize("kind", ["delivery", "notice"])
def test_nothing_waits_longer_than_after_its_last_attempt(
    house: House, kind: str, attempts: int, late: timedelta, found: timedelta
) -> None:
    row = getattr(house, kind)(
        status=S.DEFERRED if attempts else S.QUEUED, attempts=attempts, next_attempt_at=NOW + late
    )
    assert recovery.clamp_due_times(house.session, WAITS, NOW) == (found != late)
    assert house.now(row).next_attempt_at == NOW + found
    assert recovery.clamp_due_times(house.session, WAITS, NOW) == 0


def test_what_nobody_is_to_send_yet_is_not_hastened(house: House) -> None:
    later = NOW + timedelta(hours=1)
    held_up = house.notice(next_attempt_at=later, not_before=later)
    sent = house.delivery(status=S.SENT, next_attempt_at=later)
    assert recovery.clamp_due_times(house.session, WAITS, NOW) == 0
    house.digest.status = DigestStatus.PAUSED
    waiting = house.delivery(next_attempt_at=later)
    assert recovery.clamp_due_times(house.session, WAITS, NOW) == 1
    found = [house.now(row).next_attempt_at for row in (held_up, sent, waiting)]
    assert found == [later, later, NOW]


# Whole digests.


def test_cancelling_stops_what_has_not_started(house: House) -> None:
    sending = house.started()
    claimed = house.delivery()
    house.claim()
    waiting = [house.delivery(), house.delivery(status=S.DEFERRED)]
    sent = house.delivery(status=S.SENT)
    assert digest_state.cancel_digest(house.session, house.digest.id, NOW)
    assert house.now(house.digest).status is DigestStatus.CANCELLED
    found = [house.now(row).status for row in (sending, claimed, *waiting, sent)]
    assert found == [S.SENDING, *[S.CANCELLED] * 3, S.SENT]
    assert house.start(claimed) == set()
    assert not digest_state.cancel_digest(house.session, house.digest.id, NOW)


def test_what_was_turned_away_when_its_digest_was_cancelled_is_not_tried_again(
    house: House,
) -> None:
    row = house.started()
    digest_state.cancel_digest(house.session, house.digest.id, NOW)
    house.record(row, S.DEFERRED, next_attempt_at=LATER)
    assert claims.work_waits(house.session, NOW)
    assert digest_state.finish_digests(house.session, NOW) == []
    assert house.now(row).status is S.CANCELLED
    assert house.counts().pending == 0


@pytest.mark.parametrize("by", ["its worker", "another one"])
def test_what_the_relay_may_have_of_a_cancelled_digest_stays_in_doubt_until_it_has_answered(
    house: House, by: str
) -> None:
    row = house.started()
    digest_state.cancel_digest(house.session, house.digest.id, NOW)
    if by == "its worker":
        house.record(row, S.UNKNOWN, next_attempt_at=LATER)
    else:
        assert house.recover() == 1
    assert digest_state.finish_digests(house.session, NOW) == []
    # Cancelled it would be given back to the reader, who may have had it.
    assert (house.now(row).status, row.in_doubt) == (S.UNKNOWN, 1)
    assert (house.counts().pending, house.counts().unknown) == (0, 1)
    house.record(row, S.SENT)
    assert house.now(row).status is S.SENT


@pytest.mark.parametrize("status", [DigestStatus.SENT, DigestStatus.SKIPPED])
def test_what_is_over_cannot_be_cancelled(house: House, status: DigestStatus) -> None:
    house.set_digest(status)
    assert not digest_state.cancel_digest(house.session, house.digest.id, NOW)


@pytest.mark.parametrize("status", S)
def test_a_digest_is_finished_when_nothing_will_be_sent_any_more(house: House, status: S) -> None:
    house.delivery(status=S.SENT)
    holder = house.worker if status in (S.CLAIMED, S.SENDING) else None
    house.delivery(status=status, next_attempt_at=LATER, worker_id=holder)
    pending = status in (S.QUEUED, S.CLAIMED, S.SENDING, S.DEFERRED)
    assert claims.work_waits(house.session, NOW) is not pending
    expected = [] if pending else [house.digest.id]
    assert digest_state.finish_digests(house.session, NOW) == expected
    assert digest_state.finish_digests(house.session, NOW) == []
    digest = house.now(house.digest)
    assert digest.status is (DigestStatus.SENDING if pending else DigestStatus.SENT)
    assert digest.finished_at == (None if pending else NOW)


def test_the_sums_add_up(house: House) -> None:
    for status in S:
        house.delivery(status=status, in_doubt=1)
    assert house.counts() == digest_state.Counts(
        total=9, pending=4, sent=1, failed=1, skipped=1, unknown=1, cancelled=1, in_doubt=9
    )


def test_a_digest_without_deliveries_counts_nothing(house: House) -> None:
    assert house.counts() == digest_state.Counts(0, 0, 0, 0, 0, 0, 0, 0)


# The shape of the statements.


def test_every_statement_that_changes_a_status_names_those_it_may_change(
    database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE") and "SET status=" in statement:
            seen.append(statement)

    whole = Compiled.values

    def values(self: Compiled, given: Any) -> Any:
        note(None, None, self.sql)
        return whole(self, given)

    monkeypatch.setattr(Compiled, "values", values)

    with database.write() as session:
        house = House(session, keys)
        rows = [house.delivery() for _ in range(4)]
        house.lose(house.delivery(), leave)
        event.listen(database.engine, "before_cursor_execute", note)
        try:
            house.claim()
            house.start(*rows)
            for row, status in zip(rows, (S.SENT, S.DEFERRED, S.FAILED, S.UNKNOWN), strict=True):
                house.record(row, status, next_attempt_at=LATER)
            claims.release(session, house.worker)
            house.recover()
            digest_state.cancel_digest(session, house.digest.id, NOW)
            digest_state.finish_digests(session, NOW)
        finally:
            event.remove(database.engine, "before_cursor_execute", note)
    assert len(seen) > 12
    for statement in seen:
        assert "status" in statement.partition("WHERE")[2], statement


# Heartbeats.


def test_a_worker_that_beats_is_seen_and_one_that_stopped_is_not(database: Database) -> None:
    with database.write() as session:
        mine = heartbeat.register(session, WorkerRole.SENDER, "host.example", 7, NOW)
        other = heartbeat.register(session, WorkerRole.BUILDER, "host.example", 7, NOW)
        assert heartbeat.beats(session, WorkerRole.SENDER) == {mine: 0}
        assert heartbeat.beat(session, mine, LATER)
        assert heartbeat.beats(session, WorkerRole.SENDER) == {mine: 1}
        assert heartbeat.beats(session, WorkerRole.BUILDER) == {other: 0}
        heartbeat.stop(session, mine, LATER)
        assert heartbeat.beats(session, WorkerRole.SENDER) == {}
        assert not heartbeat.beat(session, mine, LATER)
        row = session.get_one(Worker, mine)
        assert (row.started_at, row.heartbeat_at, row.stopped_at) == (NOW, LATER, LATER)


# Mails that workers may have died of.


def test_a_mail_of_which_three_workers_have_died_has_failed(house: House) -> None:
    row, innocent = house.delivery(), house.delivery()
    for deaths in (1, 2, 3):
        [claim, *_], _ = execute(claims.claim(house.worker, 10, NOW), house.session)
        assert (house.now(row).status, claim.crashes) == (S.CLAIMED, deaths - 1)
        if claim.crashes:
            # The sender tries it out alone, and dies.
            recovery.note_crashes(house.session, claim, claim.crashes + 1)
        house.recover()
        assert (house.now(row).crashes, house.now(innocent).crashes) == (deaths, 1)
    row = house.now(row)
    assert (row.status, row.step) == (S.FAILED, "compose")
    assert house.now(innocent).status is S.QUEUED


# Digests take turns.


def test_a_small_digest_does_not_wait_for_a_large_one(house: House) -> None:
    for _ in range(10):
        house.delivery()
    large = house.digest.id
    house.another_digest()
    small = house.delivery()
    first, _ = execute(claims.claim(house.worker, 2, NOW, rotation=0), house.session)
    second, _ = execute(claims.claim(house.worker, 2, NOW, rotation=1), house.session)
    assert [claim.digest_id for claim in first] == [large, large]
    assert second[0].row == row_of(small)


def test_a_paused_digest_stands_in_nobody_s_way(house: House) -> None:
    for _ in range(10):
        house.delivery()
    digest_state.pause_digest(house.session, house.digest.id, "too many refusals")
    house.another_digest()
    row = house.delivery()
    assert house.claim(2) == [row_of(row)]


# What was in doubt before: the relay may have it, whatever becomes of sending it once more.


def _in_doubt_once(house: House, **values: Any) -> Delivery:
    """A row of which nobody knows whether the relay has it, and which is to be sent once more."""
    row = house.started()
    house.record(row, S.UNKNOWN, next_attempt_at=NOW)
    for name, value in values.items():
        setattr(row, name, value)
    house.session.flush()
    assert house.now(row).in_doubt == 1
    return row


@pytest.mark.parametrize("status", [S.QUEUED, S.CLAIMED, S.DEFERRED])
def test_what_was_in_doubt_when_its_digest_is_cancelled_is_in_doubt_again(
    house: House, status: S
) -> None:
    row = _in_doubt_once(house, status=status)
    digest_state.cancel_digest(house.session, house.digest.id, NOW)
    row = house.now(row)
    assert (row.status, row.in_doubt, row.worker_id) == (S.UNKNOWN, 1, None)
    house.record(row, S.SENT)
    assert house.now(row).status is S.SENT


def test_what_was_in_doubt_when_its_reader_is_gone_is_in_doubt_again(house: House) -> None:
    row = _in_doubt_once(house)
    house.lose(row, leave)
    assert house.claim() == []
    assert (house.now(row).status, row.in_doubt) == (S.UNKNOWN, 1)


def test_what_was_in_doubt_and_is_refused_is_in_doubt_again(house: House) -> None:
    row = _in_doubt_once(house)
    house.claim()
    house.record(row, S.FAILED, attempt=2, step="rcpt", code=550, reply="5.7.1 no")
    assert (house.now(row).status, row.in_doubt, row.code) == (S.UNKNOWN, 1, 550)
    assert house.claim() == []


def test_what_was_in_doubt_and_then_kills_workers_is_in_doubt_again(house: House) -> None:
    row = _in_doubt_once(house, crashes=3)
    house.claim()
    house.recover()
    assert (house.now(row).status, row.in_doubt) == (S.UNKNOWN, 1)
