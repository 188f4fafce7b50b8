"""`mailer schedule add` and `edit`: when a newsletter goes out, and what its digests may hold."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.parameters import Duration, DurationOrNever, Newcomers
from mailer.cli.schedule.show import REFERENCE, show_schedule
from mailer.digests.schedules import schedule_changes, schedule_lookup
from mailer.digests.schedules.calendar import Rule
from mailer.digests.schedules.schedule_options import ScheduleLimits, TimingOptions, rule_from
from mailer.errors import Refused
from mailer.newsletters import newsletters

if TYPE_CHECKING:
    from mailer.app import App

Function = TypeVar("Function", bound=Callable[..., Any])


def _schedule_options(command: Function) -> Function:
    """The options that `add` and `edit` share."""
    options = [
        click.option("--at", metavar="HH:MM", help="The wall time."),
        click.option(
            "--days",
            metavar="DAYS",
            help="Such as mon,thu or saturday; also weekdays, weekends; else every day.",
        ),
        click.option(
            "--monthday",
            type=click.IntRange(1, 31),
            metavar="N",
            help="Once a month; in a month without that day, on its last.",
        ),
        click.option("--cron", metavar='"M H D M W"', help="Instead of the three before."),
        click.option("--min-articles", type=int, metavar="N", help="Fewer wait; 1."),
        click.option("--max-articles", type=int, metavar="N", help="More wait; 20."),
        click.option(
            "--max-age",
            type=Duration(),
            metavar="D",
            help="Older articles are let go; 30d, or twice the longest gap if that is more.",
        ),
        click.option(
            "--max-lateness",
            type=Duration(),
            metavar="D",
            help="After a stop, how late a slot is still sent; 6h.",
        ),
        click.option(
            "--newcomers",
            type=Newcomers(),
            metavar="latest:N|next",
            help="What a reader's first digest may hold from before; latest:5.",
        ),
        click.option(
            "--review",
            type=DurationOrNever(),
            metavar="D|never",
            help="That long before a slot, staff_address gets the digest to look at; never.",
        ),
        click.option("--default", is_flag=True, help="For readers who choose none."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(cls=Command)
@click.argument("slug")
@click.argument("name")
@_schedule_options
@click.option("--zone", metavar="IANA", required=True, help="Such as Europe/Paris.")
@json_option
def add(slug: str, name: str, default: bool, as_json: bool, **wishes: Any) -> None:
    """Add a schedule to the newsletter SLUG.

    Days, hours and minutes are those of the clocks in its zone, also when they are changed.

    \b
    Example:
      mailer schedule add daily morning --at 07:00 --zone Europe/Paris
      mailer schedule add daily weekly --at 07:00 --days sat --zone Europe/Paris --max-age 14d
    """
    rule = rule_from(_when(wishes))
    with opened() as app:
        _check_staff(app, wishes)
        now = app.times.wall()
        with app.database.write() as session:
            newsletter = newsletters.find(session, slug)
            schedule_changes.add(
                session,
                newsletter,
                name,
                rule,
                _terms(wishes, ScheduleLimits()),
                default=default,
                now=now,
            )
        show_schedule(app, f"{slug}/{name}", as_json, changed=True)


@click.command(cls=Command)
@click.argument("reference", metavar=REFERENCE)
@_schedule_options
@click.option("--zone", metavar="IANA", help="Such as Europe/Paris.")
@json_option
def edit(reference: str, default: bool, as_json: bool, **wishes: Any) -> None:
    """Change a schedule: only what you give.

    Where slots move, those after this moment count: none in the past fires, and where today's went
    out already, it is not sent once more today.

    \b
    Example:
      mailer schedule edit daily/morning --at 06:30
    """
    if not default and all(value is None for value in wishes.values()):
        raise click.UsageError("nothing to change; give one of the options")
    with opened() as app:
        _check_staff(app, wishes)
        with app.database.write() as session:
            _, found = schedule_lookup.find(session, reference)
            rule = rule_from(_when(wishes), Rule.of(found))
            terms = _terms(wishes, ScheduleLimits.of(found))
            schedule_changes.edit(session, found, rule, terms, now=app.times.wall())
            if default:
                schedule_changes.make_default(session, found)
        show_schedule(app, reference, as_json, changed=True)


def _check_staff(app: "App", wishes: dict[str, Any]) -> None:
    """Raise where a review is wanted and nobody would get it."""
    if wishes["review"] and app.settings.staff_address is None:
        raise Refused("a review goes to staff, and `staff_address` is not set; set it first")


def _when(wishes: dict[str, Any]) -> TimingOptions:
    return TimingOptions(
        **{name: wishes[name] for name in ("at", "days", "monthday", "cron", "zone")}
    )


def _terms(wishes: dict[str, Any], before: ScheduleLimits) -> ScheduleLimits:
    names = ("min_articles", "max_articles", "max_age", "max_lateness", "newcomers", "review")
    return replace(before, **{n: wishes[n] for n in names if wishes[n] is not None})
