"""`mailer subscriber`: adds, imports, shows and unsubscribes readers."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mailer.address import parse
from mailer.bounces.history import CameBack, came_back_of
from mailer.cli.base import Group, json_option, opened, warn_if_nothing_sends, with_options
from mailer.cli.long_running import rows_in_lines, stop_signals
from mailer.cli.output import message, print_json, print_list, print_table
from mailer.clock import format_instant
from mailer.errors import NotFound, Refused
from mailer.models import NoticeKind
from mailer.newsletters import newsletters
from mailer.newsletters.offer import find_option, offer
from mailer.permission.consent import Origin
from mailer.permission.suppress import SuppressionView, list_suppressions
from mailer.subscribers import readers
from mailer.subscribers.csv_import import import_readers, parse_columns
from mailer.subscribers.csv_table import read_table
from mailer.subscribers.signup import ScheduleChoice, SignupResult
from mailer.subscribers.staff_changes import EntryResult, add_reader, unsubscribe_reader
from mailer.text.english import pluralise

if TYPE_CHECKING:
    from mailer.app import App

_COMMAND: Final = "mailer subscriber"

_choice_options = with_options(
    click.option("--newsletter", metavar="SLUG", required=True, help="What they subscribe to."),
    click.option(
        "--schedule",
        metavar="SLUG/NAME",
        help="When they get it (default: the newsletter's default schedule).",
    ),
)
"""Gives a command the parameters `newsletter` and `schedule`."""


@click.group(cls=Group)
def subscriber() -> None:
    """Manage readers."""


@subscriber.command
@click.argument("address")
@_choice_options
@click.option(
    "--consent-source", metavar="TEXT", help="Where they agreed; then no confirmation is mailed."
)
@json_option
def add(
    address: str, newsletter: str, schedule: str | None, consent_source: str | None, as_json: bool
) -> None:
    """Add one reader.

    Without a consent source they get a confirmation mail, as from the form. For a reader who already
    subscribes, only the schedule changes, if you give one.

    \b
    Example:
      mailer subscriber add anna@example.com --newsletter daily
      mailer subscriber add boris@example.com --newsletter daily --consent-source "paper form, 3 May"
    """
    parsed = parse(address)
    with opened() as app:
        choice = _choice(app, newsletter, schedule)
        origin = Origin(f"{_COMMAND} add", app.times.wall())
        with app.database.write() as session:
            result = add_reader(session, parsed, choice, consent_source, origin, app.signup_context)
        status = "pending" if isinstance(result, SignupResult) else result.value
        if as_json:
            print_json({"address": parsed.typed, "newsletter": newsletter, "status": status})
        if isinstance(result, SignupResult):
            is_confirmation = result.kind is NoticeKind.CONFIRMATION
            mail = f"a {'confirmation ' if is_confirmation else ''}mail to {parsed.typed}"
            is_held = result.not_before > origin.at
            until = f"waits until {format_instant(result.not_before)}"
            message(f"{mail} {until if is_held else 'is on its way'}")
            warn_if_nothing_sends(app)
        else:
            message(f"{parsed.typed}: {status}")


@subscriber.command("list")
@click.option("--newsletter", metavar="SLUG", help="Only this one's readers.")
@json_option
def list_(newsletter: str | None, as_json: bool) -> None:
    """List readers and what they get, including those who left.

    \b
    Example:
      mailer subscriber list --newsletter daily --json
    """
    with opened() as app, app.database.read() as session:
        newsletter_id = None if newsletter is None else newsletters.find(session, newsletter).id
        rows = list(readers.list_readers(session, newsletter_id))
    since = ("since", "confirmed_at")
    columns = ("address", "name", "newsletter", "schedule", "state", since)
    print_list(rows, columns, as_json=as_json)


@subscriber.command
@click.argument("address")
@json_option
def show(address: str, as_json: bool) -> None:
    """Show what a reader gets, what they were sent, what they were not sent and why, and what came back.

    \b
    Example:
      mailer subscriber show anna@example.com
    """
    parsed = parse(address)
    with opened() as app, app.database.read() as session:
        key_hash = app.keys.key_hash(parsed.key)
        subscriptions = readers.subscriptions_of(session, key_hash)
        signups = readers.open_signups(session, key_hash, now=app.times.wall())
        suppressions = list_suppressions(session, key_hash)
        got, missed = readers.mails_of(session, key_hash)
        returned = came_back_of(session, key_hash)
    if not (subscriptions or signups or suppressions):
        raise NotFound(f"no reader has the address {parsed.typed}; see `mailer subscriber list`")
    if as_json:
        print_json(
            {
                "address": parsed.typed,
                "name": subscriptions[0].name if subscriptions else None,
                "subscriptions": subscriptions,
                "pending": signups,
                "suppressions": suppressions,
                "got": got,
                "missed": missed,
                "returned": returned,
            }
        )
        return
    print_table(
        ("newsletter", "schedule", "state", "since", "left"),
        [
            (row.newsletter, row.schedule, row.state, row.confirmed_at, row.left_at)
            for row in subscriptions
        ]
        + [(row.newsletter, None, "awaits confirmation", row.asked_at, None) for row in signups],
    )
    _print_what_stops(suppressions, returned)
    rows = [
        (mail.digest, mail.newsletter, mail.slot, mail.status, mail.at, mail.subject, why)
        for mail, why in [(mail, None) for mail in got] + [(mail, mail.why) for mail in missed]
    ]
    if rows:
        message("")
        print_table(("digest", "newsletter", "slot", "status", "when", "subject", "why not"), rows)


def _print_what_stops(
    suppressions: Sequence[SuppressionView], returned: Sequence[CameBack]
) -> None:
    for stop in suppressions:
        why = f", {stop.explanation}" if stop.explanation else ""
        message(
            f"suppressed ({stop.reason}) for {stop.newsletter or 'every newsletter'} "
            f"since {format_instant(stop.since)}{why}"
        )
    rows = [
        (
            row.at,
            f"digest {row.digest}" if row.digest is not None else row.notice or "notice",
            row.kind,
            row.reason,
            row.diagnostic or row.status,
        )
        for row in returned
    ]
    if rows:
        message("")
        print_table(("came back", "of", "what", "why", "what was said"), rows)


@subscriber.command
@click.argument("address")
@click.option("--newsletter", metavar="SLUG", help="Only from this one (default: from all).")
@json_option
def unsubscribe(address: str, newsletter: str | None, as_json: bool) -> None:
    """Unsubscribe a reader at once, even from a digest that is being sent.

    \b
    Example:
      mailer subscriber unsubscribe anna@example.com --newsletter daily
    """
    parsed = parse(address)
    with opened() as app, app.database.write() as session:
        origin = Origin(f"{_COMMAND} unsubscribe", app.times.wall())
        left, before = unsubscribe_reader(session, parsed, newsletter, origin)
    if as_json:
        print_json({"address": parsed.typed, "unsubscribed": left})
    message(
        f"{parsed.typed} is unsubscribed from {pluralise(left, 'newsletter')}"
        + (f"; had left {before} before" if before else "")
    )


@subscriber.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_choice_options
@click.option("--consent-source", metavar="TEXT", required=True, help="Where they agreed.")
@click.option("--map", "columns", metavar="email=Column,…", help="Which columns to read.")
@click.option("--dry-run", is_flag=True, help="Only count, change nothing.")
@json_option
def import_(
    file: Path,
    newsletter: str,
    schedule: str | None,
    consent_source: str,
    columns: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Import readers from a CSV file with a column `email`, and optionally a column `name`.

    Readers who left or are suppressed are not brought back. Repeating the command continues an
    interrupted import.

    \b
    Example:
      mailer subscriber import readers.csv --newsletter daily --consent-source "old system, opt-in"
      mailer subscriber import readers.csv --newsletter daily --consent-source fair --map email=E-Mail
    """
    if not consent_source.strip():
        raise Refused("--consent-source must say where these people agreed")
    with opened() as app:
        choice = _choice(app, newsletter, schedule)
        with _progress(file, dry_run=dry_run) as progress:
            counts = import_readers(
                app.database,
                read_table(file, parse_columns(columns)),
                choice,
                f"import {file.name}: {consent_source.strip()}",
                app.signup_context,
                clock=app.times.wall,
                dry_run=dry_run,
                progress=progress,
            )
    if as_json:
        print_json(counts.as_data())
    else:
        results = [counts.results[result] for result in EntryResult]
        print_table(
            ("rows", *EntryResult, "rejected"), [(counts.rows, *results, len(counts.rejected))]
        )
        for row in counts.rejected:
            message(f"line {row.line}: {row.reason}")
    if dry_run:
        message("this was a dry run: nothing was changed")


@contextmanager
def _progress(file: Path, *, dry_run: bool) -> Iterator[Callable[[int], None]]:
    """Show how many rows are done; raise `Refused` between two chunks after Ctrl-C or SIGTERM."""
    with stop_signals("finishing the rows under way") as interrupted, _rows(file) as show:

        def progress(rows: int) -> None:
            show(rows)
            if interrupted():
                end = "; nothing was changed" if dry_run else ""
                raise Refused(f"stopped before the end{end}")

        yield progress


@contextmanager
def _rows(file: Path) -> Iterator[Callable[[int], None]]:
    """Show progress all the time on a terminal, elsewhere as a line now and then."""
    if not sys.stderr.isatty():
        yield rows_in_lines(message)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(str(file), total=None)
        yield lambda rows: bar.update(task, completed=rows)


def _choice(app: "App", slug: str, schedule: str | None) -> ScheduleChoice:
    with app.database.read() as session:
        offered = offer(session, app.publisher, slug)
    return ScheduleChoice(offered, find_option(offered, schedule))
