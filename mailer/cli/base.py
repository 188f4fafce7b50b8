"""What every command needs: how it is parsed, the opened program, and the options that all share."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from mailer.settings import Settings, config_path, load

if TYPE_CHECKING:
    from mailer.app import App


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)
"""Gives a command the parameter `as_json`."""

yes_option = click.option("--yes", is_flag=True, help="Ask nothing.")
"""Gives a command the parameter `yes`, for `confirmed`."""

_LIKE_LISTS: Final = frozenset({"--at", "--cron", "--days", "--monthday", "--newsletter", "--slot"})


class Command(click.Command):
    """A command that refuses two of an option which people may take for a list, and which is none.

    Of two values Click keeps the last without a word, so that `--days mon --days thu` would mean Thursday.
    Of other options the last counts, as in most programs: scripts put theirs behind what they began with.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        except click.UsageError as error:
            # Click's parser does not always say of which command it speaks.
            error.ctx = error.ctx or ctx
            raise
        for parameter, times in Counter(given).items():
            if times > 1 and isinstance(parameter, click.Option) and _looks_like_a_list(parameter):
                name = max(parameter.opts, key=len)
                raise click.UsageError(
                    f"Option '{name}' was given {times} times; give it once.", ctx
                )
        return super().parse_args(ctx, args)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


def _looks_like_a_list(option: click.Option) -> bool:
    return not option.multiple and not _LIKE_LISTS.isdisjoint(option.opts)


def is_interactive() -> bool:
    """Whether somebody sits at a terminal who can read a question and answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether to go on: asks at a terminal, unless `yes` was given; elsewhere nothing is asked."""
    if yes or not is_interactive():
        return True
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        # Ctrl-C or Ctrl-D: else the shell's prompt would stand behind the question.
        click.echo(err=True)
        raise


def settings() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: they are not valid.
    """
    return load(os.environ, config_path(os.environ))


@contextmanager
def opened(*, role: bool = False) -> Iterator["App"]:
    """The program, opened on its database, which is checked first and closed at the end.

    Args:
        role: log as the settings say; a command logs warnings only, beside its words for people.

    Raises:
        SettingsError: the settings are not valid, or the identity key belongs to another database.
        SchemaError: there is no database, or its schema is not the current one.
    """
    from mailer import logs
    from mailer.app import open_app

    found = settings()
    quiet = found.log_level == "info" and not role
    logs.configure("warning" if quiet else found.log_level, found.log_format)
    app = open_app(found)
    try:
        yield app
    finally:
        app.database.dispose()
