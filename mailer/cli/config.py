"""`mailer config`: which settings hold, and where each comes from."""

import click

from mailer.cli.base import Group, json_option, settings
from mailer.cli.output import print_json, print_table


@click.group(cls=Group)
def config() -> None:
    """The settings."""


@config.command
@json_option
def show(as_json: bool) -> None:
    """Print every setting with where it comes from; secrets are masked.

    \b
    Example:
      mailer config show
    """
    found = settings()
    if as_json:
        print_json(
            {
                name: {"value": value, "origin": found.origins[name]}
                for name, value in found.shown.items()
            }
        )
        return
    print_table(
        ("setting", "value", "origin"),
        [(name, value, found.origins[name]) for name, value in found.shown.items()],
    )
