"""Fetches feeds when they are due, and once more before each slot.

Never builds a digest. What a fetch does with a feed is up to `mailer.feeds.refresh`.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailer.app import App
from mailer.digests.schedules import slot_lookup
from mailer.digests.schedules.calendar import Slot
from mailer.feeds import fetch_state, newsletter_feeds, refresh
from mailer.feeds.sandbox.reader import FeedReader
from mailer.models import Feed, NewsletterFeed, Schedule
from mailer.scheduler.step_runner import StepRunner

log = logging.getLogger(__name__)

BEFORE_A_SLOT: Final = (timedelta(minutes=5), timedelta(seconds=30))
"""How long before a slot its newsletter's feeds are fetched: early, for slow ones, and once more."""
WAIT_FOR_FEEDS: Final = timedelta(minutes=5)
"""How long a slot waits for a fetch that is under way."""

_LOOK_AGAIN_SECONDS: Final = 1.0

WantedFeeds = Callable[[Session], list[int]]
"""Selects the ids of the feeds to fetch."""


class FeedPolling:
    """Fetches feeds, one round at a time: a slot waits for the round that is under way."""

    def __init__(self, app: App, steps: StepRunner, stopping: threading.Event) -> None:
        self._app = app
        self._steps = steps
        self._stopping = stopping
        self._reader = FeedReader()
        self._one_at_a_time = threading.Lock()

    def stop(self) -> None:
        """Abandon what is being fetched."""
        self._reader.stop()

    def poll(self) -> None:
        """Fetch the feeds of slots that come soon, and those that are due."""
        if self._one_at_a_time.locked():
            return
        # Before a slot no server may say by mistake that nothing has changed.
        self._steps.run(
            "feeds of coming slots",
            lambda: self._fetch(self._wanted_by_slots, unconditional=True),
        )
        self._steps.run(
            "feeds",
            lambda: self._fetch(
                lambda session: newsletter_feeds.due_feeds(session, self._app.times.wall()),
                unconditional=False,
            ),
        )

    def fetch_for_slot(self, schedule_id: int, slot: Slot) -> None:
        """Fetch what was not fetched just before this slot, as after a stop, before it is built."""
        now = self._app.times.wall()
        since = slot.due_at - BEFORE_A_SLOT[0]
        is_fresh = self._fetch_all(lambda session: stale_feeds(session, schedule_id, since, now))
        if not is_fresh and not self._stopping.is_set():
            log.warning(
                "schedule %s: slot %s is built without feeds that are still being fetched",
                schedule_id,
                slot.name,
            )

    def _fetch_all(self, wanted: WantedFeeds) -> bool:
        """Fetch until no feed is wanted; False if a slot must not wait so long, or we are stopped."""
        monotonic = self._app.times.monotonic
        until = monotonic() + WAIT_FOR_FEEDS.total_seconds()
        while self._fetch(wanted, unconditional=True, seconds=max(0.0, until - monotonic())):
            # Those that another scheduler is fetching were left to it.
            with self._app.database.read() as session:
                if not wanted(session):
                    return True
            if self._stopping.wait(_LOOK_AGAIN_SECONDS):
                return False
        return False

    def _wanted_by_slots(self, session: Session) -> list[int]:
        now = self._app.times.wall()
        wanted: list[int] = []

        def add_feeds(schedule_id: int) -> None:
            slot = slot_lookup.next_slot(session.get_one(Schedule, schedule_id), now=now)
            times = [] if slot is None else [slot.due_at - before for before in BEFORE_A_SLOT]
            if passed := [at for at in times if at <= now]:
                wanted.extend(stale_feeds(session, schedule_id, max(passed), now))

        for schedule_id in active_schedules(session):
            self._steps.run(f"slots of schedule {schedule_id}", partial(add_feeds, schedule_id))
        return list(dict.fromkeys(wanted))

    def _fetch(
        self, wanted: WantedFeeds, *, unconditional: bool, seconds: float | None = None
    ) -> bool:
        """Fetch the feeds that are wanted, once no other thread fetches.

        Args:
            seconds: begin no fetch later than this from now; None waits for as long as it takes.

        Returns:
            False if the time was too short, or the scheduler was stopped.
        """
        monotonic = self._app.times.monotonic
        until = None if seconds is None else monotonic() + seconds
        if not self._one_at_a_time.acquire(timeout=-1 if seconds is None else seconds):
            return False

        def is_over() -> bool:
            # Stopping must not wait for all of them.
            return self._stopping.is_set() or (until is not None and monotonic() >= until)

        try:
            chosen_at = self._app.times.wall()
            with self._app.database.read() as session:
                feed_ids = wanted(session)
            refresh.refresh(
                self._app.feed_context(self._reader),
                feed_ids,
                unconditional=unconditional,
                is_draining=is_over,
                chosen_at=chosen_at,
                is_aborting=self._stopping.is_set,
            )
            return not is_over()
        finally:
            self._one_at_a_time.release()


def active_schedules(session: Session) -> Sequence[int]:
    """List the ids of the schedules whose slots count.

    Only ids, because one whose row cannot be read must not stop the others.
    """
    return session.scalars(
        select(Schedule.id)
        .where(Schedule.removed_at.is_(None), Schedule.paused_at.is_(None))
        .order_by(Schedule.id)
    ).all()


def stale_feeds(session: Session, schedule_id: int, since: datetime, now: datetime) -> list[int]:
    """List the feeds of the schedule's newsletter that were not fetched since then, and may be by now."""
    is_ahead = fetch_state.is_ahead(now)
    return list(
        session.scalars(
            select(Feed.id)
            .join(NewsletterFeed, NewsletterFeed.feed_id == Feed.id)
            .join(Schedule, Schedule.newsletter_id == NewsletterFeed.newsletter_id)
            .where(
                Schedule.id == schedule_id,
                or_(Feed.last_fetched_at.is_(None), Feed.last_fetched_at < since, is_ahead),
                or_(Feed.retry_at.is_(None), Feed.retry_at <= now, is_ahead),
                Feed.gone_at.is_(None),
            )
            .order_by(Feed.id)
        )
    )
