"""`mailer webhook`: shows where mail providers report bounces and complaints. Needs no database."""

import click

from mailer.cli.base import Group, json_option, settings
from mailer.cli.output import message, print_list
from mailer.errors import Refused
from mailer.settings import local_links


@click.group(cls=Group)
def webhook() -> None:
    """Show where mail providers report bounces and complaints."""


@webhook.command
@json_option
def show(as_json: bool) -> None:
    """Print the address to enter at each provider that `webhook_keys` names.

    Anyone who knows an address can report to it, so show it to nobody else. It is made with the first
    `secret_key`; addresses that were made with the others work as well. docs/webhooks.md says what to
    click at each provider.

    \b
    Example:
      mailer webhook show
    """
    from mailer.app import make_keys

    loaded = settings()
    if not loaded.webhook_keys:
        raise Refused(
            "no provider may report anything; name yours in the setting `webhook_keys`, "
            "such as `postmark`"
        )
    keys = make_keys(loaded)
    rows = [
        {
            "provider": provider,
            "address": f"{loaded.base_url}/webhooks/{provider}/{keys.webhook_secret(provider)}",
        }
        for provider in loaded.webhook_keys
    ]
    print_list(rows, ("provider", "address"), as_json=as_json)
    if local_links.are_local(loaded.base_url):
        message(
            "providers cannot reach these addresses, which work on this machine only; "
            "set `base_url` to the address that readers see"
        )
