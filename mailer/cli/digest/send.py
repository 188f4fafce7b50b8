"""`mailer digest send`: that slot, now."""

from typing import TYPE_CHECKING, Final

import click

from mailer.cli.base import Command, confirmed, is_interactive, json_option, opened, yes_option
from mailer.cli.digest.preview import shown_content
from mailer.cli.digest.progress import showing
from mailer.cli.digest.show import tell_digest
from mailer.cli.digest.target import Target, no_slot
from mailer.cli.long_running import stop_signals
from mailer.cli.output import message
from mailer.digests.schedules import schedule_lookup, slot_lookup
from mailer.digests.schedules.calendar import Slot
from mailer.errors import MailerError, Refused
from mailer.models import DigestStatus, Schedule
from mailer.settings import local_links
from mailer.text.english import coming_time, pluralise

if TYPE_CHECKING:
    from mailer.app import App

_OVER: Final = (DigestStatus.SENT, DigestStatus.SKIPPED, DigestStatus.CANCELLED)


@click.command(cls=Command)
@click.argument("reference", metavar="SLUG/NAME")
@click.option(
    "--slot", metavar="ISO", help="As `mailer schedule next` prints it; else the next one."
)
@click.option("--wait", is_flag=True, help="Send in this process, and wait for the end.")
@yes_option
@json_option
def send(reference: str, slot: str | None, wait: bool, yes: bool, as_json: bool) -> None:
    """Build the digest of a slot now, and send it. The scheduler does not repeat it.

    At a terminal it shows the subject, the number of readers and the slot, and asks first.

    Running workers send it, or this process does with --wait. Sending the same slot again sends
    nothing more: it answers with the same digest.

    --wait ends well when the digest is sent. SIGTERM or Ctrl-C ends it early, as does a pause, and so
    does a mail that must be tried again later than in a minute; repeating the command continues.

    \b
    Example:
      mailer digest send daily/morning --wait
    """
    with opened() as app:
        local_links.check(app.settings.base_url, app.settings.smtp_url)
        digest_id, was_over = _built(app, reference, slot, yes=yes)
        if wait:
            _wait(app, digest_id)
        tell_digest(app, digest_id, as_json)
        if was_over and not as_json:
            _tell_of_the_next(app, reference)


def _built(app: "App", reference: str, slot: str | None, *, yes: bool) -> tuple[int, bool]:
    """The digest of the slot that is meant, built now if nobody did; and whether it was over before.

    Raises:
        Refused: the slot may not get its digest now, or the answer to the question was no.
    """
    now = app.times.wall()
    with app.database.read() as session:
        newsletter, schedule = schedule_lookup.find(session, reference)
        meant = slot_lookup.next_slot(schedule, now=now) if slot is None else None
        if slot is not None:
            meant = slot_lookup.parse_slot(schedule, slot)
        if meant is None:
            raise Refused(no_slot(session, reference, schedule))
        known = slot_lookup.digest_at(session, schedule, meant)
        if known is None:
            _check(schedule, reference, meant, app)
    if known is None:
        # The question takes a plan and a mail, which nobody needs who is not asked.
        if is_interactive() and not yes:
            _ask(app, Target(newsletter, schedule, meant))
        # For many readers it takes a while.
        message(f"building the digest of {reference} for {meant.name}")
    with app.make_builder() as builder:
        digest_id = builder.build(schedule.id, meant)
    if digest_id is None:
        raise MailerError("the build was interrupted; run this again")
    return digest_id, known is not None and known.status in _OVER


def _ask(app: "App", about: Target) -> None:
    """Ask whether to build this digest, telling its subject, its slot and how many readers get it.

    Raises:
        Refused: the answer was no.
    """
    when = coming_time(about.slot.local, about.schedule.zone, now=app.times.wall())
    with app.database.read() as session:
        shown = shown_content(app, session, about, None)
    digest = f"the digest of {about.reference} for {when}"
    if shown is None or not shown.readers:
        why = "there are no articles" if shown is None else shown.nobody
        question = f"As things stand, {why}. Skip {digest}?"
    else:
        readers = pluralise(shown.readers, "reader")
        question = f"{shown.content.subject!r}, {digest}: send it to {readers} now?"
    if not confirmed(question, yes=False):
        raise Refused(
            f"nothing was sent; `mailer digest preview {about.reference}` shows what would be"
        )


def _tell_of_the_next(app: "App", reference: str) -> None:
    """Where the slot was done with: what `plan` shows by now is another one's, and did not go out."""
    with app.database.read() as session:
        _, schedule = schedule_lookup.find(session, reference)
        following = slot_lookup.next_free_slot(session, schedule, now=app.times.wall())
    if following is not None:
        message(
            "it was so before this command, and nothing more is sent for that slot; "
            f"`mailer digest send {reference} --slot {following.name}` sends the next one"
        )


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
    """Send here until the digest is sent.

    Raises:
        MailerError: it is not, and why, and what continues it.
    """
    from mailer.monitoring.digest_progress import why_not_sent
    from mailer.scheduler import report_digest
    from mailer.worker import send_until

    with stop_signals() as interrupted, showing() as show:
        standing = send_until(app, digest_id, show, interrupted)
    told = why_not_sent(standing, digest_id)
    if told is not None:
        raise MailerError(told)
    # Where no scheduler runs, nobody else would tell staff.
    report_digest(app, digest_id)
