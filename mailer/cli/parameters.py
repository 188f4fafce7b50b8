"""Values that options and arguments take besides text."""

from datetime import timedelta
from typing import Any, Final

import click

from mailer.settings.parsers import duration

ROW_ID: Final = click.IntRange(0, 2**63 - 1)
"""The number of a digest or an article. No database compares larger ones."""


class Duration(click.ParamType[timedelta]):
    """A duration as settings write it, such as 6h."""

    name = "duration"

    def convert(self, value: Any, param: object, ctx: object) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return duration(value)
        except ValueError as error:
            raise click.BadParameter(f"{value!r} {error}") from error


class DurationOrNever(Duration):
    """A duration, or the word never, which is none."""

    def convert(self, value: Any, param: object, ctx: object) -> timedelta:
        return timedelta() if value == "never" else super().convert(value, param, ctx)


class Newcomers(click.ParamType[int]):
    """How many earlier articles newcomers get: next is none, latest:N that many."""

    name = "newcomers"

    def convert(self, value: Any, param: object, ctx: object) -> int:
        if isinstance(value, int):
            return value
        word, _, number = value.partition(":")
        if value == "next":
            return 0
        if word == "latest" and number.isascii() and number.isdigit() and int(number):
            return int(number)
        raise click.BadParameter(f"{value!r} must be next, or latest:N such as latest:5")
