"""The scheduler role: fetches feeds, builds digests at their slots, and writes to staff about them."""

from mailer.scheduler.scheduler import Scheduler

__all__ = ["Scheduler"]
