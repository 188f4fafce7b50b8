"""`mailer schedule add` and `edit`: when a newsletter goes out, and what its digests may hold."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import click

from mailer.cli.base import Command, json_option, opened, with_options
from mailer.cli.parameters import DURATION, DURATION_OR_NEVER, NEWCOMERS
from mailer.cli.schedule.show import REFERENCE, print_changed
from mailer.digests.schedules import schedule_changes, schedule_lookup
from mailer.digests.schedules.calendar import Rule
from mailer.digests.schedules.schedule_options import ScheduleLimits, TimingOptions, rule_from
from mailer.errors import Refused
from mailer.newsletters import newsletters

if TYPE_CHECKING:
    from mailer.app import App

_rule_and_limits = with_options(
    click.option("--at", metavar="HH:MM", help="The local time of day."),
    click.option(
        "--days",
        metavar="DAYS",
        help="Such as mon,thu or saturday; also weekdays, weekends (default: every day).",
    ),
    click.option(
        "--monthday",
        type=click.IntRange(1, 31),
        metavar="N",
        help="Once a month; in a month without that day, on its last.",
    ),
    click.option("--cron", metavar='"M H D M W"', help="Instead of --at, --days and --monthday."),
    click.option(
        "--min-articles",
        type=int,
        metavar="N",
        help="Fewer articles wait for the next slot (default: 1).",
    ),
    click.option(
        "--max-articles",
        type=int,
        metavar="N",
        help="More articles wait for the next digest (default: 20).",
    ),
    click.option(
        "--max-age",
        type=DURATION,
        metavar="D",
        help="Older articles are left out (default: 30d, or twice the longest gap if longer).",
    ),
    click.option(
        "--max-lateness",
        type=DURATION,
        metavar="D",
        help="How late a digest may still go out after an outage (default: 6h).",
    ),
    click.option(
        "--newcomers",
        type=NEWCOMERS,
        metavar="latest:N|next",
        help="How many earlier articles a reader's first digest may hold (default: latest:5).",
    ),
    click.option(
        "--review",
        type=DURATION_OR_NEVER,
        metavar="D|never",
        help="How long before each slot staff get the digest for review (default: never).",
    ),
    click.option(
        "--default", is_flag=True, help="Make it the default, for readers who choose none."
    ),
)
"""Gives a command the options that `add` and `edit` share."""


@click.command(cls=Command)
@click.argument("slug")
@click.argument("name")
@_rule_and_limits
@click.option("--zone", metavar="IANA", required=True, help="Such as Europe/Paris.")
@json_option
def add(slug: str, name: str, default: bool, as_json: bool, **options: Any) -> None:
    """Add a schedule to the newsletter SLUG.

    Days, hours and minutes are local time in the zone, even when its clocks change. A slot is one time at
    which the schedule sends a digest.

    \b
    Example:
      mailer schedule add daily morning --at 07:00 --zone Europe/Paris
      mailer schedule add daily weekly --at 07:00 --days sat --zone Europe/Paris --max-age 14d
    """
    rule = rule_from(_timing(options))
    limits = _limits(options, ScheduleLimits())
    with opened() as app:
        _check_staff(app, options)
        now = app.times.wall()
        with app.database.write() as session:
            newsletter = newsletters.find(session, slug)
            schedule_changes.add(session, newsletter, name, rule, limits, default=default, now=now)
        print_changed(app, f"{slug}/{name}", as_json)


@click.command(cls=Command)
@click.argument("reference", metavar=REFERENCE)
@_rule_and_limits
@click.option("--zone", metavar="IANA", help="Such as Europe/Paris.")
@json_option
def edit(reference: str, default: bool, as_json: bool, **options: Any) -> None:
    """Change the settings of a schedule.

    If its slots move, only those after this moment count. If today's digest has gone out, there is no
    second one today.

    \b
    Example:
      mailer schedule edit daily/morning --at 06:30
    """
    if not default and all(value is None for value in options.values()):
        raise click.UsageError("There is nothing to change; give one of the options.")
    with opened() as app:
        _check_staff(app, options)
        with app.database.write() as session:
            _, schedule = schedule_lookup.find(session, reference)
            rule = rule_from(_timing(options), Rule.of(schedule))
            limits = _limits(options, ScheduleLimits.of(schedule))
            schedule_changes.edit(session, schedule, rule, limits, now=app.times.wall())
            if default:
                schedule_changes.make_default(session, schedule)
        print_changed(app, reference, as_json)


def _check_staff(app: "App", options: dict[str, Any]) -> None:
    """Refuse a review that nobody would get.

    Raises:
        Refused: `staff_address` is not set.
    """
    if options["review"] and not app.settings.staff_address:
        raise Refused("a review goes to staff, and `staff_address` is not set; set it first")


def _timing(options: dict[str, Any]) -> TimingOptions:
    return TimingOptions(**{field.name: options[field.name] for field in fields(TimingOptions)})


def _limits(options: dict[str, Any], before: ScheduleLimits) -> ScheduleLimits:
    names = [field.name for field in fields(ScheduleLimits)]
    return replace(before, **{name: options[name] for name in names if options[name] is not None})
