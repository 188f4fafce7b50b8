"""Defines the tables of the installation: its row, its worker processes, what they share and count."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey


class Installation(Base):
    """The one row that says whether sending is paused, and whose identity key this database knows.

    Attributes:
        doctor_findings: what `mailer doctor` found last, as JSON.
        backup_started_at, backup_at: when the last nightly backup began, and when the last good one did.
        backup_error, backup_alerted_at: why the last one failed, and when staff were told.
        restored_at: when this database was restored from a backup, until `mailer resume`: nothing is built
            or sent in between.
        restored_backup_at: when that backup was made.
        restored_without_journal: whether nothing is known of what happened after that backup.
        moved_at, moved_to: when and where everything was moved, see `mailer db move`; this database is then
            used no more. Only `moved_to` is set while nobody knows whether the move has been completed.
    """

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[PrimaryKey]
    identity_fingerprint: Mapped[str]
    paused_at: Mapped[datetime | None]
    paused_reason: Mapped[LongText | None]
    doctor_ran_at: Mapped[datetime | None]
    doctor_findings: Mapped[LongText | None]
    backup_started_at: Mapped[datetime | None]
    backup_at: Mapped[datetime | None]
    backup_error: Mapped[LongText | None]
    backup_alerted_at: Mapped[datetime | None]
    restored_at: Mapped[datetime | None]
    restored_backup_at: Mapped[datetime | None]
    restored_without_journal: Mapped[bool | None]
    moved_at: Mapped[datetime | None]
    moved_to: Mapped[LongText | None]
    created_at: Mapped[datetime]


class WorkerRole(StrEnum):
    """What a process with a heartbeat does."""

    SENDER = "sender"
    BUILDER = "builder"


class Worker(Base):
    """A running process that sends or builds.

    `beat` grows while it lives. Others consider it dead if it has not grown for the length of a lease, by
    their own monotonic clock: no wall clock decides. `heartbeat_at`, `connections` (to the relay) and `note`
    (why it sends nothing now) are for people to read.
    """

    __tablename__ = "worker"

    id: Mapped[PrimaryKey]
    role: Mapped[WorkerRole]
    host: Mapped[str]
    pid: Mapped[int]
    beat: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None] = mapped_column(index=True)
    connections: Mapped[int] = mapped_column(default=0, server_default="0")
    note: Mapped[LongText | None]


class Tally(Base):
    """How many attempts of one worker had one outcome, for one reason.

    For metrics only: what a worker has counted since its last heartbeat is lost if it dies.
    """

    __tablename__ = "tally"
    __table_args__ = (PrimaryKeyConstraint("worker_id", "outcome", "reason"),)

    worker_id: Mapped[int] = mapped_column(ForeignKey("worker.id"))
    outcome: Mapped[str]
    reason: Mapped[str]
    number: Mapped[int]


class TokenBucket(Base):
    """The one row of the token bucket from which all workers pay for the mails that they claim.

    `filled_at` is on the database's clock.
    """

    __tablename__ = "pace"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[PrimaryKey]
    tokens: Mapped[float]
    filled_at: Mapped[datetime]
