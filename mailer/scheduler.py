"""The scheduler role: wakes at slots, and at times in between, to do what is due.

Decides nothing: every job calls functions that may be called at any time and twice. The calendar says when
slots are; APScheduler only wakes us, because its own idea of days skips some where clocks change.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailer.app import App
from mailer.clock import utc_now
from mailer.daemon_pool import DaemonThreadPool
from mailer.digests.schedules import slot_lookup
from mailer.digests.schedules.calendar import Slot
from mailer.digests.staff_mail import report, review
from mailer.errors import MailerError
from mailer.feeds import fetch_state, newsletter_feeds, refresh
from mailer.feeds.sandbox.reader import FeedReader
from mailer.ledger import digest_state
from mailer.models import Feed, Schedule
from mailer.subscribers import purge

log = logging.getLogger(__name__)

SWEEP: Final = timedelta(seconds=15)
PURGE: Final = timedelta(hours=1)
PURGE_REST: Final = 0.05
"""Seconds between two transactions of a purge. On SQLite a process that waits to write asks again by then."""
BEFORE_A_SLOT: Final = (timedelta(minutes=5), timedelta(seconds=30))
"""How long before a slot its newsletter's feeds are fetched: early, for slow ones, and once more."""
WAIT_FOR_FEEDS: Final = timedelta(minutes=5)
"""How long a slot waits for a fetch that is under way."""
REVIEW_AGAIN: Final = timedelta(minutes=1)
"""How soon it is looked again whether there is something to show staff."""
JUMP: Final = timedelta(seconds=5)
"""By how much the wall clock must have been set for all alarms to be set anew."""

STOP_SECONDS: Final = 3.0
"""How long what is under way may take to end, when the scheduler is stopped."""

_WATCH_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1
_THREADS: Final = 10


class _Jobs(BasePoolExecutor):  # type: ignore[misc]
    """Runs APScheduler's jobs in threads that never keep the process from ending."""

    def __init__(self, pool: DaemonThreadPool) -> None:
        super().__init__(pool)


def report_digest(app: App, digest_id: int) -> bool:
    """Tell staff how this digest went, if it is time and nobody told them; False where not."""
    content = None
    if app.settings.staff_address is not None:
        with app.database.read() as session:
            found = report.read_report(session, digest_id)
            content = report.report_content(session, app.alerts, found)
    with app.database.write() as session:
        return report.queue_report(session, app.alerts, digest_id, content, now=app.times.wall())


class Scheduler:
    """Fetches feeds and builds what is due, in threads of its own, until it is stopped."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._builder = app.make_builder(app.alerts)
        self._reader = FeedReader()
        self._render = app.render
        self._review_after: dict[int, float] = {}
        self._stopping = threading.Event()
        self._clock = threading.Thread(target=self._watch_the_clock, name="clock", daemon=True)
        self._sweeping = threading.Lock()
        self._fetching = threading.Lock()
        self._planned: dict[int, datetime] = {}
        self._told: dict[str, str] = {}
        self._jobs = DaemonThreadPool(_THREADS, "scheduler")
        self._stopped_at = 0.0
        # A dead builder's digest should not wait much longer than the lease.
        self._every = min(SWEEP, app.settings.lease / 4)
        # APScheduler tells of each run at INFO.
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._alarms = BackgroundScheduler(
            timezone=UTC,
            executors={"default": _Jobs(self._jobs)},
            job_defaults={
                # By default a run that is a second late is dropped.
                "misfire_grace_time": None,
                "coalesce": True,
                # One that works, and one that finds it at work and ends at once.
                "max_instances": 2,
            },
        )

    def start(self) -> None:
        """Do at once what is due, and from now on whenever something is."""
        self._builder.open()
        self._alarms.start()
        self._wake_everything()
        self._clock.start()

    def stop(self) -> None:
        """Stop, and wait for the end."""
        self.stop_soon()
        self.join()

    def stop_soon(self) -> None:
        """Begin nothing more, abandon fetches, and have a build rolled back; wait for none of it."""
        if not self._stopping.is_set():
            self._stopped_at = self._app.times.monotonic()
        self._stopping.set()
        self._reader.stop()
        self._builder.close_soon()

    def join(self) -> None:
        """Wait until what was under way has ended, for `STOP_SECONDS` from `stop_soon`.

        Never call this from a job.
        """
        self._alarms.shutdown(wait=False)
        while not self._jobs.join(_LOOK_SECONDS):
            if self._left() == 0:
                log.warning(
                    "the scheduler did not end in time; what it was doing is done again later"
                )
                break
            # A statement that began just now missed the first one.
            self._builder.close_soon()
        # A heartbeat has still to be ended, however late it is.
        self._builder.close(max(1.0, self._left()))
        self._clock.join(self._left())

    def _left(self) -> float:
        return max(0.0, self._stopped_at + STOP_SECONDS - self._app.times.monotonic())

    def _wake_everything(self) -> None:
        """Let the jobs that come round run now; the sweep sets the alarms of slots."""
        self._planned.clear()
        self._review_after.clear()
        # APScheduler goes by the real clock, whatever clock this process was given.
        now = utc_now()
        fetch_every = min(SWEEP, self._app.settings.feed_interval)
        jobs = ((self._sweep, self._every), (self._fetch_round, fetch_every), (self._purge, PURGE))
        for job, every in jobs:
            self._alarms.add_job(
                job,
                IntervalTrigger(seconds=every.total_seconds(), timezone=UTC),
                id=job.__name__,
                next_run_time=now,
                replace_existing=True,
            )

    def _sweep(self) -> None:
        """Do whatever is due by now: what an alarm missed, and what another process left."""
        if not self._sweeping.acquire(blocking=False):
            return
        try:
            self._carefully("left builds", self._take_over)
            self._carefully("digests that staff want now", self._build_asked_for)
            self._carefully("slots", self._build_all_due)
            self._carefully("reviews", self._review)
            self._carefully("finished digests", self._finish_digests)
            self._carefully("reports", self._report)
        finally:
            self._sweeping.release()

    def _build_all_due(self) -> None:
        for schedule_id in self._set_alarms():
            self._build_due(schedule_id)

    def _set_alarms(self) -> list[int]:
        """Set an alarm at each schedule's next slot; the schedules whose slots count.

        After a stop several are due at once: the one whose slot was first is first, as it would have been.
        """
        with self._app.database.read() as session:
            now = self._app.times.wall()
            coming: dict[int, Slot | None] = {}
            due: dict[int, Slot | None] = {}

            def look(schedule_id: int) -> None:
                schedule = session.get_one(Schedule, schedule_id)
                coming[schedule_id] = slot_lookup.next_slot(schedule, now=now)
                due[schedule_id] = slot_lookup.due(session, schedule, now=now).build

            for schedule_id in _active(session):
                self._carefully(f"slots of schedule {schedule_id}", partial(look, schedule_id))
        for schedule_id, slot in coming.items():
            if slot is not None and self._planned.get(schedule_id) != slot.due_at:
                self._planned[schedule_id] = slot.due_at
                self._set_alarm(schedule_id, slot.due_at)
        late = {schedule_id: slot.due_at for schedule_id, slot in due.items() if slot is not None}
        return sorted(coming, key=lambda one: (late.get(one, now), one))

    def _set_alarm(self, schedule_id: int, at: datetime) -> None:
        self._alarms.add_job(
            self._build_due,
            DateTrigger(at),
            args=[schedule_id],
            id=f"slot of schedule {schedule_id}",
            replace_existing=True,
        )

    def _build_due(self, schedule_id: int) -> None:
        """Build the slot of this schedule that is due, if one is, on feeds that are fresh."""
        self._carefully(f"feeds of schedule {schedule_id}", lambda: self._freshen(schedule_id))
        self._carefully(f"schedule {schedule_id}", lambda: self._builder.build_due(schedule_id))

    def _freshen(self, schedule_id: int) -> None:
        """Fetch what was not fetched just before the slot that is due, as after a stop."""
        with self._app.database.read() as session:
            schedule = session.get_one(Schedule, schedule_id)
            now = self._app.times.wall()
            due = slot_lookup.due(session, schedule, now=now)
        if due.build is not None:
            since = due.build.due_at - BEFORE_A_SLOT[0]
            is_fresh = self._fetch_all(lambda session: _stale(session, schedule_id, since, now))
            if not is_fresh and not self._stopping.is_set():
                log.warning(
                    "schedule %s: slot %s is built without feeds that are still being fetched",
                    schedule_id,
                    due.build.name,
                )

    def _fetch_all(self, wanted: Callable[[Session], list[int]]) -> bool:
        """Fetch until no feed is wanted; False where a slot must not wait so long, or we are stopped."""
        monotonic = self._app.times.monotonic
        until = monotonic() + WAIT_FOR_FEEDS.total_seconds()
        while True:
            within = timedelta(seconds=max(0.0, until - monotonic()))
            if not self._fetch(wanted, unconditional=True, within=within):
                return False
            # Those that another scheduler is fetching were left to it.
            with self._app.database.read() as session:
                if not wanted(session):
                    return True
            if self._stopping.wait(_WATCH_SECONDS):
                return False

    def _fetch_round(self) -> None:
        """Fetch the feeds whose turn it is, and those of slots that come soon."""
        if self._fetching.locked():
            return
        # Before a slot no server may say by mistake that nothing has changed.
        self._carefully(
            "feeds of coming slots",
            lambda: self._fetch(self._wanted_by_slots, unconditional=True),
        )
        self._carefully(
            "feeds",
            lambda: self._fetch(
                lambda session: newsletter_feeds.due_feeds(session, self._app.times.wall()),
                unconditional=False,
            ),
        )

    def _wanted_by_slots(self, session: Session) -> list[int]:
        now = self._app.times.wall()
        wanted: list[int] = []

        def look(schedule_id: int) -> None:
            slot = slot_lookup.next_slot(session.get_one(Schedule, schedule_id), now=now)
            passed = [
                slot.due_at - before
                for before in BEFORE_A_SLOT
                if slot is not None and slot.due_at - before <= now
            ]
            if passed:
                wanted.extend(_stale(session, schedule_id, max(passed), now))

        for schedule_id in _active(session):
            self._carefully(f"slots of schedule {schedule_id}", partial(look, schedule_id))
        return list(dict.fromkeys(wanted))

    def _fetch(
        self,
        wanted: Callable[[Session], list[int]],
        *,
        unconditional: bool,
        within: timedelta | None = None,
    ) -> bool:
        """Fetch the feeds that are wanted, once no other thread fetches.

        Args:
            within: begin no fetch later than this from now; None waits for as long as it takes.

        Returns:
            False where the time was too short, or the scheduler was stopped.
        """
        monotonic = self._app.times.monotonic
        until = None if within is None else monotonic() + within.total_seconds()
        if not self._fetching.acquire(timeout=-1 if within is None else within.total_seconds()):
            return False

        def is_over() -> bool:
            # Stopping must not wait for all of them.
            return self._stopping.is_set() or (until is not None and monotonic() >= until)

        try:
            chosen_at = self._app.times.wall()
            with self._app.database.read() as session:
                feeds = wanted(session)
            refresh.refresh(
                self._app.feed_context(self._reader),
                feeds,
                unconditional=unconditional,
                is_stopping=is_over,
                chosen_at=chosen_at,
                is_ending=self._stopping.is_set,
            )
            return not is_over()
        finally:
            self._fetching.release()

    def _take_over(self) -> None:
        while not self._stopping.is_set() and self._builder.take_over() is not None:
            pass

    def _build_asked_for(self) -> None:
        """Build what staff asked for in a review, before its slot."""
        with self._app.database.read() as session:
            wanted = review.asked_for(session, now=self._app.times.wall())
        for schedule_id, slot in wanted:
            self._carefully(
                f"slot {slot.name} of schedule {schedule_id}, which staff want now",
                partial(self._builder.build, schedule_id, slot),
            )

    def _review(self) -> None:
        """Show staff the digests whose slots are near."""
        times, alerts = self._app.times, self._app.alerts
        if alerts.staff_address is None:
            return
        with self._app.database.read() as session:
            wanted = review.due(session, now=times.wall())
        for schedule_id, slot in wanted:
            if self._review_after.get(schedule_id, 0.0) > times.monotonic():
                continue
            # Where there is nothing to show yet, to ask again costs a plan.
            self._review_after[schedule_id] = times.monotonic() + REVIEW_AGAIN.total_seconds()
            self._carefully(
                f"review of slot {slot.name} of schedule {schedule_id}",
                partial(self._review_slot, schedule_id, slot),
            )

    def _review_slot(self, schedule_id: int, slot: Slot) -> None:
        alerts = self._app.alerts
        with self._app.database.read() as session:
            content = review.review_content(session, alerts, self._render, schedule_id, slot)
        if content is not None:
            now = self._app.times.wall()
            with self._app.database.write() as session:
                review.queue_review(session, alerts, content, schedule_id, slot, now=now)

    def _report(self) -> None:
        """Tell staff how the digests went that are sent."""
        with self._app.database.read() as session:
            wanted = report.unreported(session)
        for digest_id in wanted:
            self._carefully(
                f"report of digest {digest_id}", partial(report_digest, self._app, digest_id)
            )

    def _finish_digests(self) -> None:
        with self._app.database.write() as session:
            digest_state.finish_digests(session, self._app.times.wall())

    def _purge(self) -> None:
        limits = self._app.settings.signup_limits
        purges = purge.due_purges(
            counted=max(rate.span for rate in (limits.address, limits.network, limits.total)),
            clients=self._app.settings.consent_retention,
            now=self._app.times.wall(),
        )
        for what, act in purges.items():
            self._carefully(what, partial(self._purge_in_turns, act))

    def _purge_in_turns(self, act: purge.Purge) -> None:
        """Forget a few rows at a time, and let whoever waits for the database write in between."""
        while not self._stopping.wait(PURGE_REST):
            with self._app.database.write() as session:
                if act(session) < purge.AT_ONCE:
                    return

    def _carefully(self, what: str, act: Callable[[], object]) -> None:
        """Run one act of a job. A failure is logged, once until it changes: the next round tries again."""
        if self._stopping.is_set():
            return
        try:
            act()
            self._told.pop(what, None)
        except MailerError as error:
            if self._told.get(what) != str(error):
                log.error("%s: %s", what, error)
            self._told[what] = str(error)
        except Exception as error:
            if self._told.get(what) != repr(error):
                log.exception("%s failed; it is tried again", what)
            self._told[what] = repr(error)

    def _watch_the_clock(self) -> None:
        """Set all alarms anew when the wall clock was set: they wait by a clock that knows nothing of it."""
        times = self._app.times
        wall, monotonic = times.wall(), times.monotonic()
        while not self._stopping.wait(_WATCH_SECONDS):
            passed = timedelta(seconds=times.monotonic() - monotonic)
            if abs(times.wall() - wall - passed) > JUMP:
                log.warning("the clock was set; all alarms are set anew")
                wall, monotonic = times.wall(), times.monotonic()
                self._wake_everything()


def _active(session: Session) -> Sequence[int]:
    """The ids of the schedules whose slots count: one whose row cannot be read stops no others."""
    return session.scalars(
        select(Schedule.id)
        .where(Schedule.removed_at.is_(None), Schedule.paused_at.is_(None))
        .order_by(Schedule.id)
    ).all()


def _stale(session: Session, schedule_id: int, since: datetime, now: datetime) -> list[int]:
    """The feeds of the schedule's newsletter that were not fetched since then, and may be by now."""
    feeds = newsletter_feeds.feeds_of_schedule(session, schedule_id)
    return list(
        session.scalars(
            select(Feed.id).where(
                Feed.id.in_(feeds),
                or_(
                    Feed.last_fetched_at.is_(None),
                    Feed.last_fetched_at < since,
                    fetch_state.is_ahead(now),
                ),
                or_(Feed.retry_at.is_(None), Feed.retry_at <= now, fetch_state.is_ahead(now)),
                Feed.gone_at.is_(None),
            )
        )
    )
