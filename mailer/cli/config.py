"""`mailer config`: shows which settings are in force, and where each comes from."""

import click

from mailer.cli.base import Group, json_option, settings
from mailer.cli.output import print_json, print_table


@click.group(cls=Group)
def config() -> None:
    """Show the settings and where they come from."""


@config.command
@json_option
def show(as_json: bool) -> None:
    """Print every setting and where it comes from, with secrets masked.

    \b
    Example:
      mailer config show
    """
    loaded = settings()
    rows = [(name, value, loaded.origins[name]) for name, value in loaded.shown.items()]
    if as_json:
        print_json({name: {"value": value, "origin": origin} for name, value, origin in rows})
    else:
        print_table(("setting", "value", "origin"), rows)
