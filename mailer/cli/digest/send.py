"""`mailer digest send`: that slot, now."""

import sys
from typing import TYPE_CHECKING

import click

from mailer.cli.digest.look import print_digest
from mailer.cli.output import message
from mailer.cli.verb import json_option, opened
from mailer.digests import schedules, timetable
from mailer.digests.calendar import Slot
from mailer.errors import MailerError, Refused
from mailer.models import Schedule

if TYPE_CHECKING:
    from mailer.app import App
    from mailer.delivery.running import Counts


@click.command
@click.argument("reference", metavar="SLUG/NAME")
@click.option(
    "--slot", metavar="ISO", help="As `mailer schedule next` prints it; else the next one."
)
@click.option("--wait", is_flag=True, help="Send in this process, and wait for the end.")
@json_option
def send(reference: str, slot: str | None, wait: bool, as_json: bool) -> None:
    """Build the digest of a slot now, and send it; the scheduler then finds it done.

    Running workers send it, or this process does with --wait. Sending the same slot again sends
    nothing more: it answers with the same digest.

    \b
    Example:
      mailer digest send daily/morning --wait
    """
    with opened() as app:
        digest_id = _built(app, reference, slot)
        if wait:
            _wait(app, digest_id)
        print_digest(app, digest_id, as_json)


def _built(app: "App", reference: str, slot: str | None) -> int:
    """The digest of the slot that is meant, built now if nobody did."""
    from mailer.scheduler import make_builder

    now = app.times.wall()
    with app.database.read() as session:
        _, schedule = schedules.find(session, reference)
        meant = timetable.next_slot(schedule, now=now) if slot is None else None
        if slot is not None:
            meant = timetable.slot_meant(schedule, slot)
        if meant is None:
            raise Refused(
                f"{reference} has no slot to come; see `mailer schedule show {reference}`"
            )
        known = timetable.digest_at(session, schedule, meant)
        if known is None:
            _check(schedule, reference, meant, app)
    with make_builder(app) as builder:
        digest_id = builder.build(schedule.id, meant)
    if digest_id is None:
        raise MailerError("the build was interrupted; run this again")
    return digest_id


def _check(schedule: Schedule, reference: str, slot: Slot, app: "App") -> None:
    """Raise unless this slot may get its digest now."""
    if schedule.paused_at is not None:
        raise Refused(f"{reference} is paused; run `mailer schedule resume {reference}` first")
    too_late = app.times.wall() - slot.due_at > schedule.max_lateness
    if too_late or slot.due_at <= schedule.active_from:
        raise Refused(
            f"slot {slot.name} is past; `mailer schedule next {reference}` lists those to come"
        )


def _wait(app: "App", digest_id: int) -> None:
    from mailer.worker import send_until

    with _Bar() as bar:
        counts = send_until(app, digest_id, bar.show)
    message(f"{counts.sent} sent, {counts.failed} failed, {counts.pending} pending")


class _Bar:
    """A progress bar on stderr, where that is a terminal; elsewhere nothing."""

    def __enter__(self) -> "_Bar":
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._progress.start()
        self._task = self._progress.add_task("sending", total=None)
        return self

    def show(self, counts: "Counts") -> None:
        """Show how many are done."""
        self._progress.update(
            self._task, total=counts.total, completed=counts.total - counts.pending
        )

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
