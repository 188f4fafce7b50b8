"""`mailer status`: what runs, what waits, and what comes next."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.cli.base import Command, json_option, opened
from mailer.cli.output import message, print_json, print_table, print_text
from mailer.clock import format_instant
from mailer.clock import zone as zone_named
from mailer.digests.schedules import schedule_lookup, slot_lookup
from mailer.models import Newsletter, Schedule, WorkerRole
from mailer.monitoring.status import Status, read_status, warnings
from mailer.settings import local_links
from mailer.subscribers.limits import all_from_loopback
from mailer.text.english import moment, pluralise, wall_time

if TYPE_CHECKING:
    from mailer.settings import Settings


_BUILT_WITHIN: Final = timedelta(minutes=10)
"""So long after its slot a digest may be on its way to being built: feeds are waited for."""


@dataclass(frozen=True)
class _Coming:
    """What comes next of a schedule.

    Attributes:
        slot, due_at: the slot that fires next; None while it is paused, or where there is none.
        overdue: the slot whose time has passed and that nobody has begun to build; it still may be.
        overdue_since: when that slot was; of several that nobody built, when the first was.
    """

    schedule: str
    slot: str | None
    due_at: datetime | None
    zone: str
    paused: bool
    overdue: str | None
    overdue_since: datetime | None


@click.command(cls=Command)
@json_option
def status(as_json: bool) -> None:
    """Show what runs, what waits, the next slots, and what needs somebody.

    \b
    Example:
      mailer status
    """
    with opened() as app, app.database.read() as session:
        now = app.times.wall()
        found = read_status(session, lease=app.settings.lease, now=now)
        coming = _coming(session, now)
        told = warnings(found) + _of_slots(found, coming, now)
        told += _of_reviews(session, app.settings) + _of_settings(session, app.settings)
    if as_json:
        data = asdict(found) | {"next": [asdict(one) for one in coming], "warnings": told}
        print_json(data)
        return
    _print(found, coming)
    for warning in told:
        message(f"warning: {warning}")


def _coming(session: Session, now: datetime) -> list[_Coming]:
    rows = session.execute(
        select(Newsletter.slug, Schedule)
        .join(Newsletter, Newsletter.id == Schedule.newsletter_id)
        .where(Schedule.removed_at.is_(None))
        .order_by(Newsletter.slug, Schedule.name)
    )
    found = []
    for slug, schedule in rows:
        if slot_lookup.is_over(session, schedule, now=now):
            continue
        slot = slot_lookup.coming_slot(session, schedule, now=now)
        due = slot_lookup.due(session, schedule, now=now)
        missed = [one.slot for one in due.skipped] + ([due.build] if due.build else [])
        found.append(
            _Coming(
                schedule=f"{slug}/{schedule.name}",
                slot=slot.name if slot else None,
                due_at=slot.due_at if slot else None,
                zone=schedule.zone,
                paused=schedule.paused_at is not None,
                overdue=due.build.name if due.build else None,
                overdue_since=min((one.due_at for one in missed), default=None),
            )
        )
    return found


def _of_slots(status: Status, coming: list[_Coming], now: datetime) -> list[str]:
    """Slots whose time has passed and that nobody built: the first thing that readers would miss."""
    builds = any(one.alive and one.role == WorkerRole.BUILDER for one in status.processes)
    found = []
    for one in coming:
        if one.overdue_since is None:
            continue
        since = moment(one.overdue_since.astimezone(zone_named(one.zone)), one.zone)
        which = f"the digest of {one.schedule} for {since}"
        if builds:
            # What a scheduler lets go it writes down within seconds.
            if one.overdue and now - one.overdue_since >= _BUILT_WITHIN:
                found.append(f"{which} is not built yet; the log of `mailer run` says why")
        elif one.overdue:
            found.append(f"nobody has built {which}; start `mailer run`, and it still goes out")
        else:
            found.append(
                f"nobody built {which}, and now it is too late for it; "
                "start `mailer run`, or the next one is missed too"
            )
    return found


def _of_reviews(session: Session, settings: "Settings") -> list[str]:
    """Reviews that go to nobody, because the address was taken out of the settings later."""
    if settings.staff_address is not None:
        return []
    wanted = [
        f"{newsletter.slug}/{schedule.name}"
        for newsletter, schedule, _ in schedule_lookup.of_newsletters(session)
        if schedule.review is not None
    ]
    if not wanted:
        return []
    told = "nobody is shown {} before it goes out: --review is set there, and `staff_address` is not; set it"
    return [told.format(", ".join(wanted))]


def _of_settings(session: Session, settings: "Settings") -> list[str]:
    found = []
    if not settings.trusted_proxies and all_from_loopback(session):
        found.append(
            "all sign-ups came from this machine: if a web server stands in front, its readers count as one "
            "network and soon get 429; set `trusted_proxies` to its address, such as 127.0.0.1"
        )
    if local_links.are_local(settings.base_url):
        found.append(
            f"links start with {settings.base_url}, which works on this machine only; set `base_url`"
        )
    elif not settings.relay_signs_dkim:
        found.append(
            "mails without DKIM get no unsubscribe button; let the relay sign, and set `relay_signs_dkim`"
        )
    return found


def _print(status: Status, coming: list[_Coming]) -> None:
    if status.paused_at is not None:
        print_text(f"sending: paused ({status.paused_reason or 'no reason given'})")
    else:
        print_text(f"sending: {_sending(status)}")
    print_text(_waiting(status))
    if status.processes:
        print_text("")
        print_table(
            ("process", "host", "pid", "started", "last heard of", "alive", "connections", "note"),
            [tuple(asdict(one).values()) for one in status.processes],
        )
    if status.digests:
        print_text("")
        print_table(
            (
                "digest",
                "newsletter",
                "slot",
                "status",
                "pending",
                "for later",
                "next try",
                "reason",
            ),
            [
                (
                    one.id,
                    f"{one.newsletter}/{one.schedule}",
                    one.slot,
                    one.status,
                    one.pending,
                    one.waiting_later,
                    one.next_try_at,
                    one.reason,
                )
                for one in status.digests
            ],
        )
    if coming:
        print_text("")
        print_table(
            ("schedule", "next slot", "UTC", "zone"),
            [
                (
                    one.schedule,
                    _next(one),
                    one.due_at,
                    one.zone,
                )
                for one in coming
            ],
        )


def _sending(status: Status) -> str:
    if not status.sends:
        return "nobody is there to send"
    if status.relay_fails is not None:
        return f"nothing goes out ({status.relay_fails})"
    return "running"


def _next(one: _Coming) -> str:
    if one.paused:
        return "paused"
    return wall_time(one.due_at.astimezone(zone_named(one.zone))) if one.due_at else "none"


def _waiting(status: Status) -> str:
    told = (
        f"waiting: {pluralise(status.deliveries_waiting, 'mail')} of digests, "
        f"{pluralise(status.notices_waiting, 'notice')}"
    )
    if status.waiting_since is not None:
        told += f"; the oldest since {format_instant(status.waiting_since)}"
    if status.next_try_at is not None:
        told += (
            f"; {status.waiting_later} for a later try, the next at "
            f"{format_instant(status.next_try_at)}"
        )
    return told
