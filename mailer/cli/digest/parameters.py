"""Parameters that several commands of `mailer digest` take."""

from pathlib import Path
from typing import Final

import click

from mailer.cli.base import with_options
from mailer.cli.parameters import ROW_ID

FILE: Final = click.Path(path_type=Path)

digest_id_argument = click.argument("digest_id", metavar="ID", type=ROW_ID)
"""Gives a command the parameter `digest_id`."""

slot_options = with_options(
    click.argument("reference", metavar="SLUG/NAME"),
    click.option(
        "--slot", metavar="ISO", help="As `mailer schedule next` prints it (default: the next one)."
    ),
)
"""Gives a command the parameters `reference` and `slot`."""
