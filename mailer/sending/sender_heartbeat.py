"""A sender's heartbeat, in a thread of its own, and its watch over the other senders.

Takes over the rows of senders that are silent, hastens what waits where the clock was set, and writes down
what its own has counted. Never touches a row that its own sender holds, and never sends.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailer.clock import ClockJumps, Times
from mailer.db import Database, abort_if_frozen
from mailer.ledger import heartbeat, ledger
from mailer.ledger.heartbeat import Figures
from mailer.models import DeliveryStatus, WorkerRole
from mailer.sending import counters
from mailer.sending.flow_control.back_off import RetryPlan

log = logging.getLogger(__name__)


class SenderHeartbeat:
    """Keeps one sender entered as a living worker.

    Args:
        host, pid: of this process, for people to read.
        lease_seconds: how long a worker may be silent before others take its rows over.
        plan: how long mails may wait.
        resend: whether a row in doubt is sent once more.
        on_recovery: called when rows of others were taken over: there may be work.
        figures: what the sender shows of itself now. Called at each beat in the heartbeat's thread: it
            must not wait, and must not raise.

    Attributes:
        counting: where the sender notes what its attempts came to.
    """

    def __init__(
        self,
        database: Database,
        times: Times,
        *,
        host: str,
        pid: int,
        lease_seconds: float,
        plan: RetryPlan,
        resend: bool,
        on_recovery: Callable[[], None],
        figures: Callable[[], Figures] = Figures,
    ) -> None:
        self.counting = counters.Counters()
        self._database = database
        self._times = times
        self._host = host
        self._pid = pid
        self._lease = lease_seconds
        self._plan = plan
        self._resend = resend
        self._leaps = ClockJumps()
        self._clock_was_set = False
        self._on_recovery = on_recovery
        self._figures = figures
        self._watch = heartbeat.Watch(lease_seconds)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._renewed = 0.0
        self._worker_id = 0

    @property
    def worker_id(self) -> int:
        """Under which id rows are claimed now; a worker that was held for dead gets a new one."""
        return self._worker_id

    @property
    def alive(self) -> bool:
        """Whether nobody can hold us for dead yet, so that a mail may be started."""
        return self._times.monotonic() - self._renewed < self._lease

    def start(self) -> None:
        """Register, and beat from now on."""
        self._register()
        self._thread.start()

    def stop(self, *, close: bool) -> None:
        """Beat no more.

        Args:
            close: the row too, because no row of the ledger is held any more. Left open, it makes
                others take over what is held as soon as the lease is over.
        """
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        if not close or not self._worker_id:
            return
        try:
            with self._counted() as session:
                heartbeat.stop(session, self._worker_id, self._times.wall())
        except SQLAlchemyError as error:
            log.warning("the worker could not be signed off: %s", type(error).__name__)

    def _register(self) -> None:
        renewed, now = self._times.monotonic(), self._times.wall()
        with self._write() as session:
            self._worker_id = heartbeat.register(
                session, WorkerRole.SENDER, self._host, self._pid, now
            )
            # The clock may have been set while nobody looked.
            ledger.clamp_due_times(session, self._plan.longest_waits(), now)
        self._leaps.look(now, renewed)
        self._renewed = renewed

    def _run(self) -> None:
        failing = False
        while not self._over.wait(heartbeat.interval(self._lease)):
            try:
                self._beat()
                failing = False
            except Exception as error:
                # Without a beat nothing is started; the next turn tries again. What is no fault of the
                # database's is one of ours, and must not end the beats for ever, or nobody would send.
                if not failing:
                    what = None if isinstance(error, SQLAlchemyError) else error
                    log.warning(
                        "the heartbeat could not be renewed: %s",
                        type(error).__name__,
                        exc_info=what,
                    )
                failing = True

    def _beat(self) -> None:
        # Read before the beat can be seen by others, so that we never think we live longer than they do.
        renewed = self._times.monotonic()
        with self._counted() as session:
            known = heartbeat.beat(session, self._worker_id, self._times.wall(), self._figures())
            others = heartbeat.beats(session, WorkerRole.SENDER)
            # A worker that was held for dead may have claimed once more before it knew.
            orphaned = ledger.holders_that_stopped(session)
        if known:
            self._renewed = renewed
        else:
            log.warning("worker %d was held for dead by others", self._worker_id)
            self._register()
        others.pop(self._worker_id, None)
        self._clock_was_set |= self._leaps.look(self._times.wall(), self._times.monotonic())
        if self._clock_was_set:
            self._clamp_due_times()
        if silent := self._watch.observe(others, self._times.monotonic()) | orphaned:
            self._recover(silent)

    def _clamp_due_times(self) -> None:
        now = self._times.wall()
        with self._write() as session:
            number = ledger.clamp_due_times(session, self._plan.longest_waits(), now)
        self._clock_was_set = False
        log.warning("the clock was set: %d mails that waited for it are due sooner", number)
        self._on_recovery()

    @contextmanager
    def _write(self) -> Iterator[Session]:
        with self._database.heartbeat() as session:
            abort_if_frozen(session)
            yield session

    @contextmanager
    def _counted(self) -> Iterator[Session]:
        """A write transaction that also adds what was counted, or leaves it for the next one."""
        counts = self.counting.take()
        try:
            with self._write() as session:
                counters.add(session, self._worker_id, counts)
                yield session
        except BaseException:
            # If only the commit's answer was lost they are counted twice: these are figures, not mails.
            self.counting.put_back(counts)
            raise

    def _recover(self, silent: frozenset[int]) -> None:
        now = self._times.wall()
        with self._write() as session:
            doubtful = ledger.recover(session, silent, resend=self._resend, now=now)
            if doubtful:
                crashed = {(DeliveryStatus.UNKNOWN.value, counters.CRASHED): doubtful}
                counters.add(session, self._worker_id, crashed)
            for worker_id in silent:
                heartbeat.stop(session, worker_id, now)
        log.warning(
            "took over from silent workers %s: %d mails in doubt",
            ", ".join(map(str, sorted(silent))),
            doubtful,
        )
        self._on_recovery()
