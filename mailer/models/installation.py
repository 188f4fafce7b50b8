"""The installation's one row, and the processes that work for it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, LongText, PrimaryKey


class Installation(Base):
    """The one row that says whether sending is paused, and whose identity key this database knows."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[PrimaryKey]
    identity_fingerprint: Mapped[str]
    paused_at: Mapped[datetime | None]
    paused_reason: Mapped[LongText | None]
    created_at: Mapped[datetime]


class WorkerRole(StrEnum):
    """What a process with a heartbeat does."""

    SENDER = "sender"
    BUILDER = "builder"


class Worker(Base):
    """A running process that sends or builds.

    `beat` grows while it lives. Others hold it for dead when they have watched it stand still for the
    lease, by their own monotonic clock: no wall clock decides. `heartbeat_at` is for people to read.
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
