"""`mailer subscriber erase` and `data`: what a person may ask of those who hold their data."""

from pathlib import Path

import click

from mailer.address import Address, parse
from mailer.app import App
from mailer.cli.base import Command, confirmed, json_option, opened, yes_option
from mailer.cli.output import message, print_json, print_record, write_private_file
from mailer.clock import format_instant
from mailer.db.wiping import wipe
from mailer.errors import NotFound, Refused
from mailer.permission.suppress import erased_at
from mailer.subscribers import erase as erasure
from mailer.subscribers.rights.held_data import (
    Retention,
    held_data,
    language_of,
    render_held_data,
)


@click.command(cls=Command)
@click.argument("address")
@click.option(
    "--vacuum",
    is_flag=True,
    help="Rewrite SQLite's file even if it is large: nothing is sent meanwhile.",
)
@yes_option
@json_option
def erase(address: str, vacuum: bool, yes: bool, as_json: bool) -> None:
    """Erase a person: delete what is held about them, for good.

    They get no more mail, also of a digest that is being sent. A keyed hash of the address stays, so that no
    import brings them back; they can sign up again by themselves. Repeating the command is safe.

    \b
    Example:
      mailer subscriber erase anna@example.com
    """
    parsed = parse(address)
    with opened() as app:
        _check_is_no_staff(app, parsed)
        question = f"Erase everything held about {parsed.typed}? This cannot be undone."
        if not confirmed(question, yes=yes):
            raise Refused("nothing was erased")
        key_hash, now = app.keys.key_hash(parsed.key), app.times.wall()
        with app.database.write() as session:
            before = erased_at(session, key_hash)
            is_erased = erasure.erase(session, key_hash, source="mailer subscriber erase", now=now)
            if not is_erased and before is None:
                raise NotFound(
                    f"nothing is held about {parsed.typed}; check how the address is written"
                )
        rest = wipe(app.database, rewrite_large=vacuum)
        if as_json:
            print_json({"address": parsed.typed, "erased": is_erased, "erased_before": before})
        if is_erased:
            message(
                f"{parsed.typed} is erased; backups made before now still hold it, and so may logs of the "
                "relay and of the web server"
            )
        elif before is not None:
            message(
                f"{parsed.typed} was erased on {format_instant(before)}; nothing more is held about it"
            )
        if rest is not None:
            message(rest)


@click.command(cls=Command)
@click.argument("address")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a page that stands alone.",
)
@json_option
def data(address: str, html: Path | None, as_json: bool) -> None:
    """Show everything that is held about a person, for them to read.

    The page is in the person's language. Send it only to that address: the same is behind the link that
    readers get from the page to manage subscriptions.

    \b
    Example:
      mailer subscriber data anna@example.com --json
      mailer subscriber data anna@example.com --html anna.html
    """
    parsed = parse(address)
    with opened() as app:
        retention = Retention(app.settings.consent_retention, app.settings.ledger_retention)
        with app.database.read() as session:
            held = held_data(
                session,
                app.keys.key_hash(parsed.key),
                parsed.typed,
                app.publisher,
                retention,
                now=app.times.wall(),
            )
            language = language_of(session, held)
        if held.is_empty:
            raise NotFound(
                f"nothing is held about {parsed.typed}; check how the address is written"
            )
        if html is not None:
            write_private_file(html, render_held_data(app.templates, held, language))
    document = held.as_json()
    if as_json:
        print_json(document)
    elif html is None:
        lists = {name: rows for name, rows in document.items() if isinstance(rows, list)}
        plain = {name: value for name, value in document.items() if name not in lists}
        print_record(plain | {name: len(rows) for name, rows in lists.items()})
        message("these are numbers; --json or --html FILE shows all of it")


def _check_is_no_staff(app: App, address: Address) -> None:
    """Check that alerts do not go to this address.

    Raises:
        Refused: they do.
    """
    if any(staff.key == address.key for staff in app.settings.staff_address):
        raise Refused(
            f"{address.typed} is in `staff_address`, and gets alerts; set another one there first"
        )
