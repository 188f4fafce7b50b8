"""`mailer delivery`: shows the rows of the ledger, and settles those in doubt."""

import click

from mailer import address as addresses
from mailer.cli.base import Group, confirmed, json_option, opened, warn_if_nothing_sends, yes_option
from mailer.cli.output import message, print_json, print_list
from mailer.cli.parameters import ROW_ID
from mailer.digests import listings
from mailer.digests.listings import DigestSummary
from mailer.errors import Refused
from mailer.ledger import in_doubt
from mailer.models import DeliveryStatus
from mailer.text.english import pluralise


@click.group(cls=Group)
def delivery() -> None:
    """Show who was sent what."""


@delivery.command("list")
@click.option("--digest", "digest_id", type=ROW_ID, metavar="ID", help="Only of this digest.")
@click.option("--to", metavar="ADDRESS", help="Only to this address.")
@click.option(
    "--status",
    type=click.Choice([status.value for status in DeliveryStatus]),
    help="Only in this status.",
)
@json_option
def list_(digest_id: int | None, to: str | None, status: str | None, as_json: bool) -> None:
    """List deliveries, and what the relay (the server that takes our mail) answered.

    \b
    Example:
      mailer delivery list --digest 12 --status failed
    """
    key = None if to is None else addresses.parse(to).key
    with opened() as app, app.database.read() as session:
        digest = None if digest_id is None else listings.find(session, digest_id)
        rows = listings.deliveries(
            session,
            digest_id=digest_id,
            address_key=key,
            status=DeliveryStatus(status) if status else None,
        )
    columns = (
        "id",
        "digest",
        "address",
        "status",
        "attempts",
        ("in doubt", "in_doubt"),
        "reply",
        ("dropped", "dropped_at"),
    )
    print_list(rows, columns, as_json=as_json)
    if digest is not None and digest.purged_at is not None:
        message(_purged(digest))


@delivery.command
@click.option("--digest", "digest_id", type=ROW_ID, metavar="ID", required=True, help="Which one.")
@click.option("--resend", is_flag=True, help="Send them once more: some readers may get two.")
@click.option("--drop", is_flag=True, help="Leave them: they count as sent, and are not repeated.")
@yes_option
@json_option
def resolve(digest_id: int, resend: bool, drop: bool, yes: bool, as_json: bool) -> None:
    """Decide what happens to the mails of a digest that are in doubt.

    In doubt means that nobody knows whether the relay took them: they were transmitted, but no answer
    arrived. Choose --resend or --drop. If nothing is in doubt, nothing is done.

    \b
    Example:
      mailer delivery resolve --digest 12 --drop
    """
    if resend == drop:
        raise click.UsageError("Give one of --resend and --drop.")
    with opened() as app:
        with app.database.read() as session:
            digest = listings.find(session, digest_id)
            if digest.purged_at is not None:
                raise Refused(_purged(digest))
            number = in_doubt.count_of(session, digest_id)
        if number and not confirmed(_question(digest, number, resend), yes=yes):
            raise Refused("nothing was changed; `mailer delivery list` shows what is in doubt")
        settle = in_doubt.resend if resend else in_doubt.drop
        with app.database.write() as session:
            settled = settle(session, digest_id, app.times.wall())
            digest = listings.find(session, digest_id)
        if settled is None:
            raise Refused(
                f"digest {digest_id} is over ({digest.status}), and nothing more of it is sent; "
                f"`mailer delivery resolve --digest {digest_id} --drop` settles what is in doubt"
            )
        if as_json:
            sums = {"resent": settled if resend else 0, "dropped": 0 if resend else settled}
            print_json({"digest": digest_id, "status": digest.status, **sums})
        else:
            message(_result(digest_id, settled, resend))
        if settled and resend:
            warn_if_nothing_sends(app)


def _purged(digest: DigestSummary) -> str:
    return (
        f"digest {digest.id} is older than the retention: its deliveries were deleted; "
        f"`mailer digest show {digest.id}` has their numbers"
    )


def _result(digest_id: int, settled: int, resend: bool) -> str:
    mail, mails = f"mail of digest {digest_id}", f"mails of digest {digest_id}"
    if not settled:
        return f"no {mail} is in doubt"
    if resend:
        return pluralise(
            settled, f"{mail} waits to be sent again", f"{mails} wait to be sent again"
        )
    return pluralise(
        settled,
        f"{mail} is left as it is, and counts as sent",
        f"{mails} are left as they are, and count as sent",
    )


def _question(digest: DigestSummary, number: int, resend: bool) -> str:
    which = f"{pluralise(number, 'mail')} in doubt of digest {digest.id}, {digest.subject!r}"
    if resend:
        return f"Send {which}, once more? Readers may get it twice."
    return f"Leave {which}, as they are? Readers who did not get it will never get it."
