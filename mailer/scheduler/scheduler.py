"""Wakes at slots, and at times in between, and runs the scheduler's jobs.

Never decides: every job calls functions that may be called at any time and twice. The calendar computes when
slots are; APScheduler only wakes us, because its own idea of days skips some when clocks change.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from mailer.app import App
from mailer.bounces import refused_mails, watch
from mailer.bounces.intake.fetch import fetch
from mailer.bounces.rates import StopLimits
from mailer.clock import ClockJumps, utc_now
from mailer.daemon_pool import DaemonThreadPool
from mailer.digests.schedules import slot_lookup
from mailer.digests.schedules.calendar import Slot
from mailer.digests.staff_mail import report, review
from mailer.ledger import digest_state, fence
from mailer.models import Schedule
from mailer.scheduler.feed_polling import FeedPolling, active_schedules
from mailer.scheduler.nightly_backups import LOOK as BACKUP_LOOK
from mailer.scheduler.nightly_backups import NightlyBackups
from mailer.scheduler.purging import Purging
from mailer.scheduler.step_runner import StepRunner

log = logging.getLogger(__name__)

SWEEP: Final = timedelta(seconds=15)
RETURNED_MAIL: Final = timedelta(minutes=5)
"""How often the mailbox of returned mail is read."""
PURGE: Final = timedelta(hours=1)
REVIEW_AGAIN: Final = timedelta(minutes=1)
"""How soon a review that had nothing to show is tried again."""

STOP_SECONDS: Final = 3.0
"""How long what is under way may take to end, when the scheduler is stopped."""

_WATCH_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1
_THREADS: Final = 10


class _JobExecutor(BasePoolExecutor):  # type: ignore[misc]
    """Runs APScheduler's jobs in threads that never keep the process from ending."""

    def __init__(self, pool: DaemonThreadPool) -> None:
        super().__init__(pool)


class Scheduler:
    """Fetches feeds and builds what is due, in threads of its own, until it is stopped."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._stopping = threading.Event()
        self._stopped_at = 0.0
        self._steps = StepRunner(self._stopping)
        self._feeds = FeedPolling(app, self._steps, self._stopping)
        self._purging = Purging(app, self._steps, self._stopping)
        self._backups = NightlyBackups(app, self._steps, self._stopping)
        self._builder = app.make_builder(app.alerts)
        self._review_after: dict[int, float] = {}
        self._planned: dict[int, datetime] = {}
        self._sweeping = threading.Lock()
        self._fetching_mail = threading.Lock()
        self._clock = threading.Thread(target=self._watch_the_clock, name="clock", daemon=True)
        self._jobs = DaemonThreadPool(_THREADS, "scheduler")
        # APScheduler logs each run at INFO.
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._alarms = BackgroundScheduler(
            timezone=UTC,
            executors={"default": _JobExecutor(self._jobs)},
            job_defaults={
                # By default a run that is a second late is dropped.
                "misfire_grace_time": None,
                "coalesce": True,
                # One that works, and one that finds it at work and ends at once.
                "max_instances": 2,
            },
        )

    def start(self) -> None:
        """Do at once what is due, and from then on whenever something is."""
        self._builder.open()
        self._alarms.start()
        self._wake_all_jobs()
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
        self._feeds.stop()
        self._builder.close_soon()

    def join(self) -> None:
        """Wait until what was under way has ended, for `STOP_SECONDS` from `stop_soon`.

        Never call this from a job.
        """
        self._alarms.shutdown(wait=False)
        while not self._jobs.join(_LOOK_SECONDS):
            if self._seconds_left() == 0:
                log.warning(
                    "the scheduler did not end in time; what it was doing will be done again later"
                )
                break
            # A statement that began just now missed the first one.
            self._builder.close_soon()
        # The heartbeat has still to be ended, however late it is.
        self._builder.close(max(1.0, self._seconds_left()))
        self._clock.join(self._seconds_left())

    def _seconds_left(self) -> float:
        return max(0.0, self._stopped_at + STOP_SECONDS - self._app.times.monotonic())

    def _wake_all_jobs(self) -> None:
        """Have the periodic jobs run now; the sweep sets the alarms of slots."""
        self._planned.clear()
        self._review_after.clear()
        # APScheduler goes by the real clock, whatever clock this process was given.
        now = utc_now()
        settings = self._app.settings
        jobs = (
            # A dead builder's digest should not wait much longer than the lease.
            (self._sweep, min(SWEEP, settings.lease / 4)),
            (self._feeds.poll, min(SWEEP, settings.feed_interval)),
            (self._purging.run, PURGE),
            (self._backups.make_due_backup, BACKUP_LOOK),
            (self._fetch_returned_mail, RETURNED_MAIL),
        )
        for job, every in jobs:
            self._alarms.add_job(
                job,
                IntervalTrigger(seconds=every.total_seconds(), timezone=UTC),
                id=job.__name__,
                next_run_time=now,
                replace_existing=True,
            )

    def _sweep(self) -> None:
        """Do all that is due by now: what an alarm missed, and what another process left."""
        if not self._sweeping.acquire(blocking=False):
            return
        try:
            for name, step in (
                ("left builds", self._unless_fenced(self._take_over)),
                ("digests that staff want now", self._unless_fenced(self._build_asked_for)),
                ("slots", self._unless_fenced(self._build_all_due)),
                ("reviews", self._unless_fenced(self._review)),
                ("finished digests", self._unless_fenced(self._finish_digests)),
                ("what comes back", self._watch_what_comes_back),
                ("reports", self._report),
            ):
                self._steps.run(name, step)
        finally:
            self._sweeping.release()

    def _unless_fenced(self, step: Callable[[], object]) -> Callable[[], None]:
        """Make a step that does nothing in a database that was restored, until `mailer resume`."""

        def run() -> None:
            with self._app.database.read() as session:
                is_fenced = fence.current(session) is not None
            if not is_fenced:
                step()

        return run

    def _build_all_due(self) -> None:
        """Set an alarm at each schedule's next slot, and build what is due.

        After a stop several are due at once: the one whose slot was first is first, as it would have been.
        """
        due: dict[int, datetime] = {}
        with self._app.database.read() as session:
            now = self._app.times.wall()

            def look_at(schedule_id: int) -> None:
                schedule = session.get_one(Schedule, schedule_id)
                self._set_alarm(schedule_id, slot_lookup.next_slot(schedule, now=now))
                slots = slot_lookup.due(session, schedule, now=now)
                if slots.build or slots.skipped:
                    due[schedule_id] = slots.build.due_at if slots.build else now

            for schedule_id in active_schedules(session):
                self._steps.run(f"slots of schedule {schedule_id}", partial(look_at, schedule_id))
        # This look only finds the order. The builds before one may take long, and what is due then counts.
        for schedule_id in sorted(due, key=lambda schedule_id: (due[schedule_id], schedule_id)):
            self._build_due(schedule_id)

    def _set_alarm(self, schedule_id: int, slot: Slot | None) -> None:
        if slot is None or self._planned.get(schedule_id) == slot.due_at:
            return
        self._planned[schedule_id] = slot.due_at
        self._alarms.add_job(
            self._build_due,
            DateTrigger(slot.due_at),
            args=[schedule_id],
            id=f"slot of schedule {schedule_id}",
            replace_existing=True,
        )

    def _build_due(self, schedule_id: int) -> None:
        """Build the slot of this schedule that is due, if one is, on feeds that are fresh."""
        build = self._unless_fenced(partial(self._build_slot, schedule_id))
        self._steps.run(f"schedule {schedule_id}", build)

    def _build_slot(self, schedule_id: int) -> None:
        with self._app.database.read() as session:
            schedule = session.get_one(Schedule, schedule_id)
            due = slot_lookup.due(session, schedule, now=self._app.times.wall())
        if due.build is not None:
            self._steps.run(
                f"feeds of schedule {schedule_id}",
                partial(self._feeds.fetch_for_slot, schedule_id, due.build),
            )
        if not self._stopping.is_set():
            self._builder.build_due(schedule_id, due)

    def _take_over(self) -> None:
        while not self._stopping.is_set() and self._builder.take_over() is not None:
            pass

    def _build_asked_for(self) -> None:
        """Build what staff asked for in a review, before its slot."""
        with self._app.database.read() as session:
            wanted = review.asked_for(session, now=self._app.times.wall())
        for schedule_id, slot in wanted:
            self._steps.run(
                f"slot {slot.name} of schedule {schedule_id}, which staff want now",
                partial(self._builder.build, schedule_id, slot),
            )

    def _review(self) -> None:
        """Show staff the digests whose slots are near."""
        times = self._app.times
        if not self._app.alerts.staff_address:
            return
        with self._app.database.read() as session:
            wanted = review.due_reviews(session, now=times.wall())
        for schedule_id, slot in wanted:
            if self._review_after.get(schedule_id, 0.0) > times.monotonic():
                continue
            # If there is nothing to show yet, to ask again costs a plan.
            self._review_after[schedule_id] = times.monotonic() + REVIEW_AGAIN.total_seconds()
            self._steps.run(
                f"review of slot {slot.name} of schedule {schedule_id}",
                partial(self._review_slot, schedule_id, slot),
            )

    def _review_slot(self, schedule_id: int, slot: Slot) -> None:
        alerts, render = self._app.alerts, self._app.render
        with self._app.database.read() as session:
            content = review.review_content(session, alerts, render, schedule_id, slot)
        if content is not None:
            now = self._app.times.wall()
            with self._app.database.write() as session:
                review.queue_review(session, alerts, content, schedule_id, slot, now=now)

    def _report(self) -> None:
        """Report to staff how the digests went that are sent."""
        app = self._app
        with app.database.read() as session:
            wanted = report.unreported(session)
        for digest_id in wanted:
            send = partial(report.report_once, app.database, app.alerts, digest_id, app.times.wall)
            self._steps.run(f"report of digest {digest_id}", send)

    def _finish_digests(self) -> None:
        with self._app.database.write() as session:
            digest_state.finish_digests(session, self._app.times.wall())

    def _watch_what_comes_back(self) -> None:
        """Read refused mails as bounces, and stop digests of which too much comes back."""
        app, settings = self._app, self._app.settings
        limits = StopLimits(settings.stop_at_complaints, settings.stop_at_hard_bounces)
        now = app.times.wall
        with app.database.read() as session:
            digests = watch.watched(session)
        for digest_id in digests:
            is_more = True
            # Some at a time, so that processes that wait for the database write in between.
            while is_more and not self._stopping.is_set():
                with app.database.write() as session:
                    is_more = watch.watch_digest(session, app.alerts, digest_id, limits, now=now())
        with app.database.write() as session:
            refused_mails.read_failed_notices(session, now=now())
            watch.warn_of_complaints(session, app.alerts, now=now())
            watch.tell_of_bounces(session, app.alerts, now=now())

    def _fetch_returned_mail(self) -> None:
        context = self._app.mailbox_context
        if context is not None and self._fetching_mail.acquire(blocking=False):
            try:
                read = partial(fetch, context, is_stopping=self._stopping.is_set)
                self._steps.run("returned mail", read)
            finally:
                self._fetching_mail.release()

    def _watch_the_clock(self) -> None:
        """Set all alarms anew when the wall clock was set: they wait by a clock that does not notice."""
        times = self._app.times
        jumps = ClockJumps()
        jumps.observe(times.wall(), times.monotonic())
        while not self._stopping.wait(_WATCH_SECONDS):
            if jumps.observe(times.wall(), times.monotonic()):
                log.warning("the clock was set; all alarms are set again")
                self._wake_all_jobs()
