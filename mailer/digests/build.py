"""The runner that builds digests: takes a slot, has it planned and rendered, and has it written down.

Owns the transactions of a build and decides nothing about readers or articles. Builds follow one another,
whatever process they run in: two that read at the same time would give a reader one article twice.
"""

import logging
import os
import platform
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self

from sqlalchemy.orm import Session

from mailer.clock import Times
from mailer.db import Database
from mailer.delivery import heartbeat
from mailer.digests import candidates, deliveries, record, timetable
from mailer.digests.calendar import Slot
from mailer.digests.editions import Render, render_editions
from mailer.digests.plan import plan_from
from mailer.digests.roll import take_roll
from mailer.failpoint import reach
from mailer.models import Digest, Newsletter, Schedule, WorkerRole

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2


class Builder:
    """A process that builds digests: has a heartbeat while it is open, and builds one at a time.

    Args:
        render: makes the content of an edition; when it fails, the slot is left as if never taken.
        lease: how long another builder may be silent before what it was building is taken over.
    """

    def __init__(
        self, database: Database, times: Times, *, render: Render, lease: timedelta
    ) -> None:
        self._database = database
        self._times = times
        self._render = render
        self._lease = lease.total_seconds()
        self._watch = heartbeat.Watch(self._lease)
        self._one_at_a_time = threading.Lock()
        self._closing = threading.Event()
        self._pulse = threading.Thread(target=self._beat, name="builder-heartbeat", daemon=True)
        self._id = 0

    def __enter__(self) -> Self:
        self._register()
        self._pulse.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._pulse.join()
        with self._database.write() as session:
            heartbeat.stop(session, self._id, self._times.wall())

    def close_soon(self) -> None:
        """Begin no more builds, and end waiting for those of others."""
        self._closing.set()

    def build(self, schedule_id: int, slot: Slot) -> int | None:
        """Build the digest of that slot, if nobody did; what dead builders left is built first.

        Returns:
            The digest that stands for the slot, or None where the builder was closed meanwhile.

        Raises:
            MailerError: an edition cannot be rendered.
        """
        with self._one_at_a_time:
            while not self._closing.is_set():
                builder_id = self._id
                with self._database.write() as session:
                    turn = record.take_slot(
                        session,
                        session.get_one(Schedule, schedule_id),
                        slot,
                        builder_id=builder_id,
                        alive=self._alive,
                        now=self._times.wall(),
                    )
                if turn.build and turn.digest_id is not None:
                    reach("build.after-claim")
                    self._finish(turn.digest_id, builder_id)
                elif turn.digest_id is not None:
                    return turn.digest_id
                else:
                    self._closing.wait(_POLL_SECONDS)
        return None

    def build_due(self, schedule_id: int) -> int | None:
        """Do what is due for this schedule now: record slots that are let go, build the latest.

        Returns:
            The digest that was due, if any.
        """
        with self._database.read() as session:
            schedule = session.get_one(Schedule, schedule_id)
            due = timetable.due(session, schedule, now=self._times.wall())
        if due.let_go:
            with self._database.write() as session:
                record.let_go(session, schedule, due.let_go, now=self._times.wall())
        return None if due.build is None else self.build(schedule_id, due.build)

    def take_over(self) -> int | None:
        """Build one digest that a dead builder left, if there is one; its id."""
        with self._one_at_a_time:
            builder_id = self._id
            with self._database.write() as session:
                left = record.take_over(session, builder_id=builder_id, alive=self._alive)
            if left is not None:
                self._finish(left, builder_id)
            return left

    def _finish(self, digest_id: int, builder_id: int) -> None:
        """Plan, render and write a digest that this builder has taken."""
        with (
            self._giving_back_on_failure(digest_id, builder_id),
            # The roll of readers lasts as long as this connection does.
            self._database.kept() as kept,
        ):
            with kept.read() as session:
                digest = session.get(Digest, digest_id)
                if digest is None:
                    return
                schedule = session.get_one(Schedule, digest.schedule_id)
                newsletter = session.get_one(Newsletter, schedule.newsletter_id)
                slot = timetable.slot_of(digest, schedule)
                source = candidates.frozen(digest_id)
                plan = plan_from(session, schedule, slot, source, digest_id, take_roll)
            plan, rendered = render_editions(plan, newsletter, self._render)
            with kept.write() as session:
                written = deliveries.write(
                    session,
                    digest_id,
                    plan,
                    rendered,
                    builder_id=builder_id,
                    now=self._times.wall(),
                )
                reach("build.before-commit")
        if written is None:
            log.warning("digest %s: taken over or cancelled while it was being built", digest_id)
            return
        log.info(
            "digest %s: slot %s built, %s editions, %s readers, %s changed meanwhile",
            digest_id,
            slot.name,
            len(rendered),
            written.queued,
            written.changed,
        )

    @contextmanager
    def _giving_back_on_failure(self, digest_id: int, builder_id: int) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with self._database.write() as session:
                record.give_back(session, digest_id, builder_id=builder_id)
            raise

    def _alive(self, session: Session) -> Collection[int]:
        """The builders that live, this one among them; the rows of those that do not are closed."""
        beats = heartbeat.beats(session, WorkerRole.BUILDER)
        silent = self._watch.observe(beats, self._times.monotonic()) - {self._id}
        for builder_id in silent:
            heartbeat.stop(session, builder_id, self._times.wall())
        return beats.keys() - silent

    def _register(self) -> None:
        with self._database.write() as session:
            self._id = heartbeat.register(
                session,
                WorkerRole.BUILDER,
                platform.node(),
                os.getpid(),
                self._times.wall(),
            )

    def _beat(self) -> None:
        while not self._closing.wait(self._lease / 3):
            try:
                with self._database.write() as session:
                    lives = heartbeat.beat(session, self._id, self._times.wall())
                if not lives:
                    # Others held us for dead and may have taken our digest over; what we have in hand
                    # is fenced by the old id.
                    self._register()
            except Exception:
                log.exception("builder %s could not show that it lives; it tries again", self._id)
