"""Defines the table of schedules: when a newsletter goes out, and within which limits."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db import Base, PrimaryKey, partial_index


class ScheduleKind(StrEnum):
    """How a schedule names its slots."""

    DAYS = "days"
    MONTHDAY = "monthday"
    CRON = "cron"
    ONCE = "once"


class Holds(StrEnum):
    """Which articles a schedule's digests hold."""

    DUE = "due"
    CHOSEN = "chosen"
    """Those that staff chose for a one-off."""
    NONE = "none"
    """A letter: nothing but its introduction."""


class Schedule(Base):
    """When a newsletter goes out.

    `kind` decides which of these counts: `at`, a wall time "HH:MM"; `days`, a comma-separated list of
    mon … sun; `monthday`; `cron`, five fields; `once`, a local date and time. Slots up to `active_from` do
    not exist. An empty `max_age` means 30 days, or twice the longest gap between slots if that is more.
    Staff get a review `review` before each slot; empty means never. `newcomers` is the number of earlier
    articles in a reader's first digest. The build of `failed_slot` has failed `failed_builds` times, and is
    tried again at `next_build_at`. A one-off has the kind `once`, goes to the readers of all schedules of
    its newsletter, and may hold other articles than those that are due.
    """

    __tablename__ = "schedule"
    __table_args__ = (
        partial_index(
            "uq_schedule_newsletter_id_name",
            "newsletter_id",
            "name",
            where="removed_at IS NULL",
            unique=True,
        ),
        partial_index(
            "uq_schedule_newsletter_id_default", "newsletter_id", where="is_default", unique=True
        ),
    )

    id: Mapped[PrimaryKey]
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletter.id"))
    name: Mapped[str]
    kind: Mapped[ScheduleKind]
    at: Mapped[str | None]
    days: Mapped[str | None]
    monthday: Mapped[int | None]
    cron: Mapped[str | None]
    once: Mapped[str | None]
    holds: Mapped[Holds] = mapped_column(default=Holds.DUE, server_default=Holds.DUE.value)
    zone: Mapped[str]
    min_articles: Mapped[int] = mapped_column(default=1)
    max_articles: Mapped[int] = mapped_column(default=20)
    max_age: Mapped[timedelta | None]
    max_lateness: Mapped[timedelta] = mapped_column(default=timedelta(hours=6))
    newcomers: Mapped[int] = mapped_column(default=5)
    review: Mapped[timedelta | None]
    is_default: Mapped[bool] = mapped_column(default=False)
    active_from: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    failed_slot: Mapped[str | None]
    failed_builds: Mapped[int] = mapped_column(default=0, server_default="0")
    next_build_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
