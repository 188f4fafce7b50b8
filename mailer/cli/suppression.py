"""`mailer suppression`: addresses that get no mail."""

from dataclasses import asdict

import click

from mailer.address import parse
from mailer.cli.base import Group, json_option, opened
from mailer.cli.output import message, print_json, print_table
from mailer.errors import NotFound, Refused
from mailer.models import SuppressionReason
from mailer.permission.suppress import lift as lift_all
from mailer.permission.suppress import list_suppressions, suppress

_WORDS = (SuppressionReason.BOUNCED, SuppressionReason.COMPLAINED, SuppressionReason.STAFF)


@click.group(cls=Group)
def suppression() -> None:
    """Addresses that get no mail."""


@suppression.command
@click.argument("address")
@click.option(
    "--reason",
    metavar="R",
    required=True,
    help="bounced, complained, or what you want to remember.",
)
@json_option
def add(address: str, reason: str, as_json: bool) -> None:
    """Let no mail go to an address any more, whoever enters or imports it.

    \b
    Example:
      mailer suppression add anna@example.com --reason "asked by phone"
    """
    parsed = parse(address)
    if not reason.strip():
        raise Refused('give a --reason, such as "asked by phone"')
    known = reason in {word.value for word in _WORDS}
    with opened() as app, app.database.write() as session:
        is_new = suppress(
            session,
            key_hash=app.keys.key_hash(parsed.key),
            address=parsed.typed,
            reason=SuppressionReason(reason) if known else SuppressionReason.STAFF,
            detail=None if known else reason.strip(),
            now=app.times.wall(),
        )
    if as_json:
        print_json({"address": parsed.typed, "added": is_new})
    message(f"{parsed.typed} gets no mail" + ("" if is_new else "; that was so before"))


@suppression.command
@click.argument("address")
@json_option
def lift(address: str, as_json: bool) -> None:
    """Take back every suppression of an address. Who has left a newsletter stays away from it.

    \b
    Example:
      mailer suppression lift anna@example.com
    """
    parsed = parse(address)
    with opened() as app, app.database.write() as session:
        lifted = lift_all(session, app.keys.key_hash(parsed.key))
        if not lifted:
            raise NotFound(
                f"{parsed.typed} is not suppressed; `mailer suppression list` shows who is"
            )
    if as_json:
        print_json({"address": parsed.typed, "lifted": lifted})
    message(f"{parsed.typed} may get mail again")


@suppression.command(name="list")
@json_option
def list_all(as_json: bool) -> None:
    """List the addresses that get no mail, and why.

    \b
    Example:
      mailer suppression list
    """
    with opened() as app, app.database.read() as session:
        found = list_suppressions(session)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        ("address", "newsletter", "reason", "detail", "since"),
        [
            (one.address, one.newsletter or "all", one.reason, one.detail, one.since)
            for one in found
        ],
    )
