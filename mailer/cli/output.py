"""Prints for all commands: data to stdout, as a table or as one JSON document; words for people to stderr."""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

import click

from mailer.clock import format_instant
from mailer.errors import Refused
from mailer.text.untrusted import without_controls

Column = str | tuple[str, str | Callable[[Any], object]]
"""A heading, alone if it is the name of what stands below it; else with that name, or what computes it."""

_WRAPPED_ROWS: Final = 1000
_ESCAPED_IN_JSON: Final = {
    code: f"\\u{code:04x}"
    for code in [*range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
}
"""Characters that a terminal would obey and that JSON does not escape by itself."""


def print_json(data: object) -> None:
    """Print `data` as the one JSON document on stdout; instants become ISO 8601 in UTC."""
    text = json.dumps(data, ensure_ascii=False, indent=2, default=_plain)
    print_text(text.translate(_ESCAPED_IN_JSON))


def print_json_and_list(data: Mapping[str, object], name: str, items: Iterable[object]) -> None:
    """Print `data` as `print_json` does, and a list of any length as its last member."""
    head = json.dumps(data, ensure_ascii=False, indent=2, default=_plain).removesuffix("\n}")
    with writing():
        sys.stdout.write(f"{head},\n  {json.dumps(name)}: [".translate(_ESCAPED_IN_JSON))
        end = "]\n}\n"
        for number, item in enumerate(items):
            text = json.dumps(item, ensure_ascii=False, default=_plain)
            before = ",\n    " if number else "\n    "
            sys.stdout.write(
                without_controls(f"{before}{text}".translate(_ESCAPED_IN_JSON), keep="\n")
            )
            end = "\n  ]\n}\n"
        sys.stdout.write(end)


def print_text(text: str) -> None:
    """Print `text` and a line end to stdout."""
    with writing():
        click.echo(without_controls(text, keep="\n\t"))


def print_list(rows: Sequence[Any], columns: Sequence[Column], *, as_json: bool) -> None:
    """Print dataclasses or mappings: all that they hold as JSON, or these columns as a table."""
    if as_json:
        print_json(rows)
        return
    named = [(column, column) if isinstance(column, str) else column for column in columns]
    print_table(
        [heading for heading, _ in named],
        [[_value(row, content) for _, content in named] for row in rows],
    )


def print_record(data: Mapping[str, object]) -> None:
    """Print one thing, a line for each name; what is None or a mapping is left out."""
    rows = [
        (name, value)
        for name, value in data.items()
        if value is not None and not isinstance(value, Mapping)
    ]
    print_table(("", ""), rows)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print `rows` under `headings`; None is an empty cell, instants are in UTC.

    On a terminal, cells are wrapped to its width. Elsewhere, and if there are more than `_WRAPPED_ROWS`,
    each row is one line.
    """
    cells = [["" if cell is None else _cell(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty() or len(cells) > _WRAPPED_ROWS:
        with writing():
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
def writing() -> Iterator[None]:
    """Report that stdout cannot be written.

    Raises:
        Refused: it cannot.
        OSError: its reader has closed the pipe, which is no error of ours.
    """
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


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write all of these files, or none if one of them has no place.

    Raises:
        Refused: a file cannot be written.
    """
    for path in files:
        if path.is_dir() or not path.parent.is_dir():
            what = "it is a folder" if path.is_dir() else "there is no such folder"
            raise Refused(f"cannot write {path}: {what}; name another file")
    for path, data in files.items():
        try:
            path.write_bytes(data)
        except OSError as error:
            raise Refused(f"cannot write {path}: {error.strerror}; name another file") from error
        message(f"wrote {path}")


def write_private_file(path: Path, text: str) -> None:
    """Write a file that only its owner may read; one that exists stays as it is.

    Raises:
        Refused: the file exists, or cannot be written.
    """
    with new_private_file(path) as file:
        file.write(text)


@contextmanager
def new_private_file(path: Path) -> Iterator[TextIO]:
    """Write a new file that only this user may read; remove it again if that fails.

    Raises:
        Refused: there is a file already, or it cannot be written.
    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Refused(f"{path} exists already; name another file, or remove it first") from error
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror}; name another file") from error
    try:
        with open(number, "w", encoding="utf-8", newline="") as file:
            yield file
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Refused(f"cannot write {path}: {error.strerror}; name another file") from error
        raise
    message(f"wrote {path}, which only you can read")


def _value(row: Any, content: str | Callable[[Any], object]) -> object:
    if not isinstance(content, str):
        return content(row)
    return row[content] if isinstance(row, Mapping) else getattr(row, content)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return format_instant(value)
    # A line break would end a row, and an escape in a feed's title would reach the terminal.
    return without_controls(", ".join(value) if isinstance(value, (tuple, list)) else str(value))


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
