"""`mailer delivery`: the rows of the ledger."""

from dataclasses import asdict

import click

from mailer import address as addresses
from mailer.cli.base import Group, confirmed, json_option, opened, yes_option
from mailer.cli.idle import warn_if_nothing_sends
from mailer.cli.output import message, print_json, print_table
from mailer.cli.parameters import ROW_ID
from mailer.digests import summary
from mailer.digests.summary import DigestSummary
from mailer.errors import Refused
from mailer.ledger import in_doubt
from mailer.models import DeliveryStatus
from mailer.text.english import pluralise


@click.group(cls=Group)
def delivery() -> None:
    """Who was sent what."""


@delivery.command("list")
@click.option("--digest", "digest_id", type=ROW_ID, metavar="ID", help="Of this digest only.")
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
    key = None if to is None else addresses.parse(to).key
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
        ("id", "digest", "address", "status", "attempts", "in doubt", "reply", "dropped"),
        [tuple(row.values()) for row in rows],
    )


@delivery.command
@click.option(
    "--digest", "digest_id", type=ROW_ID, metavar="ID", required=True, help="Of this digest."
)
@click.option("--resend", is_flag=True, help="Send them once more: some readers may get two.")
@click.option("--drop", is_flag=True, help="Leave them: they count as had, and are not sent again.")
@yes_option
@json_option
def resolve(digest_id: int, resend: bool, drop: bool, yes: bool, as_json: bool) -> None:
    """Decide what happens to the mails of a digest that are in doubt.

    Nobody knows whether the relay took them. One of --resend and --drop says what to do; where nothing is
    in doubt, nothing is done.

    \b
    Example:
      mailer delivery resolve --digest 12 --drop
    """
    if resend == drop:
        raise click.UsageError("Give one of --resend and --drop.")
    with opened() as app:
        with app.database.read() as session:
            found = summary.find(session, digest_id)
            number = in_doubt.in_doubt_of(session, digest_id)
        if number and not confirmed(_question(number, digest_id, found.subject, resend), yes=yes):
            raise Refused("nothing was changed; `mailer delivery list` shows what is in doubt")
        settle = in_doubt.resend if resend else in_doubt.drop
        with app.database.write() as session:
            settled = settle(session, digest_id, app.times.wall())
            found = summary.find(session, digest_id)
        if settled is None:
            raise Refused(
                f"digest {digest_id} is over ({found.status}), nothing more of it is sent; "
                f"`mailer delivery resolve --digest {digest_id} --drop` settles what is in doubt"
            )
        _tell(found, settled, resend, as_json)
        if settled and resend:
            warn_if_nothing_sends(app)


def _tell(found: DigestSummary, settled: int, resend: bool, as_json: bool) -> None:
    digest_id = found.id
    if as_json:
        sums = {"resent": settled if resend else 0, "dropped": 0 if resend else settled}
        print_json({"digest": digest_id, "status": found.status, **sums})
    elif not settled:
        message(f"no mail of digest {digest_id} is in doubt")
    elif resend:
        what = (f"mail of digest {digest_id} waits", f"mails of digest {digest_id} wait")
        message(f"{pluralise(settled, *what)} to be sent again")
    else:
        what = (
            f"mail of digest {digest_id} is left as it is, and counts as had",
            f"mails of digest {digest_id} are left as they are, and count as had",
        )
        message(pluralise(settled, *what))


def _question(number: int, digest_id: int, subject: str | None, resend: bool) -> str:
    which = f"{pluralise(number, 'mail')} in doubt of digest {digest_id}, {subject!r}"
    if resend:
        return f"Send {which}, once more? Readers may get it twice."
    return f"Leave {which}, as before? Who did not get it will not get it any more."
