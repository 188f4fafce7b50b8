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
class CsvRow:
    """A row of the file: the number of the line that it ends on, the address as written, and the name."""

    number: int
    email: str
    name: str | None


def read_table(path: Path, columns: Mapping[str, str]) -> Iterator[CsvRow]:
    """Yield the rows of the CSV file at `path`, without empty ones.

    Args:
        columns: which columns hold "email" and "name", if they have other names.

    Raises:
        Refused: the file cannot be read, is not UTF-8, or lacks a column.
    """
    rows = csv.reader(())
    try:
        with path.open("rb") as file:
            header = _decoded(file.readline().removeprefix(_BOM), path, 1)
            delimiter = max(DELIMITERS, key=header.count)
            names = next(csv.reader([header], delimiter=delimiter), [])
            indexes = _column_indexes([name.strip() for name in names], columns, path)
            text = (_decoded(line, path, number) for number, line in enumerate(file, 2))
            rows = csv.reader(text, delimiter=delimiter)
            for row in rows:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    values = {
                        name: cells[index] for name, index in indexes.items() if index < len(cells)
                    }
                    email, name = values.get("email", ""), values.get("name", "")
                    yield CsvRow(rows.line_num + 1, email, name or None)
    except OSError as error:
        raise Refused(
            f"{path} cannot be read ({error.strerror}); name a CSV file that can be read"
        ) from error
    except csv.Error as error:
        # If the header cannot be read, all rows may be in one line, separated by carriage returns alone.
        advice = "mend that line" if rows.line_num else "save the file as CSV in UTF-8"
        raise Refused(f"{path}, line {rows.line_num + 1}: {error}; {advice}") from error


def _column_indexes(names: list[str], columns: Mapping[str, str], path: Path) -> dict[str, int]:
    folded = [name.casefold() for name in names]
    indexes = {}
    for column in COLUMNS:
        wanted = columns.get(column, column)
        if wanted.casefold() in folded:
            indexes[column] = folded.index(wanted.casefold())
        elif column == "email" or column in columns:
            raise Refused(
                f"{path} has no column {wanted!r}, it has {', '.join(names) or 'nothing'}; "
                f"say which one it is with --map {column}=COLUMN"
            )
    return indexes


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


def parse_columns(text: str | None) -> dict[str, str]:
    """Read `email=Column,name=Column` into a mapping.

    Raises:
        Refused: it is written differently.
    """
    columns = {}
    for item in (text or "").split(","):
        if not item.strip():
            continue
        column, _, name = (part.strip() for part in item.partition("="))
        if column not in {"email", "name"} or not name:
            raise Refused(f"--map must be like email=Column,name=Column, not {text!r}")
        columns[column] = name
    return columns
