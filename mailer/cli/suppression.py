"""`mailer suppression`: manages the addresses that get no mail."""

import click

from mailer.address import parse
from mailer.cli.base import Group, json_option, opened
from mailer.cli.output import message, print_json, print_list
from mailer.errors import NotFound, Refused
from mailer.models import SuppressionReason
from mailer.permission import suppress
from mailer.text.english import command

_KNOWN_REASONS = ("bounced", "complained", "staff")


@click.group(cls=Group)
def suppression() -> None:
    """Manage addresses that get no mail."""


@suppression.command
@click.argument("address")
@click.option(
    "--reason",
    metavar="R",
    required=True,
    help="bounced, complained, or a note of your own.",
)
@json_option
def add(address: str, reason: str, as_json: bool) -> None:
    """Block an address: it gets no more mail, even if it is imported again.

    \b
    Example:
      mailer suppression add anna@example.com --reason "asked by phone"
    """
    parsed = parse(address)
    if not reason.strip():
        raise Refused('give a --reason, such as "asked by phone"')
    known = reason in _KNOWN_REASONS
    with opened() as app, app.database.write() as session:
        is_new = suppress.suppress(
            session,
            key_hash=app.keys.key_hash(parsed.key),
            address=parsed.typed,
            reason=SuppressionReason(reason) if known else SuppressionReason.STAFF,
            detail=None if known else reason.strip(),
            now=app.times.wall(),
        )
    if as_json:
        print_json({"address": parsed.typed, "added": is_new})
    message(f"{parsed.typed} gets no mail" + ("" if is_new else "; it was suppressed before"))


@suppression.command
@click.argument("address")
@json_option
def lift(address: str, as_json: bool) -> None:
    """Lift every suppression of an address. The reader stays unsubscribed from what they left.

    \b
    Example:
      mailer suppression lift anna@example.com
    """
    parsed = parse(address)
    with opened() as app, app.database.write() as session:
        key_hash = app.keys.key_hash(parsed.key)
        lifted = suppress.lift(session, key_hash, now=app.times.wall())
        if not lifted and suppress.erased_at(session, key_hash) is not None:
            raise Refused(
                f"{parsed.typed} was erased, and only that person can come back: by signing up again, or by "
                f"the mail that `{command('subscriber', 'add', parsed.typed)} --newsletter SLUG` sends"
            )
        if not lifted:
            raise NotFound(
                f"{parsed.typed} is not suppressed; `mailer suppression list` shows who is"
            )
        is_erased = suppress.erased_at(session, key_hash) is not None
    if as_json:
        print_json({"address": parsed.typed, "lifted": lifted})
    message(f"{parsed.typed} may get mail again" + (", after confirming" if is_erased else ""))


@suppression.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the addresses that get no mail, and why: what came back, of which digest, or a note by staff.

    \b
    Example:
      mailer suppression list
    """
    with opened() as app, app.database.read() as session:
        rows = suppress.list_suppressions(session)
    all_or_one = ("newsletter", lambda row: row.newsletter or "all")
    detail = ("detail", "explanation")
    print_list(rows, ("address", all_or_one, "reason", detail, "since"), as_json=as_json)
