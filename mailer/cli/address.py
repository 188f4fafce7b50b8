"""`mailer address`: checks whether something is an address, and whose it is."""

import click

from mailer.address import parse
from mailer.cli.base import Group, json_option
from mailer.cli.output import print_json, print_list
from mailer.errors import BadAddress


@click.group(cls=Group)
def address() -> None:
    """Check email addresses."""


@address.command
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@json_option
@click.pass_context
def check(ctx: click.Context, addresses: tuple[str, ...], as_json: bool) -> None:
    """Check whether each ADDRESS can be mailed; exit with 1 if one is not an address.

    Two addresses with the same key are one reader. Nothing is looked up on the network.

    \b
    Example:
      mailer address check "Reader@Example.com" nobody@nowhere
    """
    checks = [_check(text) for text in addresses]
    if as_json and len(checks) == 1:
        print_json(checks[0])
    else:
        print_list(checks, ("address", "ok", "key", "reason"), as_json=as_json)
    if not all(data["ok"] for data in checks):
        ctx.exit(1)


def _check(text: str) -> dict[str, object]:
    try:
        parsed = parse(text)
    except BadAddress as error:
        return {"ok": False, "address": text, "key": None, "reason": str(error)}
    return {"ok": True, "address": parsed.typed, "key": parsed.key, "reason": None}
