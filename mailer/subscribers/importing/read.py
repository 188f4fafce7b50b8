"""Opens a file of readers and yields what its rows say, whichever service exported it.

Never reads the whole file at once, so its size does not matter.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from mailer.subscribers.csv_table import read_table
from mailer.subscribers.importing.presets import Preset
from mailer.subscribers.importing.rows import ImportRow, ReaderStatus, RejectedRow
from mailer.text.reader_name import reader_name


class DateOrder(StrEnum):
    """How dates such as 03/04/2025 are to be read, for `--dates`."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


@dataclass(frozen=True)
class ReadOptions:
    """How staff want a file to be read.

    Attributes:
        now: dates after it are dropped.
        columns: which columns hold what, as `parse_columns` reads `--map`.
        dates: for dates that could be read both ways.
        encoding: the file's, if it is neither UTF-8, UTF-16 nor Windows-1252.
        status: the least restrictive status that anybody in the file has, if it is a file of people who left.
    """

    now: datetime
    columns: Mapping[str, str] = field(default_factory=dict)
    dates: DateOrder | None = None
    encoding: str | None = None
    status: ReaderStatus = ReaderStatus.ACTIVE


@dataclass(frozen=True)
class ReaderFile:
    """A file that is being read: `rows` can be iterated once.

    `warnings` grows while the rows are read, and holds sentences for staff, at most one of each kind.
    """

    preset: Preset
    rows: Iterator[ImportRow | RejectedRow]
    warnings: list[str] = field(default_factory=list)


def read_rows(path: Path, options: ReadOptions) -> ReaderFile:
    """Open the CSV file at `path` and recognise its columns.

    Raises:
        Refused: the file cannot be read, or has no column of addresses. Iterating the rows may raise it too.
    """
    rows = read_table(path, options.columns)
    return ReaderFile(
        Preset.GENERIC, (ImportRow(row.number, row.email, reader_name(row.name)) for row in rows)
    )
