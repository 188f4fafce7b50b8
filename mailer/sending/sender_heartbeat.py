"""Keeps a sender registered as a living worker, and watches the other senders.

Takes over the rows of senders that are silent, makes mails due sooner if the clock was set, and writes down
what its own sender has counted. Never touches a row that its own sender holds, and never sends.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from mailer.clock import ClockJumps, Times
from mailer.db import Database
from mailer.ledger import heartbeat, recovery
from mailer.ledger.heartbeat import Figures, Heartbeat
from mailer.models import DeliveryStatus, WorkerRole
from mailer.sending import counters
from mailer.sending.flow_control.retry_plan import RetryPlan

log = logging.getLogger(__name__)


class SenderHeartbeat(Heartbeat):
    """The heartbeat of one sender.

    Args:
        plan: how long mails may wait.
        resend: whether a row in doubt is sent once more.
        on_recovery: called when rows of others were taken over: there may be work.

    Attributes:
        counters: where the sender counts its attempts.
    """

    def __init__(
        self,
        database: Database,
        times: Times,
        *,
        lease_seconds: float,
        plan: RetryPlan,
        resend: bool,
        on_recovery: Callable[[], None],
        figures: Callable[[], Figures] = Figures,
    ) -> None:
        super().__init__(
            database,
            times,
            WorkerRole.SENDER,
            lease_seconds=lease_seconds,
            interval_seconds=heartbeat.interval(lease_seconds),
            figures=figures,
        )
        self.counters = counters.Counters()
        self._plan = plan
        self._resend = resend
        self._on_recovery = on_recovery
        self._clock_jumps = ClockJumps()
        self._clock_was_set = False
        self._dead_workers: frozenset[int] = frozenset()

    def _on_register(self, session: Session) -> None:
        # The clock may have been set while no sender ran.
        wall, monotonic = self._times.wall(), self._times.monotonic()
        recovery.clamp_due_times(session, self._plan.longest_waits(), wall)
        self._clock_jumps.observe(wall, monotonic)

    def _on_beat(self, session: Session) -> None:
        silent = self._silent(heartbeat.beats(session, WorkerRole.SENDER))
        # A worker that was considered dead may have claimed once more before it knew.
        self._dead_workers = silent | recovery.stopped_holders(session)

    def _beat(self) -> None:
        super()._beat()
        self._clock_was_set |= self._clock_jumps.observe(
            self._times.wall(), self._times.monotonic()
        )
        if self._clock_was_set:
            self._clamp_due_times()
        if self._dead_workers:
            self._recover(self._dead_workers)

    def _clamp_due_times(self) -> None:
        now = self._times.wall()
        with self._transaction() as session:
            number = recovery.clamp_due_times(session, self._plan.longest_waits(), now)
        self._clock_was_set = False
        log.warning("the clock was set: %d mails that waited for it are due sooner", number)
        self._on_recovery()

    def _recover(self, workers: frozenset[int]) -> None:
        now = self._times.wall()
        with self._transaction() as session:
            doubtful = recovery.recover(session, workers, resend=self._resend, now=now)
            if doubtful:
                crashed = {(DeliveryStatus.UNKNOWN.value, counters.CRASHED): doubtful}
                counters.add(session, self.worker_id, crashed)
            for worker_id in workers:
                heartbeat.stop(session, worker_id, now)
        log.warning(
            "took over from silent workers %s: %d mails in doubt",
            ", ".join(map(str, sorted(workers))),
            doubtful,
        )
        self._on_recovery()

    @contextmanager
    def _beat_transaction(self) -> Iterator[Session]:
        """Write also what was counted, or leave it for the next beat."""
        counts = self.counters.take()
        try:
            with self._transaction() as session:
                counters.add(session, self.worker_id, counts)
                yield session
        except BaseException:
            # If only the answer to the commit was lost they are counted twice: these are figures, not mails.
            self.counters.put_back(counts)
            raise
