"""`mailer subscriber`: lists and shows readers. Never changes anything."""

from collections.abc import Sequence

import click

from mailer.address import parse
from mailer.bounces.history import CameBack, came_back_of
from mailer.cli.base import Command, json_option, opened
from mailer.cli.output import message, print_json, print_list, print_table
from mailer.clock import format_instant
from mailer.errors import NotFound
from mailer.newsletters import newsletters
from mailer.permission.suppress import SuppressionView, list_suppressions
from mailer.subscribers import readers


@click.command("list", cls=Command)
@click.option("--newsletter", metavar="SLUG", help="Only this one's readers.")
@json_option
def list_(newsletter: str | None, as_json: bool) -> None:
    """List readers and what they get, including those who left.

    \b
    Example:
      mailer subscriber list --newsletter daily --json
    """
    with opened() as app, app.database.read() as session:
        newsletter_id = None if newsletter is None else newsletters.find(session, newsletter).id
        rows = list(readers.list_readers(session, newsletter_id))
    since = ("since", "confirmed_at")
    columns = ("address", "name", "newsletter", "schedule", "state", since)
    print_list(rows, columns, as_json=as_json)


@click.command(cls=Command)
@click.argument("address")
@json_option
def show(address: str, as_json: bool) -> None:
    """Show what a reader gets, what they were sent, what they were not sent and why, and what came back.

    \b
    Example:
      mailer subscriber show anna@example.com
    """
    parsed = parse(address)
    with opened() as app, app.database.read() as session:
        key_hash = app.keys.key_hash(parsed.key)
        subscriptions = readers.subscriptions_of(session, key_hash)
        signups = readers.open_signups(session, key_hash, now=app.times.wall())
        suppressions = list_suppressions(session, key_hash)
        got, missed = readers.mails_of(session, key_hash)
        returned = came_back_of(session, key_hash)
    if not (subscriptions or signups or suppressions):
        raise NotFound(f"no reader has the address {parsed.typed}; see `mailer subscriber list`")
    if as_json:
        print_json(
            {
                "address": parsed.typed,
                "name": subscriptions[0].name if subscriptions else None,
                "subscriptions": subscriptions,
                "pending": signups,
                "suppressions": suppressions,
                "got": got,
                "missed": missed,
                "returned": returned,
            }
        )
        return
    print_table(
        ("newsletter", "schedule", "state", "since", "left"),
        [
            (row.newsletter, row.schedule, row.state, row.confirmed_at, row.left_at)
            for row in subscriptions
        ]
        + [(row.newsletter, None, "awaits confirmation", row.asked_at, None) for row in signups],
    )
    _print_what_stops(suppressions, returned)
    rows = [
        (mail.digest, mail.newsletter, mail.slot, mail.status, mail.at, mail.subject, why)
        for mail, why in [(mail, None) for mail in got] + [(mail, mail.why) for mail in missed]
    ]
    if rows:
        message("")
        print_table(("digest", "newsletter", "slot", "status", "when", "subject", "why not"), rows)


def _print_what_stops(
    suppressions: Sequence[SuppressionView], returned: Sequence[CameBack]
) -> None:
    for stop in suppressions:
        why = f", {stop.explanation}" if stop.explanation else ""
        message(
            f"suppressed ({stop.reason}) for {stop.newsletter or 'every newsletter'} "
            f"since {format_instant(stop.since)}{why}"
        )
    rows = [
        (
            row.at,
            f"digest {row.digest}" if row.digest is not None else row.notice or "notice",
            row.kind,
            row.reason,
            row.diagnostic or row.status,
        )
        for row in returned
    ]
    if rows:
        message("")
        print_table(("came back", "of", "what", "why", "what was said"), rows)
