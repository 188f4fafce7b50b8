"""`mailer schedule pause`, `resume` and `remove`."""

import click

from mailer.cli.base import Command, confirmed, json_option, opened, yes_option
from mailer.cli.output import message, print_json
from mailer.cli.schedule.show import REFERENCE, print_changed
from mailer.digests.schedules import schedule_changes, schedule_lookup
from mailer.errors import Refused
from mailer.models import ScheduleKind
from mailer.text.english import pluralise


@click.command(cls=Command)
@click.argument("reference", metavar=REFERENCE)
@json_option
def pause(reference: str, as_json: bool) -> None:
    """Stop a schedule until you resume it.

    \b
    Example:
      mailer schedule pause daily/morning
    """
    with opened() as app:
        with app.database.write() as session:
            _, schedule = schedule_lookup.find(session, reference)
            schedule_changes.pause(session, schedule, now=app.times.wall())
        print_changed(app, reference, as_json)


@click.command(cls=Command)
@click.argument("reference", metavar=REFERENCE)
@json_option
def resume(reference: str, as_json: bool) -> None:
    """Resume a schedule, from its next slot on.

    \b
    Example:
      mailer schedule resume daily/morning
    """
    with opened() as app:
        with app.database.write() as session:
            _, schedule = schedule_lookup.find(session, reference)
            schedule_changes.resume(session, schedule, now=app.times.wall())
        print_changed(app, reference, as_json)


@click.command(cls=Command)
@click.argument("reference", metavar=REFERENCE)
@click.option("--move-to", metavar="SLUG/OTHER", help="The schedule that its readers move to.")
@yes_option
@json_option
def remove(reference: str, move_to: str | None, yes: bool, as_json: bool) -> None:
    """Remove a schedule. Its readers, if there are any, move to another one.

    \b
    Example:
      mailer schedule remove daily/weekly --move-to daily/morning
    """
    with opened() as app:
        with app.database.read() as session:
            newsletter, schedule = schedule_lookup.find(session, reference)
        reference = f"{newsletter.slug}/{schedule.name}"
        if not confirmed(f"Remove {reference}?", yes=yes):
            raise Refused("nothing was removed")
        with app.database.write() as session:
            newsletter, schedule = schedule_lookup.find(session, reference)
            target = schedule_lookup.find(session, move_to)[1] if move_to else None
            moved = schedule_changes.remove(session, schedule, target, now=app.times.wall())
            default = schedule_lookup.default_of(session, newsletter.id)
    if as_json:
        name = default.name if default else None
        print_json({"schedule": reference, "moved": moved, "default_schedule": name})
    else:
        readers = pluralise(moved, "reader")
        message(f"removed {reference}" + (f"; {readers} moved to {move_to}" if move_to else ""))
    if default is None and schedule.kind is not ScheduleKind.ONCE:
        message(
            f"{newsletter.slug} has no default schedule, so nobody can sign up: "
            f"mailer schedule add {newsletter.slug} NAME …, or "
            f"mailer schedule edit {newsletter.slug}/NAME --default"
        )
