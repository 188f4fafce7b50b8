"""`mailer schedule list`, `show` and `next`, and how a schedule is shown after it was changed."""

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click
from sqlalchemy.orm import Session

from mailer.cli.base import Command, json_option, opened
from mailer.cli.idle import warn_if_nothing_builds
from mailer.cli.output import message, print_json, print_table
from mailer.clock import format_instant, parse_instant, zone
from mailer.digests.schedules import schedule_lookup, slot_lookup
from mailer.digests.schedules.calendar import Rule, Slot, slots
from mailer.digests.selection.plan import max_age
from mailer.errors import NotFound
from mailer.models import Newsletter, Schedule, ScheduleKind
from mailer.newsletters import newsletters
from mailer.text.english import duration, moment, pluralise, wall_time

if TYPE_CHECKING:
    from mailer.app import App

REFERENCE: Final = "SLUG/NAME"


@click.command("list", cls=Command)
@click.option("--all", "every", is_flag=True, help="Also one-offs that are over.")
@json_option
def list_(every: bool, as_json: bool) -> None:
    """List the schedules with their next slots; one-offs until they are over.

    \b
    Example:
      mailer schedule list
    """
    with opened() as app, app.database.read() as session:
        now = app.times.wall()
        known = [
            (_as_data(session, *row, now=now), slot_lookup.coming_slot(session, row[1], now=now))
            for row in schedule_lookup.of_newsletters(session)
        ]
    found = [row for row in known if every or not row[0]["over"]]
    if as_json:
        print_json([data for data, _ in found])
        return
    if found:
        print_table(
            ("schedule", "when", "zone", "readers", "default", "next"),
            [
                (
                    f"{one['newsletter']}/{one['name']}",
                    one["when"],
                    one["zone"],
                    "all" if one["once"] else one["readers"],
                    one["default"],
                    _next(one, coming),
                )
                for one, coming in found
            ],
        )
    elif not known:
        message("there are no schedules; `mailer schedule add SLUG NAME …` makes one")
    if hidden := len(known) - len(found):
        told = pluralise(hidden, "one-off is over", "one-offs are over")
        message(f"{told}; `mailer schedule list --all` shows them too")


@click.command(cls=Command)
@click.argument("reference", metavar=REFERENCE)
@json_option
def show(reference: str, as_json: bool) -> None:
    """Show everything about one schedule.

    \b
    Example:
      mailer schedule show daily/morning
    """
    with opened() as app:
        show_schedule(app, reference, as_json)


@click.command("next", cls=Command)
@click.argument("reference", metavar="SLUG[/NAME]")
@click.option(
    "--count", type=click.IntRange(1, 10_000), default=5, help="How many, up to 10000; 5."
)
@click.option("--from", "start", metavar="ISO", help="Slots after this moment; may be past.")
@json_option
def next_(reference: str, count: int, start: str | None, as_json: bool) -> None:
    """List the coming slots in local time, UTC and zone.

    With --from, what the clock would make of the schedule then, whenever it was added.

    \b
    Example:
      mailer schedule next daily/morning --count 3
      mailer schedule next daily --from 2027-03-27
    """
    after = parse_instant(start) if start else None
    with opened() as app, app.database.read() as session:
        now = app.times.wall()
        coming = sorted(
            (
                (slot, slug, one)
                for slug, one in _named(session, reference)
                for slot in islice(
                    slots(Rule.of(one), max(now, one.active_from) if after is None else after),
                    count,
                )
            ),
            key=lambda found: (found[0].due_at, found[1], found[2].name),
        )[:count]
    if as_json:
        print_json(
            [
                _slot_as_data(slot, one) | {"schedule": f"{slug}/{one.name}"}
                for slot, slug, one in coming
            ]
        )
    elif coming:
        print_table(
            ("schedule", "slot", "local", "utc", "zone"),
            [
                (f"{slug}/{one.name}", slot.name, wall_time(slot.local), slot.due_at, one.zone)
                for slot, slug, one in coming
            ],
        )
    else:
        message(f"{reference} has no slot to come; `mailer schedule list` shows what there is")


def show_schedule(app: "App", reference: str, as_json: bool, *, changed: bool = False) -> None:
    """Print one schedule; after a change what comes next instead."""
    now = app.times.wall()
    with app.database.read() as session:
        newsletter, found = schedule_lookup.find(session, reference)
        rows = schedule_lookup.of_newsletters(session, newsletter.slug)
        [row] = [one for one in rows if one[1].id == found.id]
        data = _as_data(session, *row, now=now)
        coming = slot_lookup.coming_slot(session, found, now=now)
        went_out = schedule_lookup.todays_digest(session, found, now=now)
    if as_json:
        print_json(data)
    elif not changed:
        shown = {name: value for name, value in data.items() if not isinstance(value, dict)}
        shown["next"] = moment(coming.local, found.zone) if coming else _next(data, None)
        print_table(("", ""), [(name, value) for name, value in shown.items() if value is not None])
    if changed:
        message(f"{reference}: {_told(data, reference, coming, found)}")
        if went_out is not None and went_out.built_at is not None:
            message(f"today's went out at {went_out.built_at.astimezone(zone(found.zone)):%H:%M}")
        if coming is not None:
            warn_if_nothing_builds(app)


def _told(data: dict[str, Any], reference: str, coming: Slot | None, found: Schedule) -> str:
    if data["paused"]:
        return f"paused, no slot fires; `mailer schedule resume {reference}` ends that"
    return f"next: {moment(coming.local, found.zone)}" if coming else "no slot to come"


def _next(data: dict[str, Any], coming: Slot | None) -> str | None:
    if data["over"]:
        return "over"
    if data["paused"]:
        return "paused"
    return wall_time(coming.local) if coming else None


def _named(session: Session, reference: str) -> list[tuple[str, Schedule]]:
    """All schedules of the newsletter of that name that are not paused, or the one schedule."""
    try:
        newsletters.find(session, reference)
    except NotFound:
        newsletter, found = schedule_lookup.find(session, reference)
        return [(newsletter.slug, found)]
    return [
        (newsletter.slug, found)
        for newsletter, found, _ in schedule_lookup.of_newsletters(session, reference)
        if found.paused_at is None
    ]


def _as_data(
    session: Session, newsletter: Newsletter, found: Schedule, readers: int, *, now: datetime
) -> dict[str, Any]:
    coming = slot_lookup.coming_slot(session, found, now=now)
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
        "max_age": duration(max_age(found)),
        "max_lateness": duration(found.max_lateness),
        "newcomers": f"latest:{found.newcomers}" if found.newcomers else "next",
        "review": duration(found.review) if found.review else None,
        "default": found.is_default,
        "once": found.kind is ScheduleKind.ONCE,
        "over": slot_lookup.is_over(session, found, now=now),
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
        return f"once, {found.once.replace('T', ' ')}"
    if found.cron:
        return f"cron {found.cron}"
    if found.monthday:
        return f"day {found.monthday} of the month at {found.at}"
    return f"{found.days or 'every day'} at {found.at}"
