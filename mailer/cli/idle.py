"""What a command that queued something adds where nothing will happen to it now."""

from typing import TYPE_CHECKING

from mailer.cli.output import message
from mailer.models import WorkerRole
from mailer.monitoring.idle import why_idle

if TYPE_CHECKING:
    from mailer.app import App


def warn_if_nothing_sends(app: "App") -> None:
    """Say on stderr that no worker runs, or that all sending is paused."""
    _warn(app, WorkerRole.SENDER)


def warn_if_nothing_builds(app: "App") -> None:
    """Say on stderr that no scheduler runs, which fetches feeds and builds digests at their slots."""
    _warn(app, WorkerRole.BUILDER)


def _warn(app: "App", role: WorkerRole) -> None:
    with app.database.read() as session:
        why = why_idle(session, role, lease=app.settings.lease, now=app.times.wall())
    if why is not None:
        message(why)
