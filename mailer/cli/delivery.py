"""`mailer delivery`: the rows of the ledger."""

from dataclasses import asdict

import click

from mailer import address as addresses
from mailer.cli.output import print_json, print_table
from mailer.cli.verb import json_option, opened
from mailer.digests import summary
from mailer.models import DeliveryStatus


@click.group
def delivery() -> None:
    """Who was sent what."""


@delivery.command("list")
@click.option("--digest", "digest_id", type=int, metavar="ID", help="Of this digest only.")
@click.option("--to", metavar="ADDRESS", help="To this address only.")
@click.option(
    "--status",
    type=click.Choice([one.value for one in DeliveryStatus]),
    help="In this status only.",
)
@json_option
def list_(digest_id: int | None, to: str | None, status: str | None, as_json: bool) -> None:
    """List deliveries with what the relay said.

    \b
    Example:
      mailer delivery list --digest 12 --status failed
    """
    key = addresses.parse(to).key if to else None
    with opened() as app, app.database.read() as session:
        if digest_id is not None:
            summary.find(session, digest_id)
        found = summary.deliveries(
            session,
            digest_id=digest_id,
            address_key=key,
            status=DeliveryStatus(status) if status else None,
        )
    rows = [asdict(one) for one in found]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("id", "digest", "address", "status", "attempts", "in doubt", "reply"),
        [tuple(row.values()) for row in rows],
    )
