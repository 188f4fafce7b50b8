"""`mailer subscriber`: the readers."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.address import Address, parse
from mailer.cli.base import Group, json_option, opened
from mailer.cli.idle import warn_if_nothing_sends
from mailer.cli.long_running import rows_in_lines, stop_signals
from mailer.cli.output import message, print_json, print_table
from mailer.clock import format_instant
from mailer.errors import NotFound, Refused
from mailer.models import NoticeKind, Subscriber, Subscription
from mailer.newsletters import newsletters
from mailer.newsletters.offer import need_schedule, offer
from mailer.permission.consent import Origin
from mailer.permission.leave import leave
from mailer.permission.suppress import list_suppressions
from mailer.subscribers import readers
from mailer.subscribers.csv_import import ImportCounts, import_readers, parse_columns
from mailer.subscribers.csv_table import read_table
from mailer.subscribers.signup import ScheduleChoice, SignupRequest, sign_up
from mailer.subscribers.staff_entry import EntryResult, NewReader, enter, preview
from mailer.text.english import command, pluralise

if TYPE_CHECKING:
    from mailer.app import App

_COMMAND = "mailer subscriber"

_newsletter_option = click.option("--newsletter", metavar="SLUG", required=True)
_schedule_option = click.option(
    "--schedule", metavar="SLUG/NAME", help="Else the newsletter's default."
)


@click.group(cls=Group)
def subscriber() -> None:
    """The readers."""


@subscriber.command
@click.argument("address")
@_newsletter_option
@_schedule_option
@click.option(
    "--consent-source", metavar="TEXT", help="Where they said yes; then no mail asks them again."
)
@json_option
def add(
    address: str, newsletter: str, schedule: str | None, consent_source: str | None, as_json: bool
) -> None:
    """Bring one reader in.

    Without a consent source they get a confirmation mail, as from the form. Of somebody who already
    subscribes only the schedule is changed, where one is given.

    \b
    Example:
      mailer subscriber add anna@example.com --newsletter daily
      mailer subscriber add boris@example.com --newsletter daily --consent-source "paper form, 3 May"
    """
    parsed = parse(address)
    with opened() as app:
        with app.database.write() as session:
            status, told = _bring_in(app, session, parsed, newsletter, schedule, consent_source)
        if as_json:
            print_json({"address": parsed.typed, "newsletter": newsletter, "status": status})
        message(told)
        if status == "pending":
            warn_if_nothing_sends(app)


def _bring_in(
    app: "App",
    session: Session,
    address: Address,
    newsletter: str,
    schedule: str | None,
    consent_source: str | None,
) -> tuple[str, str]:
    """Enter a reader, or ask for their confirmation; the status that this makes, and what to tell.

    Raises:
        Refused: the address is suppressed, has left, or was written to just now.
    """
    choice = _choice(app, session, newsletter, schedule)
    source = f"{_COMMAND} add: {consent_source or 'staff'}"
    reader = NewReader(address, app.keys.key_hash(address.key), None, source)
    now = app.times.wall()
    (what,) = preview(session, [reader], choice)
    if what is EntryResult.SUPPRESSED:
        raise Refused(
            f"{address.typed} is suppressed; `mailer suppression list` says why, "
            f"`{command('suppression', 'lift', address.typed)}` takes it back"
        )
    if consent_source is None and what in {EntryResult.ADDED, EntryResult.UNSUBSCRIBED}:
        return "pending", _ask(app, session, address, choice)
    if what is EntryResult.UNSUBSCRIBED:
        raise Refused(
            f"{address.typed} has left {newsletter}; only they can come back: "
            "leave out --consent-source to mail them a link"
        )
    enter(session, [reader], choice, random=app.signup_context.random, now=now)
    return what.value, f"{address.typed}: {what.value}"


def _ask(app: "App", session: Session, address: Address, choice: ScheduleChoice) -> str:
    """Queue a confirmation mail; what to tell."""
    now = app.times.wall()
    request, origin = SignupRequest(address, [choice]), Origin(f"{_COMMAND} add", now)
    result = sign_up(session, request, origin, app.signup_context)
    if not result.mailed:
        raise Refused(
            f"{address.typed} was written to just now or too often lately; "
            "wait ten minutes, or see `signup_limits`"
        )
    what = "a confirmation mail" if result.kind is NoticeKind.CONFIRMATION else "a mail"
    if result.not_before > now:
        return f"{what} to {address.typed} waits until {format_instant(result.not_before)}"
    return f"{what} to {address.typed} is on its way"


@subscriber.command(name="list")
@click.option("--newsletter", metavar="SLUG", help="Only this one's readers.")
@json_option
def list_all(newsletter: str | None, as_json: bool) -> None:
    """List readers with what they get; also those who left.

    \b
    Example:
      mailer subscriber list --newsletter daily --json
    """
    with opened() as app, app.database.read() as session:
        chosen = None if newsletter is None else newsletters.find(session, newsletter).id
        found = list(readers.list_readers(session, chosen))
    if as_json:
        print_json([asdict(reader) for reader in found])
        return
    print_table(
        ("address", "name", "newsletter", "schedule", "state", "since"),
        [
            (one.address, one.name, one.newsletter, one.schedule, one.state, one.confirmed_at)
            for one in found
        ],
    )


@subscriber.command
@click.argument("address")
@json_option
def show(address: str, as_json: bool) -> None:
    """Show what a reader gets, what they got, and what they did not get and why.

    \b
    Example:
      mailer subscriber show anna@example.com
    """
    parsed = parse(address)
    with opened() as app:
        key_hash = app.keys.key_hash(parsed.key)
        with app.database.read() as session:
            places = readers.subscriptions_of(session, key_hash)
            asked = readers.open_signups(session, key_hash, now=app.times.wall())
            stops = list_suppressions(session, key_hash)
            got, missed = readers.mails_of(session, key_hash)
    if not (places or asked or stops):
        raise NotFound(f"nobody here has the address {parsed.typed}; `mailer subscriber list`")
    if as_json:
        print_json(
            {
                "address": parsed.typed,
                "name": places[0].name if places else None,
                "subscriptions": [asdict(one) for one in places],
                "pending": [asdict(one) for one in asked],
                "suppressions": [asdict(one) for one in stops],
                "got": [asdict(one) for one in got],
                "missed": [asdict(one) for one in missed],
            }
        )
        return
    print_table(
        ("newsletter", "schedule", "state", "since", "left"),
        [(one.newsletter, one.schedule, one.state, one.confirmed_at, one.left_at) for one in places]
        + [(one.newsletter, None, "awaits confirmation", one.asked_at, None) for one in asked],
    )
    for stop in stops:
        message(f"suppressed ({stop.reason}) for {stop.newsletter or 'every newsletter'}")
    rows = [
        (one.digest, one.newsletter, one.slot, one.status, one.at, one.subject, why)
        for mails, is_missed in ((got, False), (missed, True))
        for one in mails
        for why in [one.why if is_missed else None]
    ]
    if rows:
        message("")
        print_table(("digest", "newsletter", "slot", "status", "when", "subject", "why not"), rows)


@subscriber.command
@click.argument("address")
@click.option("--newsletter", metavar="SLUG", help="Only this one; else all.")
@json_option
def unsubscribe(address: str, newsletter: str | None, as_json: bool) -> None:
    """Take a reader off; it holds at once, also for a digest that is being sent.

    \b
    Example:
      mailer subscriber unsubscribe anna@example.com --newsletter daily
    """
    parsed = parse(address)
    with opened() as app, app.database.write() as session:
        statement = (
            select(Subscription)
            .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
            .where(Subscriber.address_key == parsed.key)
        )
        if newsletter is not None:
            chosen = newsletters.find(session, newsletter)
            statement = statement.where(Subscription.newsletter_id == chosen.id)
        found = session.scalars(statement.order_by(Subscription.id)).all()
        if not found:
            raise NotFound(
                f"{parsed.typed} does not subscribe to {newsletter or 'any newsletter'}; "
                "`mailer subscriber list` shows who does"
            )
        origin = Origin(f"{_COMMAND} unsubscribe", app.times.wall())
        left = sum(leave(session, one, origin, reason="staff") for one in found)
    if as_json:
        print_json({"address": parsed.typed, "unsubscribed": left})
    before = len(found) - left
    message(
        f"{parsed.typed} is off {pluralise(left, 'newsletter')}"
        + (f"; {before} had been left before" if before else "")
    )


@subscriber.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@_newsletter_option
@_schedule_option
@click.option("--consent-source", metavar="TEXT", required=True, help="Where they said yes.")
@click.option("--map", "columns", metavar="email=Column,…", help="Which column holds what.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@json_option
def import_file(
    file: Path,
    newsletter: str,
    schedule: str | None,
    consent_source: str,
    columns: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring in the readers of a CSV file with a column `email`, and a column `name` if there is one.

    Nobody who left or is suppressed is brought back. Repeating the command continues one that was
    interrupted.

    \b
    Example:
      mailer subscriber import readers.csv --newsletter daily --consent-source "old system, opt-in"
      mailer subscriber import readers.csv --newsletter daily --consent-source fair --map email=E-Mail
    """
    if not consent_source.strip():
        raise Refused("--consent-source must say where these people said yes")
    with opened() as app:
        with app.database.read() as session:
            choice = _choice(app, session, newsletter, schedule)
        with _progress(file, dry_run=dry_run) as progress:
            tally = import_readers(
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
        print_json(tally.as_data())
    else:
        _tell(tally)
    if dry_run:
        message("this was a dry run: nothing was changed")


@contextmanager
def _progress(file: Path, *, dry_run: bool) -> Iterator[Callable[[int], None]]:
    """Shows how many rows are done: on a terminal all the time, elsewhere in a line now and then.

    What it yields raises `Refused` after Ctrl-C or SIGTERM, between two chunks.
    """
    with stop_signals("finishing the rows under way") as interrupted, _rows(file) as show:

        def told(rows: int) -> None:
            show(rows)
            if interrupted():
                end = "; nothing was changed" if dry_run else ""
                raise Refused(f"stopped before the end{end}")

        yield told


@contextmanager
def _rows(file: Path) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():
        yield rows_in_lines(message)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(str(file), total=None)
        yield lambda rows: bar.update(task, completed=rows)


def _tell(tally: ImportCounts) -> None:
    print_table(
        ("rows", "added", "updated", "unchanged", "unsubscribed", "suppressed", "rejected"),
        [(tally.rows, *(tally.results[one] for one in EntryResult), len(tally.rejected))],
    )
    for one in tally.rejected:
        message(f"line {one.line}: {one.reason}")


def _choice(app: "App", session: Session, slug: str, schedule: str | None) -> ScheduleChoice:
    found = offer(session, app.publisher, slug)
    return ScheduleChoice(found, need_schedule(found, schedule))
