"""Builds digests: claims a slot, plans and renders it, and writes it, in transactions of its own.

Never decides about readers or articles. Builds follow one another, whatever process they run in: two that
read at the same time would give a reader one article twice.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self

from mailer.clock import Times
from mailer.db import Database, PinnedConnection
from mailer.digests.build import digest_writer, failed_builds, slot_claims
from mailer.digests.build.editions import Render, render_editions
from mailer.digests.schedules import slot_lookup
from mailer.digests.schedules.calendar import Slot
from mailer.digests.schedules.due_slots import LATE, DueSlots
from mailer.digests.selection import article_queries
from mailer.digests.selection.plan import plan_from
from mailer.failpoint import reach
from mailer.ledger.heartbeat import Heartbeat
from mailer.message.content import Content
from mailer.models import Digest, Newsletter, Schedule, WorkerRole
from mailer.notices.alert import Alerts

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2


class _Closed(Exception):
    """The builder was closed while it built."""


class Builder:
    """Builds one digest at a time, and has a heartbeat while it is open.

    Args:
        render: makes the content of an edition; if it fails, the slot is left as if never claimed.
        lease: how long another builder may be silent before what it was building is taken over.
        alerts: who is told of builds that fail and of slots that are skipped as late; None if the caller
            sees what becomes of a build.
    """

    def __init__(
        self,
        database: Database,
        times: Times,
        *,
        render: Render,
        lease: timedelta,
        alerts: Alerts | None = None,
    ) -> None:
        self._database = database
        self._times = times
        self._render = render
        self._alerts = alerts
        self._heartbeat = Heartbeat(
            database,
            times,
            WorkerRole.BUILDER,
            lease_seconds=lease.total_seconds(),
            interval_seconds=lease.total_seconds() / 3,
        )
        self._one_at_a_time = threading.Lock()
        self._closing = threading.Event()
        self._connection: PinnedConnection | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Show from now on that this builder lives."""
        self._heartbeat.start()

    def close_soon(self) -> None:
        """Begin no more builds, end waiting for those of others, and roll back the one under way.

        It ends at its next statement, or when this is called again while one runs. From any thread.
        """
        self._closing.set()
        if (connection := self._connection) is not None:
            connection.interrupt()

    def close(self, seconds: float | None = None) -> None:
        """Begin no more builds, and end the heartbeat.

        Args:
            seconds: how long to wait for the database at most; None waits without limit.
        """
        self._closing.set()
        # Until the last build has ended: one that is being rolled back is not to be taken over meanwhile.
        self._heartbeat.stop(seconds=seconds)

    def build(self, schedule_id: int, slot: Slot) -> int | None:
        """Build the digest of that slot, unless there is one; what dead builders left is built first.

        Returns:
            The digest that stands for the slot, or None if the builder was closed meanwhile.

        Raises:
            MailerError: an edition cannot be rendered, or the slot does not count any more.
        """
        with self._one_at_a_time:
            while not self._closing.is_set():
                builder_id = self._heartbeat.worker_id
                with self._database.write() as session:
                    claim = slot_claims.claim_slot(
                        session,
                        session.get_one(Schedule, schedule_id),
                        slot,
                        builder_id=builder_id,
                        live_builders=self._heartbeat.living,
                        now=self._times.wall(),
                    )
                if claim.build and claim.digest_id is not None:
                    reach("build.after-claim")
                    self._finish(claim.digest_id, builder_id)
                elif claim.digest_id is not None:
                    return claim.digest_id
                else:
                    self._closing.wait(_POLL_SECONDS)
        return None

    def build_due(self, schedule_id: int, due: DueSlots) -> int | None:
        """Record the slots of this schedule that are skipped, and build the one that is due.

        A slot whose build failed a short while ago is left for later. `due` may be some minutes old: the
        claim checks again whether the slot counts, and whether it has a digest.

        Returns:
            The digest that was due, if any.

        Raises:
            MailerError: an edition cannot be rendered, or the slot does not count any more.
        """
        now = self._times.wall()
        with self._database.read() as session:
            schedule = session.get_one(Schedule, schedule_id)
        if due.skipped:
            with self._database.write() as session:
                for skipped in slot_claims.record_skipped(session, schedule, due.skipped, now=now):
                    if skipped.reason == LATE and self._alerts is not None:
                        failed_builds.tell_missed(
                            session, self._alerts, schedule, skipped.slot.name, None, now=now
                        )
        if due.build is None or not failed_builds.may_try(schedule, due.build, now=now):
            return None
        return self.build(schedule_id, due.build)

    def take_over(self) -> int | None:
        """Build one digest that a dead builder left, if there is one, and return its id.

        Raises:
            MailerError: an edition cannot be rendered.
        """
        with self._one_at_a_time:
            if self._closing.is_set():
                return None
            builder_id = self._heartbeat.worker_id
            with self._database.write() as session:
                digest_id = slot_claims.take_over(
                    session, builder_id=builder_id, live_builders=self._heartbeat.living
                )
            if digest_id is not None:
                self._finish(digest_id, builder_id)
            return digest_id

    def _finish(self, digest_id: int, builder_id: int) -> None:
        """Plan, render and write a digest that this builder has claimed, unless it is closed meanwhile."""
        with (
            self._giving_back_on_failure(digest_id, builder_id),
            # The table of readers lasts as long as this connection does.
            self._interruptible() as connection,
        ):
            self._write(connection, digest_id, builder_id)

    def _write(self, connection: PinnedConnection, digest_id: int, builder_id: int) -> None:
        with connection.read() as session:
            digest = session.get(Digest, digest_id)
            if digest is None:
                return
            schedule = session.get_one(Schedule, digest.schedule_id)
            newsletter = session.get_one(Newsletter, schedule.newsletter_id)
            slot = slot_lookup.slot_of(digest, schedule)
            source = article_queries.frozen(digest_id)
            plan = plan_from(session, schedule, slot, source, digest_id)
        plan, rendered = render_editions(plan, newsletter, self._render_unless_closed)
        self._check_open()
        with connection.write() as session:
            queued = digest_writer.write(
                session, digest_id, plan, rendered, builder_id=builder_id, now=self._times.wall()
            )
            reach("build.before-commit")
        if queued is None:
            log.warning("digest %s: taken over or cancelled while it was being built", digest_id)
            return
        log.info(
            "digest %s: slot %s built, %s editions, %s readers, %s changed meanwhile",
            digest_id,
            slot.name,
            len(rendered),
            queued,
            plan.reader_count - queued,
        )

    @contextmanager
    def _giving_back_on_failure(self, digest_id: int, builder_id: int) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            with self._database.write() as session:
                slot = slot_claims.give_back(session, digest_id, builder_id=builder_id)
                # A build that is given up because the process ends has not failed.
                if slot and self._alerts and not self._closing.is_set():
                    failed_builds.note_failure(
                        session, self._alerts, *slot, error, now=self._times.wall()
                    )
            # What an interrupted statement raises depends on its driver.
            if not (self._closing.is_set() and isinstance(error, Exception)):
                raise
            log.info("digest %s: not built, because this process ends", digest_id)

    @contextmanager
    def _interruptible(self) -> Iterator[PinnedConnection]:
        """Open the connection of a build, which `close_soon` may interrupt."""
        with self._database.pinned() as connection:
            self._connection = connection
            try:
                self._check_open()
                yield connection
            finally:
                self._connection = None

    def _render_unless_closed(self, *edition: Any) -> Content:
        self._check_open()
        return self._render(*edition)

    def _check_open(self) -> None:
        """Check that the builder was not closed.

        Raises:
            _Closed: it was.
        """
        if self._closing.is_set():
            raise _Closed
