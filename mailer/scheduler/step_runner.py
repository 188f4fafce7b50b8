"""Runs the steps of the scheduler's jobs: one that fails neither stops the others nor fills the log."""

import logging
import threading
from collections.abc import Callable

from mailer.errors import MailerError

log = logging.getLogger(__name__)


class StepRunner:
    """Runs steps until the scheduler is stopped."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._logged: dict[str, str] = {}

    def run(self, name: str, step: Callable[[], object]) -> None:
        """Run one step. A failure is logged once until it changes: the next round tries again."""
        if self._stopping.is_set():
            return
        try:
            step()
            self._logged.pop(name, None)
        except MailerError as error:
            if self._is_new(name, str(error)):
                log.error("%s: %s", name, error)
        except Exception as error:
            if self._is_new(name, repr(error)):
                log.exception("%s failed; it is tried again", name)

    def _is_new(self, name: str, error: str) -> bool:
        before = self._logged.get(name)
        self._logged[name] = error
        return before != error
