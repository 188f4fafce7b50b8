"""`mailer status`: what runs, what waits, and what comes next."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.cli.output import message, print_json, print_table, print_text
from mailer.cli.verb import Verb, json_option, opened
from mailer.clock import format_instant
from mailer.digests.timetable import next_slot
from mailer.models import Newsletter, Schedule
from mailer.operations.status import Status, read_status, warnings
from mailer.words import counted

if TYPE_CHECKING:
    from mailer.settings import Settings


@dataclass(frozen=True)
class _Coming:
    """The next slot of a schedule; None while it is paused, or has no more."""

    schedule: str
    slot: str | None
    due_at: datetime | None
    zone: str
    paused: bool


@click.command(cls=Verb)
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
        told = warnings(found) + _of_settings(app.settings)
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
        slot = None if schedule.paused_at is not None else next_slot(schedule, now=now)
        found.append(
            _Coming(
                schedule=f"{slug}/{schedule.name}",
                slot=slot.name if slot else None,
                due_at=slot.due_at if slot else None,
                zone=schedule.zone,
                paused=schedule.paused_at is not None,
            )
        )
    return found


def _of_settings(settings: "Settings") -> list[str]:
    found = []
    if settings.base_url.startswith("http:"):
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
        print_text("sending: " + ("running" if status.sends else "nobody is there to send"))
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
                    "paused" if one.paused else one.slot or "none",
                    one.due_at,
                    one.zone,
                )
                for one in coming
            ],
        )


def _waiting(status: Status) -> str:
    told = (
        f"waiting: {counted(status.deliveries_waiting, 'mail')} of digests, "
        f"{counted(status.notices_waiting, 'notice')}"
    )
    if status.waiting_since is not None:
        told += f"; the oldest since {format_instant(status.waiting_since)}"
    if status.next_try_at is not None:
        told += (
            f"; {status.waiting_later} for a later try, the next at "
            f"{format_instant(status.next_try_at)}"
        )
    return told
