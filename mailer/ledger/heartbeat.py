"""Shows which processes that send or build are alive, by heartbeats in the database.

A worker makes its beat grow. Another one that has watched it stand still for the lease, by its own
monotonic clock, considers it dead. What happens to a dead worker's rows is not decided here.
"""

import logging
import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailer.clock import Times
from mailer.db import Database, abort_if_frozen
from mailer.models import Worker, WorkerRole

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 5.0
"""A sender beats at least as often as this, because figures come with its beats."""


@dataclass(frozen=True)
class Figures:
    """What a worker shows about itself beside its beat, for people to read.

    Attributes:
        connections: to the relay, open now.
        note: why it sends nothing now, in a few words without any address; None while it sends.
    """

    connections: int = 0
    note: str | None = None


_NO_FIGURES: Final = Figures()


def interval(lease_seconds: float) -> float:
    """Return the seconds between two beats of a sender: two may fail before it is considered dead."""
    return min(lease_seconds / 3, BEAT_SECONDS)


def register(session: Session, role: WorkerRole, host: str, pid: int, now: datetime) -> int:
    """Add the row of a process that starts to work, and return its id."""
    worker = Worker(role=role, host=host, pid=pid, started_at=now, heartbeat_at=now)
    session.add(worker)
    session.flush()
    return worker.id


def beat(session: Session, worker_id: int, now: datetime, figures: Figures = _NO_FIGURES) -> bool:
    """Show that this worker lives, and its figures.

    Return False if the row has been closed: its owner must begin nothing more under this id.
    """
    beaten = session.scalar(
        update(Worker)
        .where(Worker.id == worker_id, Worker.stopped_at.is_(None))
        .values(
            beat=Worker.beat + 1,
            heartbeat_at=now,
            connections=figures.connections,
            note=figures.note,
        )
        .returning(Worker.id)
    )
    return beaten is not None


def stop(session: Session, worker_id: int, now: datetime) -> None:
    """Close the row of a worker that has ended, or that is considered dead."""
    session.execute(
        update(Worker)
        .where(Worker.id == worker_id, Worker.stopped_at.is_(None))
        .values(stopped_at=now)
    )


def beats(session: Session, role: WorkerRole) -> dict[int, int]:
    """Return the beat of every worker in `role` that has not stopped, by its id."""
    rows = session.execute(
        select(Worker.id, Worker.beat).where(Worker.role == role, Worker.stopped_at.is_(None))
    )
    return dict(rows.all())


class Watch:
    """Watches beats and says which workers are silent.

    It compares a beat only with what it saw before, on its own monotonic clock, so a wall clock that is set
    makes no worker dead. A watch that has just begun considers none dead before a whole lease is over.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease = lease_seconds
        self._seen: dict[int, tuple[int, float]] = {}

    def observe(self, beats: Mapping[int, int], monotonic_now: float) -> frozenset[int]:
        """Take in the present beats. Return the ids whose beat has stood still for the lease or longer."""
        self._seen = {
            worker_id: (
                seen
                if (seen := self._seen.get(worker_id)) is not None and seen[0] == count
                else (count, monotonic_now)
            )
            for worker_id, count in beats.items()
        }
        return frozenset(
            worker_id
            for worker_id, (_, since) in self._seen.items()
            if monotonic_now - since >= self._lease
        )


class Heartbeat:
    """Keeps this process registered as a living worker: a thread beats until it is stopped.

    A subclass may write more with each beat, and act on workers that are silent.

    Args:
        lease_seconds: how long a worker may be silent before it is considered dead.
        interval_seconds: between two beats.
        figures: what this worker shows about itself. Called at each beat, in the heartbeat's thread: it
            must not wait, and must not raise.

    Attributes:
        worker_id: the id of this worker. One that was considered dead gets a new one.
    """

    def __init__(
        self,
        database: Database,
        times: Times,
        role: WorkerRole,
        *,
        lease_seconds: float,
        interval_seconds: float,
        figures: Callable[[], Figures] = Figures,
    ) -> None:
        self.worker_id = 0
        self._database = database
        self._times = times
        self._role = role
        self._lease = lease_seconds
        self._interval = interval_seconds
        self._figures = figures
        self._watch = Watch(lease_seconds)
        self._renewed = 0.0
        self._signs_off = True
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether no other process can consider this one dead yet."""
        return self._times.monotonic() - self._renewed < self._lease

    def start(self) -> None:
        """Register, and beat from now on."""
        self._register()
        self._thread.start()

    def stop(self, *, sign_off: bool = True, seconds: float | None = None) -> None:
        """Stop beating.

        Args:
            sign_off: close the row too, because nothing is held under its id any more. Left open, others
                take over what is held once the lease is over.
            seconds: how long to wait at most until that is in the database; None waits without limit.
        """
        self._signs_off = sign_off
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)

    def living(self, session: Session) -> frozenset[int]:
        """Return the workers of this role that live; close the rows of those that are silent."""
        present = beats(session, self._role)
        silent = self._silent(present)
        for worker_id in silent:
            stop(session, worker_id, self._times.wall())
        return frozenset(present.keys() - silent)

    def _silent(self, present: Mapping[int, int]) -> frozenset[int]:
        return self._watch.observe(present, self._times.monotonic()) - {self.worker_id}

    def _register(self) -> None:
        # Read before others can see the row, so that we never think that we live longer than they do.
        renewed, now = self._times.monotonic(), self._times.wall()
        with self._transaction() as session:
            self.worker_id = register(session, self._role, platform.node(), os.getpid(), now)
            self._on_register(session)
        self._renewed = renewed

    def _on_register(self, session: Session) -> None:
        """Write more in the transaction that registers this worker."""

    def _run(self) -> None:
        is_failing = False
        while not self._over.wait(self._interval):
            try:
                self._beat()
                is_failing = False
            except Exception as error:
                # The next turn tries again. A fault of ours must not end the beats for ever either: nothing
                # would be sent or built any more.
                if not is_failing:
                    fault = None if isinstance(error, SQLAlchemyError) else error
                    name = type(error).__name__
                    log.warning("the heartbeat could not be renewed: %s", name, exc_info=fault)
                is_failing = True
        if self._signs_off:
            try:
                with self._beat_transaction() as session:
                    stop(session, self.worker_id, self._times.wall())
            except SQLAlchemyError as error:
                log.warning("the %s could not sign off: %s", self._role, type(error).__name__)

    def _beat(self) -> None:
        renewed = self._times.monotonic()
        with self._beat_transaction() as session:
            is_open = beat(session, self.worker_id, self._times.wall(), self._figures())
            self._on_beat(session)
        if is_open:
            self._renewed = renewed
        else:
            log.warning("other workers considered worker %d dead", self.worker_id)
            self._register()

    def _on_beat(self, session: Session) -> None:
        """Read and write more in the transaction of a beat."""

    @contextmanager
    def _beat_transaction(self) -> Iterator[Session]:
        with self._transaction() as session:
            yield session

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with self._database.heartbeat() as session:
            abort_if_frozen(session)
            yield session
