"""`mailer consent`: what a reader agreed to, and when."""

from dataclasses import asdict

import click

from mailer.address import parse
from mailer.cli.base import Group, json_option, opened
from mailer.cli.output import print_json, print_table
from mailer.errors import NotFound
from mailer.subscribers.readers import consent_of


@click.group(cls=Group)
def consent() -> None:
    """What a reader agreed to, and when."""


@consent.command
@click.argument("address")
@json_option
def show(address: str, as_json: bool) -> None:
    """Show the consent log of one address, with the sentences exactly as they were shown.

    \b
    Example:
      mailer consent show anna@example.com --json
    """
    parsed = parse(address)
    with opened() as app, app.database.read() as session:
        found = consent_of(session, app.keys.key_hash(parsed.key))
    if not found:
        raise NotFound(f"the consent log knows nothing of {parsed.typed}; check how it is written")
    if as_json:
        print_json([asdict(one) for one in found])
        return
    print_table(
        ("when", "what", "newsletter", "schedule", "where", "IP address", "sentence shown"),
        [
            (one.at, one.kind.value, one.newsletter, one.schedule, one.source, one.ip, one.wording)
            for one in found
        ],
    )
