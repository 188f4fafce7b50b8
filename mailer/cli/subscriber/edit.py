"""`mailer subscriber`: adds, changes and unsubscribes readers, one at a time."""

import click

from mailer.address import parse
from mailer.cli.base import Command, json_option, opened, warn_if_nothing_sends
from mailer.cli.language import check_language
from mailer.cli.output import message, print_json
from mailer.cli.subscriber.choice import choice_options, chosen_schedule
from mailer.clock import format_instant
from mailer.models import NoticeKind
from mailer.permission.consent import Origin
from mailer.subscribers.reader_edit import ReaderEdit, edit_reader
from mailer.subscribers.signup import SignupResult
from mailer.subscribers.staff_changes import add_reader, unsubscribe_reader
from mailer.text.english import pluralise


@click.command(cls=Command)
@click.argument("address")
@choice_options
@click.option(
    "--consent-source", metavar="TEXT", help="Where they agreed; then no confirmation is mailed."
)
@json_option
def add(
    address: str, newsletter: str, schedule: str | None, consent_source: str | None, as_json: bool
) -> None:
    """Add one reader.

    Without a consent source they get a confirmation mail, as from the form. For a reader who already
    subscribes, only the schedule changes, if you give one.

    \b
    Example:
      mailer subscriber add anna@example.com --newsletter daily
      mailer subscriber add boris@example.com --newsletter daily --consent-source "paper form, 3 May"
    """
    parsed = parse(address)
    with opened() as app:
        choice = chosen_schedule(app, newsletter, schedule)
        origin = Origin("mailer subscriber add", app.times.wall())
        with app.database.write() as session:
            result = add_reader(session, parsed, choice, consent_source, origin, app.signup_context)
        status = "pending" if isinstance(result, SignupResult) else result.value
        if as_json:
            print_json({"address": parsed.typed, "newsletter": newsletter, "status": status})
        if isinstance(result, SignupResult):
            is_confirmation = result.kind is NoticeKind.CONFIRMATION
            mail = f"a {'confirmation ' if is_confirmation else ''}mail to {parsed.typed}"
            is_held = result.not_before > origin.at
            until = f"waits until {format_instant(result.not_before)}"
            message(f"{mail} {until if is_held else 'is on its way'}")
            warn_if_nothing_sends(app)
        else:
            message(f"{parsed.typed}: {status}")


@click.command(cls=Command)
@click.argument("address")
@click.option("--name", metavar="NAME", help='How mails greet the reader; "" deletes the name.')
@click.option(
    "--language",
    metavar="CODE",
    help='For pages and notices, such as hy or fr; "" means that of each newsletter.',
)
@click.option(
    "--address", "new_address", metavar="NEW", help="Replaces ADDRESS once NEW has confirmed."
)
@json_option
def edit(
    address: str, name: str | None, language: str | None, new_address: str | None, as_json: bool
) -> None:
    """Change a reader's name, language or address.

    A new address gets a mail with a link. Until it is used, everything goes to the old address.
    Subscriptions and what the reader has had stay as they are.

    \b
    Example:
      mailer subscriber edit anna@example.com --name "Anna Petrosyan" --language hy
      mailer subscriber edit anna@example.com --address anna@new.example
    """
    if name is None and language is None and new_address is None:
        raise click.UsageError("Say what to change: --name, --language or --address.")
    parsed = parse(address)
    new = None if new_address is None else parse(new_address)
    with opened() as app:
        if language:
            check_language(app, language)
        changes = ReaderEdit(name, language, new)
        with app.database.write() as session:
            origin = Origin("mailer subscriber edit", app.times.wall())
            reader = edit_reader(session, parsed, changes, origin, app.signup_context)
        if as_json:
            print_json(reader)
        if name is not None or language is not None:
            message(f"{parsed.typed} is changed")
        if new is not None:
            message(
                f"a mail to {new.typed} asks for confirmation; until then mails go to {parsed.typed}"
            )
            warn_if_nothing_sends(app)


@click.command(cls=Command)
@click.argument("address")
@click.option("--newsletter", metavar="SLUG", help="Only from this one (default: from all).")
@json_option
def unsubscribe(address: str, newsletter: str | None, as_json: bool) -> None:
    """Unsubscribe a reader at once, even from a digest that is being sent.

    \b
    Example:
      mailer subscriber unsubscribe anna@example.com --newsletter daily
    """
    parsed = parse(address)
    with opened() as app, app.database.write() as session:
        origin = Origin("mailer subscriber unsubscribe", app.times.wall())
        left, before = unsubscribe_reader(session, parsed, newsletter, origin)
    if as_json:
        print_json({"address": parsed.typed, "unsubscribed": left})
    message(
        f"{parsed.typed} is unsubscribed from {pluralise(left, 'newsletter')}"
        + (f"; had left {before} before" if before else "")
    )
