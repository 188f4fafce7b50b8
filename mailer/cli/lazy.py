"""Groups of commands that load a command's file only when that command is called.

So that help and completion are quick, nothing here may import SQLAlchemy or any part of the program that
does.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

Commands = Mapping[str, tuple[str, str]]
"""By its name, where each command is, as "module:attribute", and its line in the group's help."""


class LazyGroup(click.Group):
    """A group that lists its commands from a table, and loads one when it is called.

    Args:
        table: the commands, in the order in which help lists them.
        options: as `click.Group` takes them.
    """

    def __init__(self, name: str | None = None, *, table: Commands, **options: Any) -> None:
        super().__init__(name, **options)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        with _kept_for_good():
            found: click.Command = getattr(import_module(module), attribute)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # Click offers only commands that are loaded as what may have been meant. While a shell completes
        # it is not told at all: it would stand in the middle of what is being typed.
        is_unknown = args[0] not in self.table and not args[0].startswith("-")
        if is_unknown and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # Click would load every command for its line of help.
        found = [
            CompletionItem(name, help=text)
            for name, (_, text) in self.table.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """Keeps the garbage collector from what is imported meanwhile, then and later.

    It stays until the process ends, and the collector would look through all of it many times.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
