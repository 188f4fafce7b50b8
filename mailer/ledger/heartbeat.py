"""Heartbeats: how processes that send or build tell each other that they live.

A worker makes its beat grow; whoever watches it stand still for the lease, by its own monotonic clock,
holds it for dead. What happens to a dead worker's rows is never decided here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.models import Worker, WorkerRole

BEAT_SECONDS: Final = 5.0
"""A sender beats at least as often as this, because figures come with its beats."""


@dataclass(frozen=True)
class Figures:
    """What a worker shows of itself beside its beat, for people to read.

    Attributes:
        connections: to the relay, open now.
        note: why it sends nothing now, in a few words without anybody's address; None where it sends.
    """

    connections: int = 0
    note: str | None = None


_NONE: Final = Figures()


def interval(lease_seconds: float) -> float:
    """Seconds between two beats of a sender: two may fail before anybody holds it for dead."""
    return min(lease_seconds / 3, BEAT_SECONDS)


def register(session: Session, role: WorkerRole, host: str, pid: int, now: datetime) -> int:
    """Enter a process that starts to work; the id of its row."""
    worker = Worker(role=role, host=host, pid=pid, started_at=now, heartbeat_at=now)
    session.add(worker)
    session.flush()
    return worker.id


def beat(session: Session, worker_id: int, now: datetime, figures: Figures = _NONE) -> bool:
    """Show that this worker lives, and how it does.

    Returns:
        False where the row has been closed: its owner must begin nothing more under this id.
    """
    found = session.scalar(
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
    return found is not None


def stop(session: Session, worker_id: int, now: datetime) -> None:
    """Close the row of a worker that ended, or that others hold for dead."""
    session.execute(
        update(Worker)
        .where(Worker.id == worker_id, Worker.stopped_at.is_(None))
        .values(stopped_at=now)
    )


def beats(session: Session, role: WorkerRole) -> dict[int, int]:
    """The beat of every worker in `role` that has not stopped, by its id."""
    rows = session.execute(
        select(Worker.id, Worker.beat).where(Worker.role == role, Worker.stopped_at.is_(None))
    )
    return {worker_id: count for worker_id, count in rows}  # noqa: C416


class Watch:
    """Watches beats and says which workers are silent.

    One watcher compares a beat only with what itself saw before, on its own monotonic clock, so a wall
    clock that is set back or forward makes nobody dead. A watcher that has just started knows nobody
    for dead before a whole lease is over.

    Args:
        lease_seconds: how long a worker may be silent.
    """

    def __init__(self, lease_seconds: float) -> None:
        self._lease = lease_seconds
        self._seen: dict[int, tuple[int, float]] = {}

    def observe(self, beats: Mapping[int, int], monotonic_now: float) -> frozenset[int]:
        """Take in the beats of now; the ids whose beat has stood still for the lease or longer."""
        for worker_id, count in beats.items():
            known = self._seen.get(worker_id)
            if known is None or known[0] != count:
                self._seen[worker_id] = (count, monotonic_now)
        for worker_id in self._seen.keys() - beats.keys():
            del self._seen[worker_id]
        return frozenset(
            worker_id
            for worker_id, (_, since) in self._seen.items()
            if monotonic_now - since >= self._lease
        )
