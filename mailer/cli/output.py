"""How commands print: data to stdout as a table or as one JSON document, words for people to stderr."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import click

from mailer.clock import format_instant

_ANY_WIDTH: Final = 10_000


def print_json(data: object) -> None:
    """Print `data` as the one JSON document on stdout; instants become ISO 8601 in UTC."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=_plain))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print `rows` under `headings`; None is an empty cell, instants are in UTC.

    Where stdout is no terminal no cell is cut or wrapped.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = None if sys.stdout.isatty() else _ANY_WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(headings))
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        # Text, because a title in brackets is no markup.
        table.add_row(*(Text("" if cell is None else _cell(cell)) for cell in row))
    Console(width=width, highlight=False, file=sys.stdout).print(table)


def message(text: str) -> None:
    """Tell a person something, on stderr."""
    click.echo(text, err=True)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_instant(value) if isinstance(value, datetime) else str(value)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
