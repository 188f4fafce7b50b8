"""How commands print: data to stdout as a table or as one JSON document, words for people to stderr."""

import errno
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from mailer.clock import format_instant
from mailer.errors import Refused
from mailer.text.untrusted import without_controls

_WRAPPED_ROWS: Final = 1000
_ESCAPED_IN_JSON: Final = {
    code: f"\\u{code:04x}"
    for code in [*range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
}
"""What a terminal would obey and JSON lets stand; the rest it escapes itself."""


def print_json(data: object) -> None:
    """Print `data` as the one JSON document on stdout; instants become ISO 8601 in UTC."""
    text = json.dumps(data, ensure_ascii=False, indent=2, default=_plain)
    print_text(text.translate(_ESCAPED_IN_JSON))


def print_text(text: str) -> None:
    """Print `text` and a line end to stdout."""
    with _writing():
        click.echo(without_controls(text, keep="\n\t"))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print `rows` under `headings`; None is an empty cell, instants are in UTC.

    On a terminal cells are wrapped to its width. Elsewhere, and where there are more than
    `_WRAPPED_ROWS`, each row is one line of its own.
    """
    cells = [["" if cell is None else _cell(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty() or len(cells) > _WRAPPED_ROWS:
        with _writing():
            _print_lines([list(headings), *cells] if any(headings) else cells)
        return
    # Rich is slow to import, and only a terminal has any use for it.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(headings))
    for heading in headings:
        table.add_column(heading)
    for row in cells:
        # Text, because a title in brackets is no markup.
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False, file=sys.stdout).print(table)


@contextmanager
def _writing() -> Iterator[None]:
    """Tells when stdout can take no more. Who reads only the beginning gets no error of ours."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        # What is left in the buffer would fail once more when the process ends.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise Refused(
            f"the output cannot be written ({error.strerror}); make room for it, or write it elsewhere"
        ) from error


def _print_lines(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns without Rich, which takes half a minute for a hundred thousand."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        )
        sys.stdout.write(f"{line.rstrip()}\n")


def message(text: str) -> None:
    """Tell a person something, on stderr."""
    click.echo(without_controls(text, keep="\n\t"), err=True)


def wall_time(local: datetime) -> str:
    """A time of somebody's clock, such as "Sat 2026-11-28 07:00"; its zone has to stand beside it."""
    return f"{local:%a %Y-%m-%d %H:%M}"


def moment(local: datetime, zone: str) -> str:
    """A time of the clocks in `zone`, with UTC: "Sat 2026-11-28 07:00 Europe/Paris (06:00 UTC)"."""
    utc = local.astimezone(UTC)
    told = f"{wall_time(local)} {zone}"
    if not local.utcoffset():
        return told
    return f"{told} ({utc:{'%H:%M' if utc.date() == local.date() else '%Y-%m-%d %H:%M'}} UTC)"


def coming_time(local: datetime, zone: str, *, now: datetime) -> str:
    """A time as people speak of it: "tomorrow 07:00 Europe/Paris (Sun 2026-11-29)".

    Args:
        local: the time by the clocks in `zone`.
        now: the present instant.
    """
    days = (local.date() - now.astimezone(local.tzinfo).date()).days
    if days not in (0, 1):
        return f"{wall_time(local)} {zone}"
    return f"{('today', 'tomorrow')[days]} {local:%H:%M} {zone} ({local:%a %Y-%m-%d})"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    # A line break would end a row, and an escape in a feed's title would reach the terminal.
    return format_instant(value) if isinstance(value, datetime) else without_controls(str(value))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
