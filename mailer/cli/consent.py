"""`mailer consent`: shows what a reader agreed to, and when."""

import click

from mailer.address import parse
from mailer.cli.base import Group, json_option, opened
from mailer.cli.output import print_list
from mailer.errors import NotFound
from mailer.subscribers.readers import consent_of


@click.group(cls=Group)
def consent() -> None:
    """Show what a reader agreed to, and when."""


@consent.command
@click.argument("address")
@json_option
def show(address: str, as_json: bool) -> None:
    """Show the consent log of one address, with the exact sentences that were shown.

    \b
    Example:
      mailer consent show anna@example.com --json
    """
    parsed = parse(address)
    with opened() as app, app.database.read() as session:
        lines = consent_of(session, app.keys.key_hash(parsed.key))
    if not lines:
        raise NotFound(f"the consent log has nothing on {parsed.typed}; check how it is written")
    columns = (
        ("when", "at"),
        ("what", "kind"),
        "newsletter",
        "schedule",
        ("where", "source"),
        ("IP address", "ip"),
        ("sentence shown", "wording"),
    )
    print_list(lines, columns, as_json=as_json)
