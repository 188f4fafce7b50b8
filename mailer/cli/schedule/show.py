"""`mailer schedule list`, `show` and `next`, and what commands print of a schedule that they changed."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from mailer.cli.base import Command, json_option, opened, warn_if_nothing_builds
from mailer.cli.output import Column, message, print_json, print_list, print_record
from mailer.clock import parse_instant
from mailer.monitoring import schedules
from mailer.monitoring.schedules import ScheduleData
from mailer.text.english import moment, pluralise, wall_time

if TYPE_CHECKING:
    from mailer.app import App

REFERENCE: Final = "SLUG/NAME"


@click.command("list", cls=Command)
@click.option("--all", "every", is_flag=True, help="Also one-offs that are over.")
@json_option
def list_(every: bool, as_json: bool) -> None:
    """List the schedules with their next slots; one-offs until they are over.

    A slot is one time at which a schedule sends a digest. A one-off is a schedule with one slot.

    \b
    Example:
      mailer schedule list
    """
    with opened() as app, app.database.read() as session:
        known = schedules.list_schedules(session, now=app.times.wall())
    rows = [row for row in known if every or not row["over"]]
    columns: list[Column] = [
        ("schedule", lambda row: f"{row['newsletter']}/{row['name']}"),
        "when",
        "zone",
        ("readers", lambda row: "all" if row["once"] else row["readers"]),
        "default",
        ("next", _next),
    ]
    if rows or as_json:
        print_list(rows, columns, as_json=as_json)
    elif not known:
        message("there are no schedules; `mailer schedule add SLUG NAME …` adds one")
    hidden = len(known) - len(rows)
    if hidden and not as_json:
        over = pluralise(hidden, "one-off is over", "one-offs are over")
        message(f"{over}; `mailer schedule list --all` shows them too")


@click.command(cls=Command)
@click.argument("reference", metavar=REFERENCE)
@json_option
def show(reference: str, as_json: bool) -> None:
    """Show everything about one schedule.

    \b
    Example:
      mailer schedule show daily/morning
    """
    with opened() as app, app.database.read() as session:
        row = schedules.read_schedule(session, reference, now=app.times.wall())
    if as_json:
        print_json(row)
    else:
        coming = moment(_local_time(row["next"]), row["zone"]) if row["next"] else _next(row)
        print_record(row | {"next": coming})


@click.command("next", cls=Command)
@click.argument("reference", metavar="SLUG[/NAME]")
@click.option(
    "--count", type=click.IntRange(1, 10_000), default=5, help="How many, up to 10000 (default: 5)."
)
@click.option(
    "--from", "start", metavar="ISO", help="Slots after this moment, which may be in the past."
)
@json_option
def next_(reference: str, count: int, start: str | None, as_json: bool) -> None:
    """List the coming slots in local time, UTC and zone.

    A slot is one time at which the schedule sends a digest, named by its local date and time. With
    --from, the slots are computed as if the schedule had been there at that time.

    \b
    Example:
      mailer schedule next daily/morning --count 3
      mailer schedule next daily --from 2027-03-27
    """
    after = parse_instant(start) if start else None
    with opened() as app, app.database.read() as session:
        rows = schedules.coming_slots(session, reference, count, after=after, now=app.times.wall())
    columns: list[Column] = [
        "schedule",
        "slot",
        ("local", lambda row: wall_time(_local_time(row))),
        "utc",
        "zone",
    ]
    if rows or as_json:
        print_list(rows, columns, as_json=as_json)
    else:
        message(f"{reference} has no more slots; `mailer schedule list` shows what there is")


def print_changed(app: "App", reference: str, as_json: bool) -> None:
    """Print a schedule that was just changed: all of it as JSON, or when it goes out next."""
    now = app.times.wall()
    with app.database.read() as session:
        row = schedules.read_schedule(session, reference, now=now)
        built_at = schedules.todays_build(session, reference, now=now)
    if as_json:
        print_json(row)
    if row["paused"]:
        message(f"{reference} is paused; `mailer schedule resume {reference}` resumes it")
    elif row["next"] is None:
        message(f"{reference} has no more slots")
    else:
        message(f"{reference} goes out next: {moment(_local_time(row['next']), row['zone'])}")
    if built_at is not None:
        message(f"today's went out at {built_at:%H:%M}")
    if row["next"] is not None:
        warn_if_nothing_builds(app)


def _next(row: ScheduleData) -> str | None:
    if row["over"]:
        return "over"
    if row["paused"]:
        return "paused"
    return wall_time(_local_time(row["next"])) if row["next"] else None


def _local_time(slot: ScheduleData) -> datetime:
    return datetime.fromisoformat(slot["local"])
