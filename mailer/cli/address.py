"""`mailer address`: is this an address, and whose is it?"""

import click

from mailer.address import parse
from mailer.cli.base import Group, json_option
from mailer.cli.output import print_json, print_table
from mailer.errors import BadAddress


@click.group(cls=Group)
def address() -> None:
    """Mail addresses."""


@address.command
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@json_option
@click.pass_context
def check(ctx: click.Context, addresses: tuple[str, ...], as_json: bool) -> None:
    """Tell whether mail can be sent to each ADDRESS; exit 1 when one is no address.

    Two addresses with the same key are one reader. Nothing is looked up on the network.

    \b
    Example:
      mailer address check "Reader@Example.com" nobody@nowhere
    """
    found = [_checked(text) for text in addresses]
    if as_json:
        print_json(found if len(found) > 1 else found[0])
    else:
        print_table(
            ("address", "ok", "key", "reason"),
            [(one["address"], one["ok"], one["key"], one["reason"]) for one in found],
        )
    if not all(one["ok"] for one in found):
        ctx.exit(1)


def _checked(text: str) -> dict[str, object]:
    try:
        good = parse(text)
    except BadAddress as error:
        return {"ok": False, "address": text, "key": None, "reason": str(error)}
    return {"ok": True, "address": good.typed, "key": good.key, "reason": None}
