"""`mailer digest send`: builds and sends the digest of a slot now."""

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from mailer.cli.base import Command, confirmed, is_interactive, json_option, opened, yes_option
from mailer.cli.digest.progress import showing
from mailer.cli.digest.show import print_outcome
from mailer.cli.long_running import stop_signals
from mailer.cli.output import message
from mailer.cli.parameters import slot_options
from mailer.errors import MailerError, Refused
from mailer.models import DigestStatus
from mailer.monitoring.digest_reference import DigestTarget, coming_target, target_to_send
from mailer.monitoring.preview import read_preview
from mailer.settings import local_links
from mailer.text.english import coming_time, pluralise

if TYPE_CHECKING:
    from mailer.app import App

_OVER: Final = (DigestStatus.SENT, DigestStatus.SKIPPED, DigestStatus.CANCELLED)


@click.command(cls=Command)
@slot_options
@click.option("--wait", is_flag=True, help="Send in this process, and wait for the end.")
@yes_option
@json_option
def send(reference: str, slot: str | None, wait: bool, yes: bool, as_json: bool) -> None:
    """Build the digest of a slot now, and send it. The scheduler does not repeat it.

    A slot is one time at which a schedule sends a digest, named by its local date and time. At a terminal
    the command shows the subject, the number of readers and the slot, and asks first.

    Running workers send it, or this process does with --wait. Sending the same slot again sends
    nothing more, and returns the same digest.

    --wait succeeds when the digest is sent. It ends early on SIGTERM or Ctrl-C, if the digest is paused,
    or if a mail must be tried again in more than a minute; repeating the command continues.

    \b
    Example:
      mailer digest send daily/morning --wait
    """
    with opened() as app:
        local_links.check(app.settings.base_url, app.settings.smtp_url)
        if wait:
            app.check_dkim()
        digest_id, was_over = _build(app, reference, slot, yes=yes)
        if wait:
            _wait(app, digest_id)
        print_outcome(app, digest_id, as_json)
        if was_over and not as_json:
            _print_next(app, reference)


def _build(app: "App", reference: str, slot: str | None, *, yes: bool) -> tuple[int, bool]:
    """Build the digest of the slot, unless there is one.

    Returns:
        The digest, and whether it was over before.

    Raises:
        Refused: it may not be built now, or the answer to the question was no.
        MailerError: the build was interrupted.
    """
    with app.database.read() as session:
        target, digest = target_to_send(session, reference, slot, now=app.times.wall())
    if digest is None:
        # The question needs a plan and a mail, which are made only for it.
        if is_interactive() and not yes:
            _ask(app, target)
        # For many readers this takes a while.
        message(f"building the digest of {reference} for {target.slot.name}")
    with app.make_builder() as builder:
        digest_id = builder.build(target.schedule.id, target.slot)
    if digest_id is None:
        raise MailerError("the build was interrupted; run this again")
    return digest_id, digest is not None and digest.status in _OVER


def _ask(app: "App", target: DigestTarget) -> None:
    """Ask whether to build this digest, showing its subject, its slot and how many readers get it.

    Raises:
        Refused: the answer was no.
    """
    now = app.times.wall()
    with app.database.read() as session:
        shown = read_preview(session, target, None, keys=app.keys, render=app.render, now=now)
    when = coming_time(target.slot.local, target.schedule.zone, now=now)
    digest = f"the digest of {target.reference} for {when}"
    if shown is None or not shown.readers:
        why = "there are no articles" if shown is None else shown.why_nobody
        question = f"As things stand, {why}. Skip {digest}?"
    else:
        readers = pluralise(shown.readers, "reader")
        question = f"{shown.content.subject!r}, {digest}: send it to {readers} now?"
    if not confirmed(question, yes=False):
        raise Refused(
            f"nothing was sent; `mailer digest preview {target.reference}` shows what would be"
        )


def _print_next(app: "App", reference: str) -> None:
    """Name the next slot after one that was over: `plan` shows that one by now, and it is not sent."""
    with suppress(Refused), app.database.read() as session:
        following = coming_target(session, reference, None, now=app.times.wall()).slot.name
        message(
            "this was so before the command, and nothing more is sent for that slot; "
            f"`mailer digest send {reference} --slot {following}` sends the next one"
        )


def _wait(app: "App", digest_id: int) -> None:
    """Send here until the digest is sent.

    Raises:
        MailerError: it is not sent; says why, and what continues it.
    """
    from mailer.digests.staff_mail.report import report_once
    from mailer.monitoring.digest_progress import why_not_sent
    from mailer.worker import send_until

    with stop_signals() as interrupted, showing() as show:
        standing = send_until(app, digest_id, show, interrupted)
    reason = why_not_sent(standing, digest_id)
    if reason is not None:
        raise MailerError(reason)
    # If no scheduler runs, nothing else would send staff the report.
    report_once(app.database, app.alerts, digest_id, app.times.wall)
