"""Gives every command its parser, the opened program, and the options that all share."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from mailer.cli.output import message
from mailer.settings import Settings, config_path, load

if TYPE_CHECKING:
    from mailer.app import App

Function = TypeVar("Function", bound=Callable[..., Any])

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)
"""Gives a command the parameter `as_json`."""

yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
"""Gives a command the parameter `yes`, for `confirmed`."""

_LOOK_LIKE_LISTS: Final = frozenset(
    {"--at", "--cron", "--days", "--monthday", "--newsletter", "--slot"}
)


class Command(click.Command):
    """A command that refuses a second value of an option that people may take for a list.

    Click silently keeps the last of two values, so that `--days mon --days thu` would mean Thursday.
    Of other options the last one counts, as in most programs: scripts append theirs to those they begin with.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        except click.UsageError as error:
            # Click's parser does not always say which command it was parsing.
            error.ctx = error.ctx or ctx
            raise
        for parameter, times in Counter(order).items():
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
    return not option.multiple and not _LOOK_LIKE_LISTS.isdisjoint(option.opts)


def with_options(*options: Callable[[Function], Function]) -> Callable[[Function], Function]:
    """Give a command several options, which its help lists in this order."""

    def decorate(command: Function) -> Function:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def is_interactive() -> bool:
    """Tell whether a person at a terminal can read a question and answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask whether to go on: at a terminal, unless `yes` was given; elsewhere the answer is yes.

    Raises:
        Abort: the question was interrupted.
    """
    if yes or not is_interactive():
        return True
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        # After Ctrl-C or Ctrl-D the shell's prompt would stand behind the question.
        click.echo(err=True)
        raise


def settings() -> Settings:
    """Load the settings of this process.

    Raises:
        SettingsError: they are not valid.
    """
    return load(os.environ, config_path(os.environ))


@contextmanager
def opened(*, role: bool = False, check_schema: bool = True) -> Iterator["App"]:
    """Open the program on its database, which is checked first and closed at the end.

    Args:
        role: whether to log at the level of the settings, as roles do. Other commands log warnings only,
            unless the level is not "info": people read their messages.
        check_schema: False to open the program on any database, which is then not checked.

    Raises:
        SettingsError: the settings are not valid, or the identity key belongs to another database.
        SchemaError: there is no database, or its schema is not the current one.
    """
    from mailer import logs
    from mailer.app import open_app

    loaded = settings()
    quiet = loaded.log_level == "info" and not role
    logs.configure("warning" if quiet else loaded.log_level, loaded.log_format)
    with open_app(loaded, check_schema=check_schema) as app:
        yield app


def warn_if_nothing_sends(app: "App") -> None:
    """Warn on stderr if no worker runs, or all sending is paused."""
    _warn_if_idle(app, "sender")


def warn_if_nothing_builds(app: "App") -> None:
    """Warn on stderr if no scheduler runs, which fetches feeds and builds digests at their slots."""
    _warn_if_idle(app, "builder")


def _warn_if_idle(app: "App", role: str) -> None:
    from mailer.models import WorkerRole
    from mailer.monitoring.idle import why_idle

    with app.database.read() as session:
        reason = why_idle(session, WorkerRole(role), lease=app.settings.lease, now=app.times.wall())
    if reason is not None:
        message(reason)
