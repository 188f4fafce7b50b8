"""Runs the purges of everything that is old, a few rows in each transaction.

Never decides what is old: `mailer.subscribers.purge` and `mailer.digests.retention` do.
"""

import threading
from functools import partial
from typing import Final

from mailer.app import App
from mailer.db.wiping import empty_wal
from mailer.digests import retention
from mailer.scheduler.step_runner import StepRunner
from mailer.subscribers import purge

REST: Final = 0.05
"""Seconds between two transactions of a purge. On SQLite a process that waits to write asks again by then."""
_CHECKPOINT_WAIT: Final = 0.5
"""Seconds in which others may finish what they read, so that SQLite's WAL can be emptied."""


class Purging:
    """Purges, until it is stopped: what strangers typed, and digests older than the retention."""

    def __init__(self, app: App, steps: StepRunner, stopping: threading.Event) -> None:
        self._app = app
        self._steps = steps
        self._stopping = stopping

    def run(self) -> None:
        """Delete everything that is due to be deleted now."""
        settings = self._app.settings
        limits = settings.signup_limits
        purges = purge.due_purges(
            limit_span=max(rate.span for rate in (limits.address, limits.network, limits.total)),
            client_retention=settings.consent_retention,
            now=self._app.times.wall(),
        )
        for name, delete_some in purges.items():
            self._steps.run(name, partial(self._in_turns, delete_some))
        if settings.ledger_retention is not None:
            before = self._app.times.wall() - settings.ledger_retention
            old = partial(
                retention.purge_digests,
                self._app.database,
                before=before,
                wall=self._app.times.wall,
                go_on=self._goes_on,
            )
            self._steps.run("digests older than the retention", old)
        # What was deleted, also by readers on a page, may still be in SQLite's WAL.
        empty = partial(empty_wal, self._app.database, wait_seconds=_CHECKPOINT_WAIT)
        self._steps.run("emptying the WAL", empty)

    def _in_turns(self, delete_some: purge.Purge) -> None:
        """Delete a few rows at a time, so that processes that wait for the database write in between."""
        while self._goes_on():
            with self._app.database.write() as session:
                if delete_some(session) < purge.AT_ONCE:
                    return

    def _goes_on(self) -> bool:
        """Let others write, and return False if there is no time for more."""
        return not self._stopping.wait(REST)
