"""`mailer schedule`: when newsletters go out."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import click
from sqlalchemy.orm import Session

from mailer.cli.output import message, print_json, print_table
from mailer.cli.parameters import Duration, DurationOrNever, Newcomers
from mailer.cli.verb import Noun, confirmed, json_option, opened, yes_option
from mailer.clock import format_instant, parse_instant, zone
from mailer.digests import schedules
from mailer.digests.calendar import Rule, Slot, slots
from mailer.digests.plan import max_age
from mailer.digests.terms import Terms, When, rule_from
from mailer.errors import Refused
from mailer.models import Newsletter, Schedule
from mailer.operations import newsletters

if TYPE_CHECKING:
    from mailer.app import App

Command = TypeVar("Command", bound=Callable[..., Any])

_REFERENCE = "SLUG/NAME"


@click.group(cls=Noun)
def schedule() -> None:
    """When newsletters go out."""


def _schedule_options(command: Command) -> Command:
    """The options that `add` and `edit` share."""
    options = [
        click.option("--at", metavar="HH:MM", help="The wall time."),
        click.option("--days", metavar="DAYS", help="Such as mon,thu; else every day."),
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


@schedule.command
@click.argument("slug")
@click.argument("name")
@_schedule_options
@click.option("--zone", metavar="IANA", required=True, help="Such as Europe/Paris.")
@json_option
def add(slug: str, name: str, default: bool, as_json: bool, **wishes: Any) -> None:
    """Give the newsletter SLUG a schedule.

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
            schedules.add(
                session,
                newsletter,
                name,
                rule,
                _terms(wishes, Terms()),
                default=default,
                now=now,
            )
        _show(app, f"{slug}/{name}", as_json, changed=True)


@schedule.command
@click.argument("reference", metavar=_REFERENCE)
@_schedule_options
@click.option("--zone", metavar="IANA", help="Such as Europe/Paris.")
@json_option
def edit(reference: str, default: bool, as_json: bool, **wishes: Any) -> None:
    """Change what is given.

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
            _, found = schedules.find(session, reference)
            rule = rule_from(_when(wishes), Rule.of(found))
            terms = _terms(wishes, Terms.of(found))
            schedules.edit(session, found, rule, terms, now=app.times.wall())
            if default:
                schedules.make_default(session, found)
        _show(app, reference, as_json, changed=True)


@schedule.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the schedules with their next slots.

    \b
    Example:
      mailer schedule list
    """
    with opened() as app, app.database.read() as session:
        now = app.times.wall()
        found = [_as_data(*row, now=now) for row in schedules.of_newsletters(session)]
    if as_json:
        print_json(found)
        return
    print_table(
        ("schedule", "when", "zone", "readers", "default", "next"),
        [
            (
                f"{one['newsletter']}/{one['name']}",
                one["when"],
                one["zone"],
                one["readers"],
                one["default"],
                "paused" if one["paused"] else one["next"] and one["next"]["local"],
            )
            for one in found
        ],
    )


@schedule.command
@click.argument("reference", metavar=_REFERENCE)
@json_option
def show(reference: str, as_json: bool) -> None:
    """Show all about one schedule.

    \b
    Example:
      mailer schedule show daily/morning
    """
    with opened() as app:
        _show(app, reference, as_json)


@schedule.command
@click.argument("reference", metavar=_REFERENCE)
@json_option
def pause(reference: str, as_json: bool) -> None:
    """Let no slot fire until the schedule is resumed.

    \b
    Example:
      mailer schedule pause daily/morning
    """
    with opened() as app:
        with app.database.write() as session:
            _, found = schedules.find(session, reference)
            schedules.pause(session, found, now=app.times.wall())
        _show(app, reference, as_json, changed=True)


@schedule.command
@click.argument("reference", metavar=_REFERENCE)
@json_option
def resume(reference: str, as_json: bool) -> None:
    """Let slots fire again, from the next one on.

    \b
    Example:
      mailer schedule resume daily/morning
    """
    with opened() as app:
        with app.database.write() as session:
            _, found = schedules.find(session, reference)
            schedules.resume(session, found, now=app.times.wall())
        _show(app, reference, as_json, changed=True)


@schedule.command
@click.argument("reference", metavar=_REFERENCE)
@click.option("--move-to", metavar="SLUG/OTHER", help="Where its readers go.")
@yes_option
def remove(reference: str, move_to: str | None, yes: bool) -> None:
    """End a schedule. Its readers, where it has some, move to another one.

    \b
    Example:
      mailer schedule remove daily/weekly --move-to daily/morning
    """
    if not confirmed(f"Remove {reference}?", yes=yes):
        raise Refused("nothing was removed")
    with opened() as app, app.database.write() as session:
        newsletter, found = schedules.find(session, reference)
        target = schedules.find(session, move_to)[1] if move_to else None
        moved = schedules.remove(session, found, target, now=app.times.wall())
        default = schedules.default_of(session, newsletter.id)
    message(f"removed {reference}" + (f"; {moved} readers moved to {move_to}" if move_to else ""))
    if default is None:
        message(
            f"{newsletter.slug} has no default schedule, so nobody can sign up: "
            f"mailer schedule add {newsletter.slug} NAME …, or "
            f"mailer schedule edit {newsletter.slug}/NAME --default"
        )


@schedule.command("next")
@click.argument("reference", metavar="SLUG[/NAME]")
@click.option("--count", type=click.IntRange(1, 1000), default=5, help="How many; 5.")
@click.option("--from", "start", metavar="ISO", help="Slots after this moment; may be past.")
@json_option
def next_(reference: str, count: int, start: str | None, as_json: bool) -> None:
    """Print the coming slots in local time, UTC and zone.

    With --from, what the clock would make of the schedule then, whenever it was added.

    \b
    Example:
      mailer schedule next daily/morning --count 3
      mailer schedule next daily --from 2027-03-27
    """
    after = parse_instant(start) if start else None
    with opened() as app, app.database.read() as session:
        now = app.times.wall()
        found = _named(session, reference)
        coming = sorted(
            (
                (slot.due_at, _slot_as_data(slot, one) | {"schedule": f"{slug}/{one.name}"})
                for slug, one in found
                for slot in islice(
                    slots(Rule.of(one), max(now, one.active_from) if after is None else after),
                    count,
                )
            ),
            key=lambda pair: (pair[0], pair[1]["schedule"]),
        )[:count]
    data = [one for _, one in coming]
    if as_json:
        print_json(data)
        return
    print_table(
        ("schedule", "slot", "local", "utc", "zone"),
        [(one["schedule"], one["slot"], one["local"], one["utc"], one["zone"]) for one in data],
    )


def _named(session: Session, reference: str) -> list[tuple[str, Schedule]]:
    """The schedule of that name, or all of that newsletter that are not paused."""
    if "/" in reference:
        newsletter, found = schedules.find(session, reference)
        return [(newsletter.slug, found)]
    newsletters.find(session, reference)
    return [
        (newsletter.slug, found)
        for newsletter, found, _ in schedules.of_newsletters(session, reference)
        if found.paused_at is None
    ]


def _check_staff(app: "App", wishes: dict[str, Any]) -> None:
    """Raise where a review is wanted and nobody would get it."""
    if wishes["review"] and app.settings.staff_address is None:
        raise Refused("a review goes to staff, and `staff_address` is not set; set it first")


def _when(wishes: dict[str, Any]) -> When:
    return When(**{name: wishes[name] for name in ("at", "days", "monthday", "cron", "zone")})


def _terms(wishes: dict[str, Any], before: Terms) -> Terms:
    names = ("min_articles", "max_articles", "max_age", "max_lateness", "newcomers", "review")
    return replace(before, **{n: wishes[n] for n in names if wishes[n] is not None})


def _show(app: "App", reference: str, as_json: bool, *, changed: bool = False) -> None:
    """Print one schedule; after a change also what comes next."""
    now = app.times.wall()
    with app.database.read() as session:
        newsletter, found = schedules.find(session, reference)
        rows = schedules.of_newsletters(session, newsletter.slug)
        [row] = [one for one in rows if one[1].id == found.id]
        data = _as_data(*row, now=now)
        went_out = schedules.todays(session, found, now=now)
    if as_json:
        print_json(data)
    elif not changed:
        print_table(
            ("", ""),
            [(key, value) for key, value in data.items() if not isinstance(value, dict)]
            + [("next", data["next"] and data["next"]["local"])],
        )
    if changed:
        coming = data["next"]
        told = (
            "paused" if data["paused"] else coming and f"next: {coming['local']} ({coming['utc']})"
        )
        message(f"{reference}: {told or 'no slot to come'}")
        if went_out is not None and went_out.built_at is not None:
            message(f"today's went out at {went_out.built_at.astimezone(zone(found.zone)):%H:%M}")


def _as_data(
    newsletter: Newsletter, found: Schedule, readers: int, *, now: datetime
) -> dict[str, Any]:
    coming = schedules.coming(found, now=now)
    return {
        "newsletter": newsletter.slug,
        "name": found.name,
        "when": _in_words(found),
        "at": found.at,
        "days": found.days,
        "monthday": found.monthday,
        "cron": found.cron,
        "zone": found.zone,
        "min_articles": found.min_articles,
        "max_articles": found.max_articles,
        "max_age": _span(max_age(found)),
        "max_lateness": _span(found.max_lateness),
        "newcomers": f"latest:{found.newcomers}" if found.newcomers else "next",
        "review": _span(found.review) if found.review else None,
        "default": found.is_default,
        "paused": found.paused_at is not None,
        "active_from": found.active_from,
        "readers": readers,
        "next": _slot_as_data(coming, found) if coming else None,
    }


def _slot_as_data(slot: Slot, found: Schedule) -> dict[str, str]:
    return {
        "slot": slot.name,
        "local": slot.local.isoformat(timespec="seconds"),
        "utc": format_instant(slot.due_at),
        "zone": found.zone,
    }


def _in_words(found: Schedule) -> str:
    if found.once:
        return f"once, {found.once}"
    if found.cron:
        return f"cron {found.cron}"
    if found.monthday:
        return f"day {found.monthday} of the month at {found.at}"
    return f"{found.days or 'every day'} at {found.at}"


def _span(length: timedelta) -> str:
    """A duration as it is given in options."""
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        if length.total_seconds() % seconds == 0:
            return f"{int(length.total_seconds()) // seconds}{unit}"
    return f"{int(length.total_seconds())}s"
