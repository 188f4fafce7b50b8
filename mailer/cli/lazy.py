"""Loads a command's file only when that command is called.

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


class LazyGroup(click.Group):
    """A group that lists its commands from a table, and loads one when it is called.

    Args:
        package: the package whose modules hold the commands.
        table: the module and the line of help of each command, in the order in which help lists them.
            In its module, the function of a command has the command's name, or that name and a "_".
        options: as `click.Group` takes them.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        package: str,
        table: Mapping[str, tuple[str, str]],
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self.package = package
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        with _never_collected():
            module = import_module(f"{self.package}.{self.table[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name, None) or getattr(module, f"{cmd_name}_")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # Click suggests only commands that are loaded. While a shell completes a line it is told nothing:
        # an error would stand in the middle of what is being typed.
        is_unknown = args[0] not in self.table and not args[0].startswith("-")
        if is_unknown and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.table, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # Click would load every command for its line of help.
        items = [
            CompletionItem(name, help=text)
            for name, (_, text) in self.table.items()
            if name.startswith(incomplete)
        ]
        return items + click.Command.shell_complete(self, ctx, incomplete)


@contextmanager
def _never_collected() -> Iterator[None]:
    """Hide what is imported meanwhile from the garbage collector, which would look through it many times."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
