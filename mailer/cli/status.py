"""`mailer status`: shows what runs, what waits, and what comes next."""

from dataclasses import asdict

import click

from mailer.cli.base import Command, json_option, opened
from mailer.cli.output import Column, message, print_json, print_list, print_text
from mailer.clock import format_instant
from mailer.clock import zone as zone_named
from mailer.models import WorkerRole
from mailer.monitoring.journal_copy import journal_warnings
from mailer.monitoring.status import ScheduleStatus, Status, read_status
from mailer.monitoring.warnings import all_warnings, backup_warnings, mailbox_warnings
from mailer.settings import local_links
from mailer.text.english import pluralise, wall_time


@click.command(cls=Command)
@json_option
def status(as_json: bool) -> None:
    """Show what runs, what waits, what goes out next, and what needs you.

    A slot is one time at which a schedule sends a digest. The relay is the server that takes our mail.

    \b
    Example:
      mailer status
    """
    with opened() as app, app.database.read() as session:
        now = app.times.wall()
        base_url = app.settings.base_url
        current = read_status(session, lease=app.settings.lease, now=now)
        warnings = all_warnings(
            session,
            current,
            now=now,
            has_staff_address=bool(app.settings.staff_address),
            has_trusted_proxies=bool(app.settings.trusted_proxies),
            dkim_domain=app.settings.dkim_domain,
            relay_signs_dkim=app.settings.relay_signs_dkim,
            local_url=base_url if local_links.are_local(base_url) else None,
        )
        warnings += mailbox_warnings(session, app.settings.shown["bounce_fetch_url"])
        warnings += journal_warnings(app.database)
        has_folder = app.settings.backup_folder is not None
        warnings += backup_warnings(session, has_folder=has_folder, now=now)
    if as_json:
        print_json(asdict(current) | {"warnings": warnings})
        return
    _print(current)
    for warning in warnings:
        message(f"warning: {warning}")


def _print(status: Status) -> None:
    print_text(f"sending: {_sending(status)}")
    print_text(_waiting(status))
    tables: list[tuple[tuple[object, ...], list[Column]]] = [
        (
            status.processes,
            [
                ("process", "role"),
                "host",
                "pid",
                ("started", "started_at"),
                ("last heartbeat", "heartbeat_at"),
                "alive",
                "connections",
                "note",
            ],
        ),
        (
            status.digests,
            [
                ("digest", "id"),
                ("newsletter", lambda digest: f"{digest.newsletter}/{digest.schedule}"),
                "slot",
                "status",
                "pending",
                ("for later", "waiting_later"),
                ("next try", "next_try_at"),
                "reason",
            ],
        ),
        (status.next, ["schedule", ("next slot", _next), ("UTC", "due_at"), "zone"]),
    ]
    for rows, columns in tables:
        if rows:
            print_text("")
            print_list(rows, columns, as_json=False)


def _sending(status: Status) -> str:
    if status.paused_at is not None:
        return f"paused ({status.paused_reason or 'no reason given'})"
    if not status.runs(WorkerRole.SENDER):
        return "no worker is running"
    if status.relay_fails is not None:
        return f"nothing goes out ({status.relay_fails})"
    return "running"


def _next(schedule: ScheduleStatus) -> str:
    if schedule.paused:
        return "paused"
    if schedule.due_at is None:
        return "none"
    return wall_time(schedule.due_at.astimezone(zone_named(schedule.zone)))


def _waiting(status: Status) -> str:
    parts = [
        (
            f"waiting: {pluralise(status.deliveries_waiting, 'mail')} of digests, "
            f"{pluralise(status.notices_waiting, 'notice')}"
        )
    ]
    if status.waiting_since is not None:
        parts.append(f"the oldest since {format_instant(status.waiting_since)}")
    if status.next_try_at is not None:
        next_try = format_instant(status.next_try_at)
        parts.append(f"{status.waiting_later} for a later try, the next at {next_try}")
    return "; ".join(parts)
