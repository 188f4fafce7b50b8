"""Reads readers out of a CSV file: finds the delimiter and the columns, and tells each row's line.

Knows nothing of the database. The file is read as it goes, so its size does not matter.
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
    """The rows of the CSV file at `path`; empty ones are left out.

    Args:
        columns: which column holds "email" and "name", where it is not called that.

    Raises:
        Refused: the file cannot be read, is not UTF-8, or lacks a column.
    """
    try:
        with path.open("rb") as file:
            head = file.readline().removeprefix(_BOM)
            header = _decoded(head, path, 1)
            delimiter = max(DELIMITERS, key=header.count)
            places = _places(_names(header, delimiter, path), columns, path)
            yield from _lines(_text(file, path), delimiter, places, path)
    except OSError as error:
        raise Refused(
            f"{path} cannot be read ({error.strerror}); name a CSV file that can be read"
        ) from error


def _lines(
    text: Iterator[str], delimiter: str, places: Mapping[str, int], path: Path
) -> Iterator[Line]:
    rows = csv.reader(text, delimiter=delimiter)

    def cell(row: list[str], column: str) -> str:
        place = places.get(column)
        return "" if place is None or place >= len(row) else row[place].strip()

    try:
        for row in rows:
            if any(text.strip() for text in row):
                yield Line(rows.line_num + 1, cell(row, "email"), cell(row, "name") or None)
    except csv.Error as error:
        raise Refused(f"{path}, line {rows.line_num + 1}: {error}; mend that line") from error


def _names(header: str, delimiter: str, path: Path) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error as error:
        # Such as all rows in one line, divided by carriage returns alone.
        raise Refused(f"{path}, line 1: {error}; save the file as CSV in UTF-8") from error


def _places(names: list[str], columns: Mapping[str, str], path: Path) -> dict[str, int]:
    folded = [name.casefold() for name in names]
    found = {}
    for column in COLUMNS:
        wanted = columns.get(column, column)
        if wanted.casefold() in folded:
            found[column] = folded.index(wanted.casefold())
        elif column == "email" or column in columns:
            there = ", ".join(names) or "nothing"
            raise Refused(
                f"{path} has no column {wanted!r}, it has {there}; "
                f"say which one it is with --map {column}=COLUMN"
            )
    return found


def _text(file: Iterator[bytes], path: Path) -> Iterator[str]:
    for number, line in enumerate(file, 2):
        yield _decoded(line, path, number)


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(
            f"{path}, line {number}: this is not UTF-8; save the file as CSV in UTF-8"
        ) from error
    if "\0" in text:
        raise Refused(f"{path}, line {number}: this is no text; save the file as CSV in UTF-8")
    return text
