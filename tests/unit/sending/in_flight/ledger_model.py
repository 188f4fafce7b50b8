"""A ledger in plain Python: rows, digests, and the conditional changes that `mailer.ledger` makes of them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mailer.ledger.transitions import AttemptResult, Claim, RowId
from mailer.models import DeliveryStatus as Status
from mailer.models import DigestStatus
from mailer.sending.flow_control.retry_plan import RetryPlan
from mailer.sending.in_flight.commit import Commit

WAITING = (Status.QUEUED, Status.DEFERRED)
FINAL = frozenset(Status) - {*WAITING, Status.CLAIMED, Status.SENDING}


@dataclass
class Row:
    """One mail: a delivery, or a notice if it belongs to no digest."""

    id: RowId
    digest: int | None
    due: datetime
    status: Status = Status.QUEUED
    worker: int = 0
    attempts: int = 0
    first_attempt_at: datetime | None = None
    doubts: int = 0
    may_be_mailed: bool = True


@dataclass
class Ledger:
    """What is in the database.

    Attributes:
        is_on: whether sending is not paused as a whole.
        claimed: how many rows have been claimed or skipped.
    """

    rows: dict[RowId, Row]
    digests: dict[int, DigestStatus]
    resend: bool
    plan: RetryPlan
    is_on: bool = True
    stopped: set[int] = field(default_factory=set)
    claimed: int = 0
    _turns: int = 0

    # What a sender asks for.

    def record(self, commit: Commit, worker: int, now: datetime) -> frozenset[RowId]:
        """Do all of a commit but its claim, and return what it granted."""
        for row_id, seconds in commit.postponed:
            self._release(worker, [self.rows[row_id]], now + timedelta(seconds=seconds))
        if commit.known is not None:
            unknown = [row for row in self.rows.values() if row.id not in commit.known]
            self._release(worker, unknown)
            # What a commit started that was given up and then made after all has no final dot.
            for row in unknown:
                if row.status is Status.SENDING and row.worker == worker:
                    row.status, row.due = Status.DEFERRED, now
        self._release(worker, [self.rows[row_id] for row_id in commit.released])
        for result in commit.results:
            self._record(result)
        granted = frozenset(row_id for row_id in set(commit.starts) if self._start(row_id, worker))
        for pause in commit.pauses:
            if pause.digest_id is None:
                self.is_on = False
            elif self.digests[pause.digest_id] is DigestStatus.SENDING:
                self.digests[pause.digest_id] = DigestStatus.PAUSED
        return granted

    def claim(self, commit: Commit, worker: int, now: datetime) -> tuple[list[Claim], bool]:
        """Do the claim of a commit: what it claimed, and whether more may wait."""
        claims, skipped = self._claim(worker, commit.claims, commit.excluded, now)
        return claims, commit.claims <= len(claims) + skipped

    def waits(self, now: datetime, excluded: Collection[int] = ()) -> bool:
        """Whether a claim would find something."""
        return any(
            self._is_waiting(row, now) and row.digest not in excluded for row in self.rows.values()
        )

    def may_claim(self, row: Row, now: datetime) -> bool:
        """Whether a worker that claims this row would send it."""
        return row.may_be_mailed and self._is_waiting(row, now)

    def _is_waiting(self, row: Row, now: datetime) -> bool:
        is_sending = row.digest is None or self.digests[row.digest] is DigestStatus.SENDING
        return self.is_on and is_sending and row.status in WAITING and row.due <= now

    def _claim(
        self, worker: int, limit: int, excluded: Collection[int], now: datetime
    ) -> tuple[list[Claim], int]:
        self._turns += 1
        waiting = [
            row
            for row in self.rows.values()
            if self._is_waiting(row, now) and row.digest not in excluded
        ]
        # Notices first, and each time another digest after them.
        waiting.sort(key=lambda row: (row.digest is not None, (row.digest or 0) ^ self._turns & 1))
        claims, skipped = [], 0
        self.claimed += len(waiting[:limit])
        for row in waiting[:limit]:
            if not row.may_be_mailed:
                row.status = Status.UNKNOWN if row.doubts else Status.SKIPPED
                skipped += 1
                continue
            row.status, row.worker = Status.CLAIMED, worker
            row.first_attempt_at = row.first_attempt_at or now
            claims.append(Claim(row.id, worker, row.attempts, row.first_attempt_at, 0, row.digest))
        return claims, skipped

    def _release(self, worker: int, rows: Iterable[Row], due: datetime | None = None) -> None:
        for row in rows:
            if row.status is Status.CLAIMED and row.worker == worker:
                row.status, row.worker, row.due = Status.QUEUED, 0, due or row.due
                if not row.attempts:
                    row.first_attempt_at = None

    def _start(self, row_id: RowId, worker: int) -> bool:
        row = self.rows[row_id]
        is_sending = row.digest is None or self.digests[row.digest] is DigestStatus.SENDING
        may = self.is_on and is_sending and row.may_be_mailed
        if not may or row.status is not Status.CLAIMED or row.worker != worker:
            return False
        row.status, row.attempts = Status.SENDING, row.attempts + 1
        return True

    def _record(self, result: AttemptResult) -> None:
        row = self.rows[result.row]
        if result.status is Status.SENT:
            before = {Status.SENDING, Status.UNKNOWN, Status.QUEUED, Status.CLAIMED}
            if row.status in before and row.attempts == result.attempt:
                row.status = Status.SENT
            return
        if row.worker != result.worker_id or row.status not in (Status.CLAIMED, Status.SENDING):
            return
        if result.status is Status.UNKNOWN:
            if row.status is Status.SENDING:
                self._doubt(row, result.next_attempt_at)
            return
        row.attempts += row.status is Status.CLAIMED
        row.status = result.status
        if result.status is Status.FAILED and row.doubts:
            row.status = Status.UNKNOWN
        if result.status is Status.DEFERRED:
            assert result.next_attempt_at is not None
            row.due = result.next_attempt_at

    def _doubt(self, row: Row, again: datetime | None) -> None:
        row.status, row.doubts = Status.UNKNOWN, row.doubts + 1
        is_cancelled = row.digest is not None and self.digests[row.digest] is DigestStatus.CANCELLED
        if again is not None and row.doubts == 1 and not is_cancelled:
            row.status, row.worker, row.due = Status.QUEUED, 0, again

    # What others do.

    def release_all(self, worker: int) -> None:
        """As a sender does at its end."""
        self._release(worker, self.rows.values())

    def take_over(self, workers: Collection[int], now: datetime) -> None:
        """As the heartbeat of another worker does for silent ones."""
        for row in self.rows.values():
            if row.worker in workers and row.status is Status.CLAIMED:
                self._release(row.worker, [row])
            elif row.worker in workers and row.status is Status.SENDING:
                self._doubt(row, now if self.resend else None)
        self.stopped.update(workers)

    def clamp(self, now: datetime) -> None:
        """As a heartbeat does that sees that the clock was set."""
        waits = self.plan.longest_waits()
        for row in self.rows.values():
            latest = now + waits[min(row.attempts, len(waits) - 1)]
            if row.status in WAITING and row.due > latest:
                row.due = latest

    def cancel(self, digest: int) -> None:
        """As staff do."""
        self.digests[digest] = DigestStatus.CANCELLED
        for row in self.rows.values():
            if row.digest == digest and row.status in (*WAITING, Status.CLAIMED):
                row.status = Status.UNKNOWN if row.doubts else Status.CANCELLED
                row.worker = 0

    @property
    def unfinished(self) -> list[Row]:
        """Rows of which something is still to come."""
        return [row for row in self.rows.values() if row.status not in FINAL]
