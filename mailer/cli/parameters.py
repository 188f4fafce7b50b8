"""Parameters that several commands take, and how values that are not plain text are parsed."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

from mailer.cli.base import with_options
from mailer.settings.parsers import duration

ROW_ID: Final = click.IntRange(0, 2**63 - 1)
"""The number of a digest or an article. No database compares larger ones."""

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


class Parsed(click.ParamType[Any]):
    """A value that a function parses; what its `ValueError` says follows the value in the error."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: object, ctx: object) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            raise click.BadParameter(f"{value!r} {error}") from error


def _newcomers(text: str) -> int:
    word, _, number = text.partition(":")
    if text == "next":
        return 0
    if word == "latest" and number.isascii() and number.isdigit() and int(number):
        return int(number)
    raise ValueError("must be next, or latest:N such as latest:5")


DURATION: Final = Parsed("duration", duration)
"""A duration as settings write it, such as 6h."""

DURATION_OR_NEVER: Final = Parsed(
    "duration", lambda text: timedelta() if text == "never" else duration(text)
)
"""A duration, or the word never, which is none."""

NEWCOMERS: Final = Parsed("newcomers", _newcomers)
"""How many earlier articles a first digest may hold: next is none, latest:N that many."""
