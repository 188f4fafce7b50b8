"""Warns after a command that queued something if nothing will happen to it for now."""

from typing import TYPE_CHECKING

from mailer.cli.output import message
from mailer.models import WorkerRole
from mailer.monitoring.idle import why_idle

if TYPE_CHECKING:
    from mailer.app import App


def warn_if_nothing_sends(app: "App") -> None:
    """Warn on stderr if no worker runs, or all sending is paused."""
    _warn(app, WorkerRole.SENDER)


def warn_if_nothing_builds(app: "App") -> None:
    """Warn on stderr if no scheduler runs, which fetches feeds and builds digests at their slots."""
    _warn(app, WorkerRole.BUILDER)


def _warn(app: "App", role: WorkerRole) -> None:
    with app.database.read() as session:
        reason = why_idle(session, role, lease=app.settings.lease, now=app.times.wall())
    if reason is not None:
        message(reason)
