"""Makes the nightly backup when it is due, and has staff told when there is no recent one.

Never delays a stop: a backup that is under way is given up.
"""

import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from mailer.app import App
from mailer.database_copies import nightly
from mailer.notices.backup_alerts import alert_if_overdue
from mailer.scheduler.step_runner import StepRunner

LOOK: Final = timedelta(minutes=5)
"""How often it is asked whether a backup is due."""


class NightlyBackups:
    """Makes backups, one at a time, in a thread of the scheduler; the others go on."""

    def __init__(self, app: App, steps: StepRunner, stopping: threading.Event) -> None:
        self._app = app
        self._steps = steps
        self._stopping = stopping
        self._one_at_a_time = threading.Lock()

    def make_due_backup(self) -> None:
        """Make the backup that is due, if one is, and look whether staff must be told."""
        folder = self._app.settings.backup_folder
        if folder is None or not self._one_at_a_time.acquire(blocking=False):
            return
        try:
            self._steps.run("nightly backup", partial(self._make, folder))
            self._steps.run("alert about backups", self._alert)
        finally:
            self._one_at_a_time.release()

    def _make(self, folder: Path) -> None:
        nightly.make_due(
            self._app.database,
            folder,
            fingerprint=self._app.keys.fingerprint(),
            wall=self._app.times.wall,
            is_stopping=self._stopping.is_set,
        )

    def _alert(self) -> None:
        with self._app.database.write() as session:
            alert_if_overdue(session, self._app.alerts, self._app.times.wall())
