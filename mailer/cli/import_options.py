"""Reads the options that say how a file of readers is written. Never opens the file."""

from typing import TYPE_CHECKING, Final

import click

from mailer.cli.base import with_options
from mailer.subscribers.importing.columns import parse_columns
from mailer.subscribers.importing.opt_in_dates import DateOrder
from mailer.subscribers.importing.read import ReadOptions
from mailer.subscribers.importing.rows import ReaderStatus

if TYPE_CHECKING:
    from mailer.app import App

reading_options: Final = with_options(
    click.option("--map", "columns", metavar="email=Column,…", help="Which columns to read."),
    click.option(
        "--dates",
        type=click.Choice([order.value for order in DateOrder]),
        help="What comes first in dates such as 03/04/2025: the day (dmy) or the month (mdy).",
    ),
    click.option("--encoding", metavar="NAME", help="The encoding of the file, such as cp1251."),
)
"""Gives a command the parameters `columns`, `dates` and `encoding`, for `read_options`."""


def read_options(
    app: "App",
    status: ReaderStatus,
    *,
    columns: str | None,
    dates: str | None,
    encoding: str | None,
) -> ReadOptions:
    """Put together how a file is to be read.

    Raises:
        Refused: --map is written differently.
    """
    order = None if dates is None else DateOrder(dates)
    languages = app.signup_context.templates.languages()
    return ReadOptions(app.times.wall(), parse_columns(columns), order, encoding, status, languages)
