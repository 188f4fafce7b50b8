"""Reads readers from a CSV file: finds the delimiter and the columns, and numbers the lines.

Never reads the whole file at once, so its size does not matter.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailer.errors import Refused

DELIMITERS: Final = ",;\t"
COLUMNS: Final = ("email", "name")
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Line:
    """A row of the file: the number of the line that it ends on, the address as written, and the name."""

    number: int
    email: str
    name: str | None


def read_table(path: Path, columns: Mapping[str, str]) -> Iterator[Line]:
    """Yield the rows of the CSV file at `path`, without empty ones.

    Args:
        columns: which columns hold "email" and "name", if they have other names.

    Raises:
        Refused: the file cannot be read, is not UTF-8, or lacks a column.
    """
    try:
        with path.open("rb") as file:
            head = file.readline().removeprefix(_BOM)
            header = _decoded(head, path, 1)
            delimiter = max(DELIMITERS, key=header.count)
            places = _places(_names(header, delimiter, path), columns, path)
            text = (_decoded(line, path, number) for number, line in enumerate(file, 2))
            yield from _lines(text, delimiter, places, path)
    except OSError as error:
        raise Refused(
            f"{path} cannot be read ({error.strerror}); name a CSV file that can be read"
        ) from error


def _lines(
    text: Iterator[str], delimiter: str, places: Mapping[str, int], path: Path
) -> Iterator[Line]:
    rows = csv.reader(text, delimiter=delimiter)
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells):
                columns = {name: cells[at] for name, at in places.items() if at < len(cells)}
                email, name = columns.get("email", ""), columns.get("name", "")
                yield Line(rows.line_num + 1, email, name or None)
    except csv.Error as error:
        raise Refused(f"{path}, line {rows.line_num + 1}: {error}; correct that line") from error


def _names(header: str, delimiter: str, path: Path) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error as error:
        # For example, all rows are in one line, separated by carriage returns alone.
        raise Refused(f"{path}, line 1: {error}; save the file as CSV in UTF-8") from error


def _places(names: list[str], columns: Mapping[str, str], path: Path) -> dict[str, int]:
    folded = [name.casefold() for name in names]
    places = {}
    for column in COLUMNS:
        wanted = columns.get(column, column)
        if wanted.casefold() in folded:
            places[column] = folded.index(wanted.casefold())
        elif column == "email" or column in columns:
            raise Refused(
                f"{path} has no column {wanted!r}, it has {', '.join(names) or 'nothing'}; "
                f"say which one it is with --map {column}=COLUMN"
            )
    return places


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            f"{path}, line {number}: this is not UTF-8; save the file as CSV in UTF-8"
        ) from error
    if "\0" in text:
        raise Refused(f"{path}, line {number}: this is not text; save the file as CSV in UTF-8")
    return text
